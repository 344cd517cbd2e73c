"""From a token answer to the store: what has arrived is never lost, whatever fails on the way."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from enum import Enum, auto
from typing import Any
from urllib.parse import urlsplit

from credentials.errors import (
    CredentialsError,
    EndpointSilent,
    NeedsReauthorization,
    SpoolUnavailable,
    TokenEndpointFailed,
    TokenRequestRefused,
)
from credentials.grants import (
    DELETED,
    Grant,
    GrantState,
    doubted,
    ended,
    from_record,
    margin_of,
    renewed,
    to_record,
    waits_for,
)
from credentials.introspection import with_end
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
from credentials.parts import Claimed, Parts
from credentials.revoking import Revoker
from credentials.running import detached

log = logging.getLogger("integration.credentials.refresh")

_REFUSED_FROM = 400
_NOT_DONE = frozenset({429, 503})  # by these a server says that it has not even tried
_WITHOUT_CONSENT = frozenset({"client_credentials", "jwt_bearer"})


class _Fate(Enum):
    """What became of a grant that was to be put in its place."""

    KEPT = auto()
    SUPERSEDED = auto()
    DELETED = auto()


class Settler:
    """Brings claims to their end. `unstored` are grants that the store does not have yet."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.revoker = Revoker(parts)
        self.unstored: dict[RecordKey, Grant] = {}
        self._background: set[asyncio.Task[None]] = set()

    async def write(self, key: RecordKey, grant: Grant, version: int) -> int | None:
        """Write a grant; None when somebody else was first."""
        return await self._parts.write(key, to_record(grant), version)

    async def unanswered(
        self, claimed: Claimed, profile: OAuthProfile, error: CredentialsError
    ) -> None:
        """Give a claim back whose request has no answer; what may be spent is in doubt."""
        self._note(claimed.key, "token.refreshed", outcome=type(error).__name__)
        with suppress(CredentialsError):  # then the claim runs out, which says the same
            await self._given_back(claimed, profile, spent=isinstance(error, EndpointSilent))

    async def settle(
        self, claimed: Claimed, profile: OAuthProfile, answer: OutboundAnswer
    ) -> Grant | None:
        """Read an answer and act on it; None: look at the record again.

        Raises `NeedsReauthorization`, `TokenRequestRefused` and `TokenEndpointFailed`.
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
            undone = read.permanent or read.client_fault or answer.status in _NOT_DONE
            refused = await self._refused(claimed, profile, read, spent=not undone)
            await self._unspooled(claimed.key, claimed.attempt)
            if refused is not None:
                raise refused
            return None
        return await self._answered(claimed, profile, read, received_at)

    async def settle_spooled(self, entry: SpoolEntry) -> None:
        """Bring an answer that another process has left to where it belongs, if it still does."""
        found = await self._parts.store.get(entry.key)
        grant = None if found is None else from_record(found.record)
        if found is None or grant is None or not waits_for(grant, entry.attempt):
            await self._parts.spool.drop(entry.key, entry.attempt)
            return
        profile = await self._parts.profiles.of(entry.key.tenant, entry.key.instance_id)
        headers = {"content-type": entry.content_type}
        read = read_token_answer(profile, entry.status, headers, entry.body)
        claimed = Claimed(entry.key, grant, found.version, entry.attempt)
        if isinstance(read, TokenAnswer):
            log.info("an answer for %s was found in the spool", entry.key.instance_id)
            read = await with_end(self._parts, profile, read)
            await self._answered(claimed, profile, read, entry.received_at)
        else:
            await self._given_back(claimed, profile, spent=True)
            await self._parts.spool.drop(entry.key, entry.attempt)

    async def over(
        self, key: RecordKey, grant: Grant, version: int, cause: str
    ) -> NeedsReauthorization | None:
        """Write down that a grant is over, tell its owner, and answer the error.

        None when a newer consent has taken its place meanwhile.
        """
        if await self.write(key, ended(grant, cause), version) is None:
            return None
        error = needs_reauthorization(key, cause)
        await self._told(key, Report(Standing.AUTH_ERROR, "AUTHENTICATION_ERROR", error.message))
        with suppress(CredentialsError):
            found = await self._parts.store.get(key)
            if found is not None and from_record(found.record).state is GrantState.ACTIVE:
                # A newer consent was told of meanwhile, perhaps before this was.
                await self._told(key, Report(Standing.CONNECTED))
        return error

    async def close(self) -> None:
        """Stop what runs in the background; the spool has what it was about."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.revoker.close()

    async def _given_back(self, claimed: Claimed, profile: OAuthProfile, *, spent: bool) -> None:
        """Give a claim back; where the refresh token may be `spent`, it is in doubt."""
        grant = replace(claimed.grant, claim=None)
        if spent and profile.spends and _shows_token(profile, grant):
            grant = doubted(grant, claimed.attempt)
        await self.write(claimed.key, grant, claimed.version)

    async def _unspooled(self, key: RecordKey, attempt: str) -> None:
        """Drop an entry whose answer is dealt with; one that stays is harmless."""
        try:
            await self._parts.spool.drop(key, attempt)
        except SpoolUnavailable as error:
            log.warning("an entry of %s stays in the spool: %s", key.instance_id, error)

    async def _spooled(self, entry: SpoolEntry) -> None:
        try:
            await self._parts.spool.keep(entry)
        except SpoolUnavailable as error:
            # The answer is here all the same, and the store may take it.
            log.error("the spool cannot be written: %s", error)  # noqa: TRY400 - says it all

    async def _answered(
        self, claimed: Claimed, profile: OAuthProfile, answer: TokenAnswer, received_at: float
    ) -> Grant | None:
        key = claimed.key
        self._parts.known(answer.access_token, answer.refresh_token or "")
        grant = renewed(claimed.grant, answer, received_at, claimed.attempt, margin_of(profile))
        try:
            written = await self.write(key, grant, claimed.version) is not None
            fate = _Fate.KEPT if written else await self._placed(key, grant)
        except CredentialsError as error:
            log.warning("a new token of %s waits for the store: %s", key.instance_id, error)
            self.unstored[key] = grant
            self._spawn(self._keep_storing(key, profile, grant))
            return grant
        await self._settled(key, profile, grant, fate)
        if fate is not _Fate.KEPT:
            return None
        if answer.captured or claimed.grant.state is not GrantState.ACTIVE:
            await self._told(key, Report(Standing.CONNECTED, captured=answer.captured))
        return grant

    async def _placed(self, key: RecordKey, grant: Grant) -> _Fate:
        """Put a grant where its claim still stands, if it does."""
        while True:
            found = await self._parts.store.get(key)
            current = None if found is None else from_record(found.record)
            if found is None or current is None or current.cause == DELETED:
                return _Fate.DELETED
            if current.attempt == grant.attempt:  # it has landed before
                return _Fate.KEPT
            if not waits_for(current, grant.attempt):
                return _Fate.SUPERSEDED
            if await self.write(key, grant, found.version) is not None:
                return _Fate.KEPT

    async def _settled(
        self, key: RecordKey, profile: OAuthProfile, grant: Grant, fate: _Fate
    ) -> None:
        """Clear up behind a grant: what was deleted meanwhile stays so, and is revoked."""
        if fate is _Fate.DELETED:
            self.revoker.revoke(key, profile, grant)
        if fate is _Fate.KEPT:
            self._note(key, "token.refreshed", generation=grant.generation)
        else:
            self._note(key, "token.discarded", outcome=fate.name.lower())
        await self._unspooled(key, grant.attempt)

    async def _keep_storing(self, key: RecordKey, profile: OAuthProfile, grant: Grant) -> None:
        tries = 0
        while True:
            await asyncio.sleep(self._parts.timing.store_pause(tries))
            tries += 1
            try:
                fate = await self._placed(key, grant)
            except CredentialsError:
                continue
            except Exception:
                log.exception("a new token of %s cannot be stored yet", key.instance_id)
                continue
            self.unstored.pop(key, None)
            await self._settled(key, profile, grant, fate)
            return

    async def _refused(
        self, claimed: Claimed, profile: OAuthProfile, refusal: TokenRefusal, *, spent: bool
    ) -> CredentialsError | None:
        """Act on a refusal and answer its error; None: look at the record again."""
        grant = claimed.grant
        self._note(claimed.key, "token.refreshed", outcome=refusal.error or "refused")
        if refusal.permanent and _shows_token(profile, grant):
            if profile.grant == "token_exchange":  # which can begin anew
                anew = replace(grant, claim=None, refresh_token="", doubt="")
                await self.write(claimed.key, anew, claimed.version)
                return None
            cause = "in_doubt" if grant.doubt else refusal.error
            return await self.over(claimed.key, grant, claimed.version, cause)
        await self._given_back(claimed, profile, spent=spent)
        details = {"error": refusal.error, "description": refusal.description}
        if refusal.permanent or refusal.client_fault:
            return TokenRequestRefused(
                f"The token endpoint of {claimed.key.instance_id} refuses the client or its "
                f"request ({refusal.error}); check clientId, clientSecret and oauth2Config",
                **details,
            )
        return TokenEndpointFailed(
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

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = detached(work)
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


def _shows_token(profile: OAuthProfile, grant: Grant) -> bool:
    """Tell whether the request for the next token shows the refresh token."""
    return bool(grant.refresh_token) and profile.grant not in _WITHOUT_CONSENT
