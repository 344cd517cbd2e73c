"""Asking when a token ends, where its answer does not say (RFC 7662)."""

import logging
from dataclasses import replace

from credentials.errors import CredentialsError
from credentials.oauth.answers import TokenAnswer, read_introspection
from credentials.oauth.profile import OAuthProfile
from credentials.oauth.requests import introspection_request
from credentials.parts import Parts

log = logging.getLogger("integration.credentials.refresh")

_SECONDS = 5.0


async def with_end(parts: Parts, profile: OAuthProfile, answer: TokenAnswer) -> TokenAnswer:
    """Answer the same with its end, as far as the server tells: a token is never lost over this."""
    known = answer.expires_in is not None or not answer.access_token
    if known or not profile.introspection_url:
        return answer
    try:
        request = introspection_request(profile, answer.access_token, parts.clock())
        told = await parts.outbound.send(request, _SECONDS)
    except CredentialsError as error:
        log.warning("a token could not be introspected: %s", error)
        return answer
    return replace(answer, expires_in=read_introspection(told.status, told.body, parts.clock()))
