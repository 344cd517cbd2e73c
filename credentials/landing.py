"""The end of an authorization: its tokens in their place, and the instance told."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from credentials.errors import (
    AuthorizationRefused,
    CredentialsBusy,
    CredentialsError,
    CredentialsNotFound,
    OAuthMisconfigured,
    StoreUnavailable,
    TokenEndpointFailed,
    TokenRequestRefused,
)
from credentials.grants import Grant, GrantState, from_record, margin_of, renewed, to_record
from credentials.introspection import with_end
from credentials.model import AuditEntry, OutboundRequest, Part, RecordKey, Report, Standing
from credentials.oauth.answers import TokenAnswer, TokenRefusal, read_token_answer
from credentials.oauth.profile import OAuthProfile
from credentials.parts import Parts
from credentials.revoking import Revoker

log = logging.getLogger("integration.credentials.connect")

_TRIES = 10
_COMPLETED = "authorization.completed"


class Landing:
    """Asks for the tokens of a consent and stores them, as often as that takes."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._revoker = Revoker(parts)

    async def asked(
        self, key: RecordKey, profile: OAuthProfile, request: OutboundRequest
    ) -> TokenAnswer | TokenRefusal:
        """Send a token request once and read its answer; raises what `Outbound.send` raises."""
        self._parts.known(*profile.secrets)
        try:
            answer = await self._parts.outbound.send(request, self._parts.timing.request)
        except CredentialsError as error:
            self.note(key, type(error).__name__)
            raise
        read = read_token_answer(profile, answer.status, answer.headers, answer.body)
        if isinstance(read, TokenRefusal):
            return read
        return await with_end(self._parts, profile, read)

    async def connected(
        self,
        key: RecordKey,
        profile: OAuthProfile,
        answer: TokenAnswer,
        captured: Mapping[str, str],
    ) -> None:
        """Store the tokens and report the instance connected.

        Raises `CredentialsNotFound` when it was deleted meanwhile: then they are revoked; and
        `OAuthMisconfigured` when what was captured does not fit the config.
        """
        grant = await self._stored(key._replace(part=Part.GRANT), profile, answer)
        self.note(key, "ok", generation=grant.generation)
        report = Report(Standing.CONNECTED, captured={**captured, **answer.captured})
        try:
            await self._told(key, report)
        except OAuthMisconfigured as error:  # what was captured does not fit the config
            wrong = Report(Standing.CONFIG_ERROR, "CONFIGURATION_ERROR", error.message)
            await self._told(key, wrong)
            raise

    async def refused(self, key: RecordKey, error: AuthorizationRefused) -> None:
        """Report that the consent was refused; an older one, if there is one, goes on."""
        self.note(key, "refused")
        try:
            found = await self._parts.store.get(key._replace(part=Part.GRANT))
        except CredentialsError as trouble:
            log.warning("a refusal of %s is not reported: %s", key.instance_id, trouble)
            return
        grant = Grant() if found is None else from_record(found.record)
        if grant.generation and grant.state is GrantState.ACTIVE:
            return
        await self._told(key, Report(Standing.AUTH_ERROR, "AUTHENTICATION_ERROR", error.message))

    def note(self, key: RecordKey, outcome: str, **details: object) -> None:
        """Write down how an authorization has ended."""
        actor = self._parts.owner
        entry = AuditEntry(_COMPLETED, key.tenant, key.instance_id, actor, outcome, details)
        self._parts.audit.note(entry)

    async def close(self) -> None:
        """Stop revoking."""
        await self._revoker.close()

    async def _stored(self, key: RecordKey, profile: OAuthProfile, answer: TokenAnswer) -> Grant:
        """Put a first or newer grant in its place; whoever refreshes the older one has lost."""
        self._parts.known(answer.access_token, answer.refresh_token or "")
        fresh = renewed(Grant(), answer, self._parts.now(), uuid4().hex, margin_of(profile))
        for tries in range(_TRIES):
            try:
                grant = await self._put(key, fresh)
                if grant is not None and not await self._parts.is_configured(key):
                    raise await self._deleted(key, profile, grant)
            except StoreUnavailable:
                if tries == _TRIES - 1:
                    raise
                await asyncio.sleep(self._parts.timing.store_pause(tries))
            else:
                if grant is not None:
                    return grant
        raise CredentialsBusy(
            f"The credentials of {key.instance_id} change too often; start again",
            instanceId=key.instance_id,
            tries=_TRIES,
        )

    async def _put(self, key: RecordKey, fresh: Grant) -> Grant | None:
        """Put the grant over whatever is there: no old refresh token lives on."""
        found = await self._parts.store.get(key)
        before = Grant() if found is None else from_record(found.record)
        if before.attempt == fresh.attempt:  # a write that seemed to fail has landed
            return before
        grant = newer_than(before, fresh)
        version = 0 if found is None else found.version
        written = await self._parts.write(key, to_record(grant), version)
        return None if written is None else grant

    async def _deleted(
        self, key: RecordKey, profile: OAuthProfile, grant: Grant
    ) -> CredentialsNotFound:
        await self._parts.store.delete(key)
        self._revoker.revoke(key, profile, grant)
        self.note(key, "deleted")
        return CredentialsNotFound(
            f"Instance {key.instance_id} was deleted meanwhile", instanceId=key.instance_id
        )

    async def _told(self, key: RecordKey, report: Report) -> None:
        """Report until it is heard: only an instance that is shown as connected can be used."""
        for tries in range(_TRIES):
            try:
                await self._parts.connections.report(key.tenant, key.instance_id, report)
            except CredentialsError:
                raise
            except Exception:
                if tries == _TRIES - 1:
                    raise
                await asyncio.sleep(self._parts.timing.store_pause(tries))
            else:
                return


def newer_than(before: Grant, fresh: Grant) -> Grant:
    """Answer a grant that takes the place of another, with the generation after that one's."""
    return replace(fresh, generation=before.generation + 1)


def not_exchanged(refusal: TokenRefusal) -> CredentialsError:
    """Make the error of a refused token request."""
    details: dict[str, Any] = {"error": refusal.error, "description": refusal.description}
    if refusal.client_fault:
        return TokenRequestRefused(
            f"The authorization server refuses the client or its request ({refusal.error}); check "
            "clientId, clientSecret, redirectUri and oauth2Config",
            **details,
        )
    if refusal.permanent:
        return AuthorizationRefused(
            f"The authorization server refuses the authorization ({refusal.error}); start again",
            **details,
        )
    return TokenEndpointFailed(
        "The authorization server cannot answer now; start the authorization again", **details
    )
