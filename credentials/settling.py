"""From a token answer to the store: what has arrived is never lost, whatever fails on the way."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit

from credentials.errors import (
    CredentialsError,
    CredentialsNotFound,
    EndpointSilent,
    NeedsReauthorization,
    SpoolUnavailable,
    StoreUnavailable,
    TokenEndpointFailed,
    TokenRequestRefused,
    VersionConflict,
)
from credentials.grants import Grant, GrantState, from_record, margin_of, renewed, to_record
from credentials.model import (
    AuditEntry,
    OutboundAnswer,
    RecordKey,
    Report,
    SpoolEntry,
    Standing,
)
from credentials.oauth.answers import TokenAnswer, TokenRefusal, read_token_answer
from credentials.oauth.profile import OAuthProfile
from credentials.oauth.requests import revocation_request
from credentials.introspection import with_end
from credentials.parts import Claimed, Parts

log = logging.getLogger("integration.credentials.refresh")

_REFUSED_FROM = 400
_REVOKE_SECONDS = 10.0


class Settler:
    """Brings claims to their end. `unstored` are grants that the store does not have yet."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.unstored: dict[RecordKey, Grant] = {}
        self._background: set[asyncio.Task[None]] = set()

    async def write(self, key: RecordKey, grant: Grant, version: int) -> int | None:
        """Write a grant; None when somebody else was first.

        A write that is reported as failed may have happened: then it is looked for.
        """
        record = to_record(grant)
        try:
            return await self._parts.store.put(key, record, version)
        except VersionConflict:
            return None
        except StoreUnavailable:
            found = await self._parts.store.get(key)
            if found is None or found.record.fields != record.fields:
                raise
            return found.version

    async def unanswered(
        self, claimed: Claimed, profile: OAuthProfile, error: CredentialsError
    ) -> None:
        """Give a claim back whose request has no answer; what may be spent is in doubt."""
        spent = isinstance(error, EndpointSilent) and not profile.refresh_retry_safe
        doubt = claimed.attempt if spent and claimed.grant.refresh_token else claimed.grant.doubt
        self._note(claimed.key, "token.refreshed", outcome=type(error).__name__)
        with suppress(StoreUnavailable):  # then the claim runs out, which says the same
            await self.write(
                claimed.key, replace(claimed.grant, claim=None, doubt=doubt), claimed.version
            )

    async def settle(
        self, claimed: Claimed, profile: OAuthProfile, answer: OutboundAnswer
    ) -> Grant | None:
        """Read an answer and act on it; None: look at the record again.

        Raises `NeedsReauthorization`, `TokenRequestRefused`, `TokenEndpointFailed`, and
        `CredentialsNotFound` when the credentials were deleted meanwhile.
        """
        received_at = self._parts.now()
        entry = SpoolEntry(
            claimed.key,
            claimed.attempt,
            received_at,
            answer.status,
            answer.headers.get("content-type", ""),
            answer.body,
        )
        if answer.status < _REFUSED_FROM:
            await self._spooled(entry)
        read = read_token_answer(profile, answer.status, answer.headers, answer.body)
        if isinstance(read, TokenAnswer):
            read = await with_end(self._parts, profile, read)
        if isinstance(read, TokenRefusal):
            await self._parts.spool.drop(claimed.key, claimed.attempt)
            return await self._refused(claimed, profile, read)
        return await self._answered(claimed, profile, read, received_at)

    async def settle_spooled(self, entry: SpoolEntry) -> None:
        """Bring an answer that another process has left to where it belongs, if it still does."""
        found = await self._parts.store.get(entry.key)
        grant = None if found is None else from_record(found.record)
        if found is None or grant is None or not _waits_for(grant, entry.attempt):
            await self._parts.spool.drop(entry.key, entry.attempt)
            return
        profile = await self._parts.profiles.of(entry.key.tenant, entry.key.instance_id)
        headers = {"content-type": entry.content_type}
        read = read_token_answer(profile, entry.status, headers, entry.body)
        claimed = Claimed(entry.key, grant, found.version, entry.attempt)
        if isinstance(read, TokenAnswer):
            log.info("an answer for %s was found in the spool", entry.key.instance_id)
            await self._answered(claimed, profile, read, entry.received_at)
        else:
            await self.write(entry.key, replace(grant, claim=None), found.version)
            await self._parts.spool.drop(entry.key, entry.attempt)

    async def over(self, key: RecordKey, grant: Grant, version: int, cause: str) -> None:
        """Write down that a grant is over, tell its owner, and raise `NeedsReauthorization`.

        Returns when a newer consent has taken its place meanwhile.
        """
        ended = replace(grant, claim=None, state=GrantState.NEEDS_REAUTHORIZATION, cause=cause)
        if await self.write(key, ended, version) is None:
            return
        error = needs_reauthorization(key, cause)
        await self._told(key, Report(Standing.AUTH_ERROR, "AUTHENTICATION_ERROR", error.message))
        raise error

    async def revoke(self, profile: OAuthProfile, grant: Grant) -> bool:
        """Tell the server that a grant is over (RFC 7009), as well as that goes; tell whether."""
        told = bool(profile.revocation_url)
        for token, hint in (
            (grant.refresh_token, "refresh_token"),
            (grant.access_token, "access_token"),
        ):
            if not token or not profile.revocation_url:
                continue
            request = revocation_request(profile, token, hint, self._parts.clock())
            try:
                answer = await self._parts.outbound.send(request, _REVOKE_SECONDS)
            except CredentialsError as error:
                log.warning("a token could not be revoked: %s", error)
                told = False
            else:
                told = told and answer.status < _REFUSED_FROM
        return told

    async def close(self) -> None:
        """Stop what runs in the background; the spool has what it was about."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    async def _spooled(self, entry: SpoolEntry) -> None:
        try:
            await self._parts.spool.keep(entry)
        except SpoolUnavailable as error:
            # The answer is here all the same, and the store may take it.
            log.error("the spool cannot be written: %s", error)  # noqa: TRY400 - says it all

    async def _answered(
        self, claimed: Claimed, profile: OAuthProfile, answer: TokenAnswer, received_at: float
    ) -> Grant:
        self._parts.known(answer.access_token, answer.refresh_token or "")
        grant = renewed(claimed.grant, answer, received_at, claimed.attempt, margin_of(profile))
        try:
            stored = await self.write(claimed.key, grant, claimed.version) is not None
            if not stored and not await self._placed(claimed.key, profile, grant):
                raise _deleted(claimed.key)
        except StoreUnavailable as error:
            log.warning("a new token of %s waits for the store: %s", claimed.key.instance_id, error)
            self.unstored[claimed.key] = grant
            self._spawn(self._keep_storing(claimed.key, profile, grant))
            return grant
        await self._parts.spool.drop(claimed.key, claimed.attempt)
        self._note(claimed.key, "token.refreshed", generation=grant.generation)
        if answer.captured:
            await self._told(claimed.key, Report(Standing.CONNECTED, captured=answer.captured))
        return grant

    async def _placed(self, key: RecordKey, profile: OAuthProfile, grant: Grant) -> bool:
        """Put a grant where its claim still stands; tell whether there was room for it at all.

        What was deleted meanwhile stays deleted, and the fresh token is revoked.
        """
        while True:
            found = await self._parts.store.get(key)
            if found is None:
                await self.revoke(profile, grant)
                await self._parts.spool.drop(key, grant.attempt)
                self._note(key, "token.discarded", outcome="deleted")
                return False
            current = from_record(found.record)
            if current.attempt == grant.attempt or not _waits_for(current, grant.attempt):
                return True  # it has landed, or a newer consent has taken its place
            if await self.write(key, grant, found.version) is not None:
                return True

    async def _keep_storing(self, key: RecordKey, profile: OAuthProfile, grant: Grant) -> None:
        tries = 0
        while True:
            await asyncio.sleep(self._parts.timing.store_pause(tries))
            tries += 1
            try:
                await self._placed(key, profile, grant)
            except StoreUnavailable:
                continue
            finally_stored = self.unstored.pop(key, None)
            if finally_stored is not None:
                self._note(key, "token.refreshed", generation=grant.generation, tries=tries)
            await self._parts.spool.drop(key, grant.attempt)
            return

    async def _refused(
        self, claimed: Claimed, profile: OAuthProfile, refusal: TokenRefusal
    ) -> Grant | None:
        self._note(claimed.key, "token.refreshed", outcome=refusal.error or "refused")
        if refusal.permanent and claimed.grant.refresh_token:
            cause = "in_doubt" if claimed.grant.doubt else refusal.error
            await self.over(claimed.key, claimed.grant, claimed.version, cause)
            return None
        await self.write(claimed.key, replace(claimed.grant, claim=None), claimed.version)
        details = {"error": refusal.error, "description": refusal.description}
        if refusal.permanent or refusal.client_fault:
            raise TokenRequestRefused(
                f"The token endpoint of {claimed.key.instance_id} refuses the client or its "
                f"request ({refusal.error}); check clientId, clientSecret and oauth2Config",
                **details,
            )
        raise TokenEndpointFailed(
            "The token endpoint cannot answer now; the refresh is tried again later",
            retry_after_ms=round((refusal.retry_after or 0) * 1000),
            host=urlsplit(profile.token_url).netloc,
            **details,
        )

    async def _told(self, key: RecordKey, report: Report) -> None:
        try:
            await self._parts.connections.report(key.tenant, key.instance_id, report)
        except Exception:
            # The record says the same, and whoever executes reads that.
            log.exception("the standing of %s could not be reported", key.instance_id)

    def _note(self, key: RecordKey, action: str, *, outcome: str = "ok", **details: object) -> None:
        self._parts.audit.note(
            AuditEntry(action, key.tenant, key.instance_id, self._parts.owner, outcome, details)
        )

    def _spawn(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def needs_reauthorization(key: RecordKey, cause: str) -> NeedsReauthorization:
    """Make the error of a grant that is over."""
    return NeedsReauthorization(
        f"The authorization of {key.instance_id} is over ({cause}); its owner has to consent "
        "again: start with auth/oauth2/start",
        instanceId=key.instance_id,
        cause=cause,
    )


def _waits_for(grant: Grant, attempt: str) -> bool:
    claimed = grant.claim is not None and grant.claim.attempt == attempt
    return claimed or grant.doubt == attempt


def _deleted(key: RecordKey) -> CredentialsNotFound:
    return CredentialsNotFound(
        f"The credentials of {key.instance_id} were deleted meanwhile", instanceId=key.instance_id
    )
