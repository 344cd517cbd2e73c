"""Fetching the next token: once, whoever asks and however many, and losing none on the way.

The way of one refresh, in this order:

1. One task per credential and process does it; callers wait for it, and their leaving stops nothing.
2. The record says who is on it. **The claim** is a compare-and-set on that very record: of all
   processes one wins, and having won proves that the store can be written now.
3. The token endpoint is asked once. Nothing is sent again after bytes have been sent.
4. The raw answer goes to the spool, on disk, before anybody looks into it.
5. It is read, the record written with the new tokens and without the claim, the spool entry dropped.

A process that dies between 3 and 4 leaves a grant **in doubt**: its refresh token may be spent. One
further try with it is allowed (servers with a grace period answer), and what fails then is told to
the owner. One that dies after 4 has lost nothing: whoever comes next reads the spool.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic
from types import MappingProxyType
from uuid import uuid4

from credentials.errors import (
    CredentialsError,
    CredentialsNotFound,
    TokenEndpointFailed,
    TokenRequestRefused,
)
from credentials.grants import Claim, Freshness, Grant, GrantState, freshness, from_record
from credentials.model import OutboundRequest, Part, RecordKey
from credentials.oauth.profile import OAuthProfile
from credentials.oauth.requests import renewal_request
from credentials.parts import Claimed, Parts
from credentials.settling import Settler, needs_reauthorization

log = logging.getLogger("integration.credentials.refresh")

_NOTHING = Grant()
_WORTH_A_PAUSE = (TokenEndpointFailed, TokenRequestRefused)


@dataclass(slots=True)
class _Pause:
    """An endpoint that failed is left alone until `until` (monotonic); `error` says why."""

    failures: int
    until: float
    error: CredentialsError


class Refresher:
    """Answers fresh tokens, each fetched by one process once.

    Whatever the store, the connections and the spool raise comes through, and `CredentialsNotFound`
    where there is no grant and none can be fetched, `NeedsReauthorization` where the owner has to
    consent again, `TokenRequestRefused`, `TokenEndpointFailed`, `EndpointForbidden` and
    `OAuthMisconfigured`. `seen` is told every grant that was looked at.
    """

    def __init__(
        self,
        parts: Parts,
        settler: Settler,
        seen: Callable[[RecordKey, Grant], None] = lambda _key, _grant: None,
    ) -> None:
        self._parts = parts
        self._settler = settler
        self._seen = seen
        self._running: dict[RecordKey, asyncio.Task[Grant]] = {}
        self._pauses: dict[RecordKey, _Pause] = {}
        self._seen_claims: dict[str, float] = {}

    async def fresh(self, tenant: str, instance_id: str, *, refused: int = 0) -> Grant:
        """Answer a grant whose access token can be used now.

        `refused` is the generation that the API has just refused: then the next one is fetched,
        unless the present one is younger than `Timing.forced`. The caller sees by the generation.
        """
        key = RecordKey(tenant, instance_id, Part.GRANT)
        unstored = self._settler.unstored.get(key)
        if unstored is not None:  # the store must have it before another refresh may begin
            return unstored
        return await asyncio.shield(self._task(key, refused))

    def kick(self, tenant: str, instance_id: str) -> None:
        """Fetch the next token while the present one is still good; nobody waits."""
        key = RecordKey(tenant, instance_id, Part.GRANT)
        if key not in self._settler.unstored and self._paused(key) is None:
            _ = self._task(key, 0)

    async def recover(self) -> int:
        """Put what a process before us has left in the spool where it belongs.

        Answers how many entries could not be put there yet.
        """
        left = 0
        async for entry in self._parts.spool.entries():
            try:
                await self._settler.settle_spooled(entry)
            except CredentialsError as error:
                left += 1
                log.warning("a spooled answer of %s is left: %s", entry.key.instance_id, error)
        return left

    async def close(self) -> None:
        """Let running refreshes end, for as long as their request may take, then stop the rest."""
        running = set(self._running.values())
        if running:
            _, left = await asyncio.wait(running, timeout=self._parts.timing.request)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        await self._settler.close()

    def _task(self, key: RecordKey, refused: int) -> asyncio.Task[Grant]:
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self._fetched(key, refused))
            task.add_done_callback(lambda done: self._ended(key, done))
        return task

    def _ended(self, key: RecordKey, task: asyncio.Task[Grant]) -> None:
        if self._running.get(key) is task:
            del self._running[key]
        if not task.cancelled():
            task.exception()  # looked at: perhaps nobody waits any more

    async def _fetched(self, key: RecordKey, refused: int) -> Grant:
        try:
            async with asyncio.timeout(self._parts.timing.whole):
                while True:
                    grant = await self._step(key, refused)
                    if grant is not None:
                        self._seen(key, grant)
                        return grant
        except TimeoutError:
            raise TokenEndpointFailed(
                f"The token of {key.instance_id} is being fetched elsewhere for very long; try "
                "again"
            ) from None

    async def _step(self, key: RecordKey, refused: int) -> Grant | None:
        """Look at the record and do the next thing; None: look again."""
        found = await self._parts.store.get(key)
        grant = _NOTHING if found is None else from_record(found.record)
        if self._usable(key, grant, refused):
            return grant
        if grant.state is GrantState.NEEDS_REAUTHORIZATION:
            raise needs_reauthorization(key, grant.cause)
        version = 0 if found is None else found.version
        if grant.claim is not None:
            await self._behind(key, grant, version)
            return None
        pause = self._paused(key)
        if pause is not None:
            raise pause.error.with_traceback(None)
        return await self._renew(key, grant, version)

    def _usable(self, key: RecordKey, grant: Grant, refused: int) -> bool:
        now = self._parts.now()
        state = freshness(grant, now)
        if state is Freshness.EXPIRED:
            return False
        idle = grant.claim is None and self._paused(key) is None
        if refused and grant.generation <= refused:
            young = 0 <= now - grant.received_at < self._parts.timing.forced
            return young or self._paused(key) is not None
        return state is Freshness.FRESH or not idle

    def _paused(self, key: RecordKey) -> _Pause | None:
        pause = self._pauses.get(key)
        return pause if pause is not None and monotonic() < pause.until else None

    async def _behind(self, key: RecordKey, grant: Grant, version: int) -> None:
        """Somebody has claimed: wait for what comes, or take over from somebody who is gone."""
        claim = grant.claim
        if claim is None:
            return
        seen = self._seen_claims.setdefault(claim.attempt, monotonic())
        if monotonic() - seen < self._parts.timing.claim:
            await asyncio.sleep(self._parts.timing.poll())
            return
        self._seen_claims.clear()  # of all that ever waited; those still waiting begin anew
        entry = await self._parts.spool.find(key, claim.attempt)
        if entry is not None:
            await self._settler.settle_spooled(entry)
            return
        log.warning("the refresh of %s by %s has no known end", key.instance_id, claim.owner)
        doubt = claim.attempt if grant.refresh_token else ""
        await self._settler.write(key, replace(grant, claim=None, doubt=doubt), version)

    async def _renew(self, key: RecordKey, grant: Grant, version: int) -> Grant | None:
        profile = await self._parts.profiles.of(key.tenant, key.instance_id)
        request = self._request(key, profile, grant)
        if request is None:
            await self._settler.over(key, grant, version, "no_refresh_token")
            return None
        attempt = uuid4().hex
        claim = replace(grant, claim=Claim(self._parts.owner, attempt))
        claimed_version = await self._settler.write(key, claim, version)
        if claimed_version is None:
            return None  # lost the race: look who won
        claimed = Claimed(key, claim, claimed_version, attempt)
        try:
            grant_or_none = await self._exchange(claimed, profile, request)
        except _WORTH_A_PAUSE as error:
            self._pause(key, error)
            raise
        self._pauses.pop(key, None)
        return grant_or_none

    async def _exchange(
        self, claimed: Claimed, profile: OAuthProfile, request: OutboundRequest
    ) -> Grant | None:
        try:
            answer = await self._parts.outbound.send(request, self._parts.timing.request)
        except CredentialsError as error:
            await self._settler.unanswered(claimed, profile, error)
            raise
        return await self._settler.settle(claimed, profile, answer)

    def _request(
        self, key: RecordKey, profile: OAuthProfile, grant: Grant
    ) -> OutboundRequest | None:
        """Answer the request for the next token; None: nothing but a new consent brings one."""
        self._parts.known(*profile.secrets, grant.refresh_token)
        request = renewal_request(profile, grant.refresh_token, self._parts.clock())
        if request is not None:
            return request
        if grant.generation:
            return None
        raise CredentialsNotFound(
            f"Instance {key.instance_id} is not authorized yet; start with auth/oauth2/start",
            instanceId=key.instance_id,
        )

    def _pause(self, key: RecordKey, error: CredentialsError) -> None:
        before = self._pauses.get(key)
        failures = 1 if before is None else before.failures + 1
        asked = getattr(error, "retry_after_ms", 0) / 1000
        seconds = max(asked, self._parts.timing.cooldown(failures))
        self._pauses[key] = _Pause(failures, monotonic() + seconds, error)
