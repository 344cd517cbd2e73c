"""Ending a grant: its records go at once, its tokens are revoked as soon as their server listens."""

import asyncio
import logging
from collections.abc import Collection

from credentials.grants import Grant, from_record
from credentials.model import AuditEntry, Part, RecordKey
from credentials.oauth.profile import OAuthProfile
from credentials.parts import Parts
from credentials.settling import Settler

log = logging.getLogger("integration.credentials.end")

_REVOKE_PAUSES = (0.0, 1.0, 10.0, 60.0)  # seconds


class Ending:
    """Forgets records and revokes what was in them (RFC 7009).

    Revocation is the server's business and may fail for long; forgetting is ours and does not wait.
    """

    def __init__(self, parts: Parts, settler: Settler) -> None:
        self._parts = parts
        self._settler = settler
        self._running: set[asyncio.Task[None]] = set()

    async def end(self, tenant: str, instance_id: str, what: Collection[Part], actor: str) -> None:
        """Forget these parts of an instance; forgetting nothing succeeds too."""
        await self._parts.audit.before(
            AuditEntry("credentials.deleted", tenant, instance_id, actor, "begins")
        )
        key = RecordKey(tenant, instance_id, Part.GRANT)
        found = await self._parts.store.get(key)
        profile = None if found is None else await self._profile(key)
        for part in what:
            await self._parts.store.delete(RecordKey(tenant, instance_id, part))
        self._settler.unstored.pop(key, None)
        self._parts.audit.note(AuditEntry("credentials.deleted", tenant, instance_id, actor))
        if found is not None and profile is not None:
            task = asyncio.create_task(self._revoked(key, profile, from_record(found.record)))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Stop trying to revoke."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _profile(self, key: RecordKey) -> OAuthProfile | None:
        try:
            return await self._parts.profiles.of(key.tenant, key.instance_id)
        except Exception as error:  # noqa: BLE001 - without it, nothing is revoked but all forgotten
            log.warning("the tokens of %s cannot be revoked: %s", key.instance_id, error)
            return None

    async def _revoked(self, key: RecordKey, profile: OAuthProfile, grant: Grant) -> None:
        if not profile.revocation_url:
            return
        for pause in _REVOKE_PAUSES:
            await asyncio.sleep(pause)
            if await self._settler.revoke(profile, grant):
                self._note(key, "ok")
                return
        self._note(key, "failed")

    def _note(self, key: RecordKey, outcome: str) -> None:
        self._parts.audit.note(
            AuditEntry("token.revoked", key.tenant, key.instance_id, self._parts.owner, outcome)
        )
