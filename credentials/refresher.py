"""Fetching the next token: once, whoever asks and however many, and losing none on the way.

The way of one refresh, in this order:

1. One task per credential and process does it; callers wait for it, and their leaving stops
   nothing.
2. The record says who is on it. **The claim** is a compare-and-set on that very record: of all
   processes one wins, and having won proves that the store can be written now.
3. The token endpoint is asked once. Nothing is sent again after bytes have been sent.
4. The raw answer goes to the spool, on disk, before anybody looks into it.
5. It is read, the record written with the new tokens and without the claim, the spool entry
   dropped.

A process that dies between 3 and 4 leaves a grant **in doubt**: its refresh token may be spent. One
further try with it is allowed (servers with a grace period answer), and what fails then is told to
the owner. One that dies after 4 has lost nothing: whoever comes next reads the spool.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple
from uuid import uuid4

from credentials.errors import (
    CredentialsError,
    CredentialsNotFound,
    EndpointForbidden,
    EndpointSilent,
    OAuthMisconfigured,
    StoreUnavailable,
    TokenEndpointFailed,
    TokenRequestRefused,
)
from credentials.grants import (
    Claim,
    Freshness,
    Grant,
    GrantState,
    doubted,
    freshness,
    from_record,
)
from credentials.model import OutboundRequest, Part, RecordKey
from credentials.oauth.profile import OAuthProfile
from credentials.oauth.requests import renewal_request
from credentials.parts import Claimed, Parts
from credentials.patience import Patience, monotonic
from credentials.running import detached
from credentials.settling import Settler, needs_reauthorization

log = logging.getLogger("integration.credentials.refresh")

_NOTHING = Grant()
_WORTH_A_PAUSE = (
    TokenEndpointFailed,
    TokenRequestRefused,
    EndpointForbidden,
    OAuthMisconfigured,
)
_CLOCKS_APART = 300.0  # seconds by which a grant may seem to come from the future


class _Wish(NamedTuple):
    """What a caller wants: `refused` as in `fresh`; `at_once`, whatever the pauses say."""

    refused: int = 0
    at_once: bool = False


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
        self._patience = Patience(parts.timing)

    async def fresh(
        self, tenant: str, instance_id: str, *, refused: int = 0, at_once: bool = False
    ) -> Grant:
        """Answer a grant whose access token can be used now.

        `refused` is the generation that the API has just refused: then the next one is fetched,
        unless the present one is younger than `Timing.forced`, or its server has just failed; the
        caller sees by the generation. `at_once` is for somebody who asks for just that: then
        neither counts.
        """
        key = RecordKey(tenant, instance_id, Part.GRANT)
        wish = _Wish(refused, at_once)
        unstored = self._settler.unstored.get(key)
        if unstored is not None:  # the store must have it before another refresh may begin
            return self._unstored(key, unstored)
        joined = key in self._running
        grant = await asyncio.shield(self._task(key, wish))
        if joined and refused and grant.generation <= refused:  # that task knew nothing of it
            grant = await asyncio.shield(self._task(key, wish))
        return grant

    def kick(self, tenant: str, instance_id: str) -> None:
        """Fetch the next token while the present one is still good; nobody waits."""
        key = RecordKey(tenant, instance_id, Part.GRANT)
        if key not in self._settler.unstored and self._patience.may_kick(key):
            _ = self._task(key, _Wish())

    async def recover(self) -> int:
        """Put what a process before us has left in the spool where it belongs.

        Answers how many entries could not be put there yet.
        """
        left = 0
        async for entry in self._parts.spool.entries():
            try:
                await self._settler.settle_spooled(entry)
            except Exception as error:  # noqa: BLE001 - the registry's too: others wait behind it
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

    def _unstored(self, key: RecordKey, grant: Grant) -> Grant:
        if freshness(grant, self._parts.now()) is not Freshness.EXPIRED:
            return grant
        raise StoreUnavailable(
            f"The tokens of {key.instance_id} wait for the store, and have ended meanwhile"
        )

    def _task(self, key: RecordKey, wish: _Wish) -> asyncio.Task[Grant]:
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = detached(self._fetched(key, wish))
            task.add_done_callback(lambda done: self._ended(key, done))
        return task

    def _ended(self, key: RecordKey, task: asyncio.Task[Grant]) -> None:
        if self._running.get(key) is task:
            del self._running[key]
        if not task.cancelled():
            task.exception()  # looked at: perhaps nobody waits any more

    async def _fetched(self, key: RecordKey, wish: _Wish) -> Grant:
        # Between the steps only: a deadline within one could lose an answer that is on its way.
        ends = monotonic() + self._parts.timing.whole
        while monotonic() < ends:
            grant = await self._step(key, wish)
            if grant is not None:
                self._seen(key, grant)
                return grant
        raise TokenEndpointFailed(
            f"The token of {key.instance_id} is being fetched elsewhere for very long; try again"
        )

    async def _step(self, key: RecordKey, wish: _Wish) -> Grant | None:
        """Look at the record and do the next thing; None: look again."""
        found = await self._parts.store.get(key)
        grant = _NOTHING if found is None else from_record(found.record)
        if grant.state is GrantState.NEEDS_REAUTHORIZATION:
            raise needs_reauthorization(key, grant.cause)
        stands = self._patience.claim_stands(key, grant.claim)
        if self._usable(key, grant, wish, is_claimed=stands):
            return grant
        if stands:
            await asyncio.sleep(self._parts.timing.poll())
            return None
        version = 0 if found is None else found.version
        if grant.claim is not None:
            await self._take_over(key, grant, grant.claim, version)
            return None
        return await self._renew(Claimed(key, grant, version, uuid4().hex), wish)

    def _usable(self, key: RecordKey, grant: Grant, wish: _Wish, *, is_claimed: bool) -> bool:
        now = self._parts.now()
        state = freshness(grant, now)
        if state is Freshness.EXPIRED:
            return False
        if wish.refused and grant.generation <= wish.refused:
            age = now - grant.received_at
            # How old a token is that was handed in, nobody knows.
            fetched = bool(grant.attempt)
            young = fetched and -_CLOCKS_APART < age < self._parts.timing.forced
            return not wish.at_once and (young or self._patience.paused(key) is not None)
        return state is Freshness.FRESH or is_claimed or self._patience.paused(key) is not None

    async def _take_over(self, key: RecordKey, grant: Grant, claim: Claim, version: int) -> None:
        """Take a claim from somebody who is gone: what it has brought is in the spool, or lost."""
        entry = await self._parts.spool.find(key, claim.attempt)
        if entry is not None:
            await self._settler.settle_spooled(entry)
            return
        log.warning("the refresh of %s by %s has no known end", key.instance_id, claim.owner)
        free = replace(grant, claim=None)
        if grant.refresh_token:
            free = doubted(grant, claim.attempt)
        await self._settler.write(key, free, version)

    async def _renew(self, before: Claimed, wish: _Wish) -> Grant | None:
        """Claim the record, and exchange; None: look again."""
        key, grant = before.key, before.grant
        profile = await self._parts.profiles.of(key.tenant, key.instance_id)
        pause = None if wish.at_once else self._patience.paused(key)
        if pause is not None and pause.profile == profile:
            raise pause.error.with_traceback(None)
        request = self._request(key, profile, grant)
        if request is None and freshness(grant, self._parts.now()) is not Freshness.EXPIRED:
            return self._irreplaceable(key, grant, wish)
        if request is None:
            over = await self._settler.over(key, grant, before.version, "no_refresh_token")
            if over is not None:
                raise over
            return None
        grant = replace(grant, claim=Claim(self._parts.owner, before.attempt))
        version = await self._settler.write(key, grant, before.version)
        if version is None:
            return None  # lost the race: look who won
        claimed = replace(before, grant=grant, version=version)
        if not before.version and not await self._parts.is_configured(key):
            await self._parts.store.delete(key)  # what was deleted just now must not come back
            return None
        try:
            answered = await self._exchange(claimed, profile, request)
        except _WORTH_A_PAUSE as error:
            self._patience.pause(key, profile, error)
            raise
        self._patience.resume(key)
        return answered

    def _irreplaceable(self, key: RecordKey, grant: Grant, wish: _Wish) -> Grant:
        """Answer a token that was refused, or is to be renewed, and that no request can replace.

        An API refuses for many reasons, some of which pass: it alone does not end what only a new
        consent could bring back.
        """
        if wish.at_once:
            raise OAuthMisconfigured(
                f"The authorization of {key.instance_id} came without a refresh token; its access "
                "token stays as it is",
                field="refreshToken",
            )
        return grant

    async def _exchange(
        self, claimed: Claimed, profile: OAuthProfile, request: OutboundRequest
    ) -> Grant | None:
        try:
            answer = await self._parts.outbound.send(request, self._parts.timing.request)
        except CredentialsError as error:
            await self._settler.unanswered(claimed, profile, error)
            raise
        except Exception as error:
            log.exception("the request for %s has failed", claimed.key.instance_id)
            silent = EndpointSilent("The token endpoint gave no answer that can be used")
            await self._settler.unanswered(claimed, profile, silent)
            raise silent from error
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
