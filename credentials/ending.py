"""Ending a grant: its records go at once, its tokens as soon as their server listens."""

import logging
from collections.abc import Collection
from dataclasses import replace

from credentials.errors import CredentialsError, RecordCorrupt
from credentials.grants import DELETED, Grant, GrantState, from_record, to_record
from credentials.model import AuditEntry, Part, RecordKey
from credentials.oauth.answers import TokenAnswer, read_token_answer
from credentials.oauth.profile import OAuthProfile
from credentials.parts import Parts
from credentials.settling import Settler

log = logging.getLogger("integration.credentials.end")


class Ending:
    """Forgets records and revokes what was in them (RFC 7009).

    Revocation is the server's business and may fail for long; forgetting is ours and does not wait.
    """

    def __init__(self, parts: Parts, settler: Settler) -> None:
        self._parts = parts
        self._settler = settler

    async def end(self, tenant: str, instance_id: str, what: Collection[Part], actor: str) -> None:
        """Forget these parts of an instance; forgetting nothing succeeds too.

        What a refresh under way brings is revoked by whoever gets it.
        """
        await self._parts.audit.before(
            AuditEntry("credentials.deleted", tenant, instance_id, actor, "begins")
        )
        key = RecordKey(tenant, instance_id, Part.GRANT)
        profile = await self._profile(key)
        grant = None
        for part in sorted(what):  # the config first: without it no first token is fetched
            if part is Part.GRANT:
                grant = await self._closed(key)
            await self._parts.store.delete(RecordKey(tenant, instance_id, part))
        self._parts.audit.note(AuditEntry("credentials.deleted", tenant, instance_id, actor))
        if grant is not None and profile is not None:
            self._settler.revoker.revoke(key, profile, grant)
            await self._revoke_spooled(key, profile, grant)

    async def close(self) -> None:
        """Stop trying to revoke."""
        await self._settler.revoker.close()

    async def _closed(self, key: RecordKey) -> Grant | None:
        """Take the grant from whoever refreshes it; answer its last tokens, to be revoked.

        Without this, a refresh that lands between reading and deleting would leave tokens that
        nobody knows any more.
        """
        while True:
            try:
                found = await self._parts.store.get(key)
            except RecordCorrupt as error:
                log.warning("the tokens of %s cannot be revoked: %s", key.instance_id, error)
                return None
            if found is None:
                return None
            grant = from_record(found.record)
            over = replace(grant, state=GrantState.NEEDS_REAUTHORIZATION, cause=DELETED)
            if await self._parts.write(key, to_record(over), found.version) is not None:
                return grant

    async def _profile(self, key: RecordKey) -> OAuthProfile | None:
        try:
            return await self._parts.profiles.of(key.tenant, key.instance_id)
        except Exception as error:  # noqa: BLE001 - without it, nothing is revoked but all forgotten
            log.info("tokens of %s, if there are any, stay unrevoked: %s", key.instance_id, error)
            return None

    async def _revoke_spooled(self, key: RecordKey, profile: OAuthProfile, grant: Grant) -> None:
        """Revoke what a process has left in the spool that did not live to store it."""
        claimed = [] if grant.claim is None else [grant.claim.attempt]
        try:
            for attempt in (*claimed, *grant.doubt.split()):
                entry = await self._parts.spool.find(key, attempt)
                if entry is None:
                    continue
                headers = {"content-type": entry.content_type}
                answer = read_token_answer(profile, entry.status, headers, entry.body)
                if isinstance(answer, TokenAnswer):
                    tokens = Grant(
                        access_token=answer.access_token, refresh_token=answer.refresh_token or ""
                    )
                    self._settler.revoker.revoke(key, profile, tokens)
                await self._parts.spool.drop(key, attempt)
        except CredentialsError as error:
            log.warning("the spool of %s is left: %s", key.instance_id, error)
