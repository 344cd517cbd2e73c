"""Telling a server that its tokens are needed no more (RFC 7009), as often as it takes."""

import asyncio
import logging

from credentials.errors import CredentialsError
from credentials.grants import Grant
from credentials.model import AuditEntry, RecordKey
from credentials.oauth.profile import OAuthProfile
from credentials.oauth.requests import revocation_request
from credentials.parts import Parts
from credentials.running import detached

log = logging.getLogger("integration.credentials.revoke")

_PAUSES = (0.0, 1.0, 10.0, 60.0)  # seconds before each try
_SECONDS = 10.0
_REFUSED_FROM = 400


class Revoker:
    """Revokes tokens beside everything else; nobody waits for it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._running: set[asyncio.Task[None]] = set()

    def revoke(self, key: RecordKey, profile: OAuthProfile, grant: Grant) -> None:
        """Begin to revoke the tokens of a grant, if their server can be told."""
        if profile.revocation_url and (grant.refresh_token or grant.access_token):
            task = detached(self._revoked(key, profile, grant))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Stop trying."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _revoked(self, key: RecordKey, profile: OAuthProfile, grant: Grant) -> None:
        # The refresh token first: with it go the access tokens, at most servers.
        left = [(grant.refresh_token, "refresh_token"), (grant.access_token, "access_token")]
        left = [(token, hint) for token, hint in left if token]
        for pause in _PAUSES:
            await asyncio.sleep(pause)
            told = [await self._told(profile, token, hint) for token, hint in left]
            left = [pair for pair, is_told in zip(left, told, strict=True) if not is_told]
            if not left:
                self._note(key, "ok")
                return
        self._note(key, "failed")

    async def _told(self, profile: OAuthProfile, token: str, hint: str) -> bool:
        try:
            request = revocation_request(profile, token, hint, self._parts.clock())
            answer = await self._parts.outbound.send(request, _SECONDS)
        except CredentialsError as error:
            log.warning("a token could not be revoked: %s", error)
            return False
        return answer.status < _REFUSED_FROM

    def _note(self, key: RecordKey, outcome: str) -> None:
        self._parts.audit.note(
            AuditEntry("token.revoked", key.tenant, key.instance_id, self._parts.owner, outcome)
        )
