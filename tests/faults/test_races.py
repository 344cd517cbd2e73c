"""Many callers, many processes, one token that works once."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.faults.cluster import cluster
from tests.faults.history import check, redeemed
from tests.faults.measures import FULL, record
from tests.faults.scene import api, expire, instances
from tests.faults.vaults import kept_in
from tests.journeys.doors import Refused, Result, RpcDoor
from tests.servers.oauth import Fault, OidcProvider

pytest_plugins = ["tests.servers.fixtures"]

ROUNDS = {"local": 50 if FULL else 4, "vault": 50 if FULL else 2}
CALLERS = 500
TOGETHER = 10
CACHED_SECONDS = 1.1


@pytest.mark.parametrize("store", ROUNDS)
async def test_one_token_call_a_round(tmp_path: Path, oidc: OidcProvider, store: str) -> None:
    """Five hundred executions over six processes find a token expired: one call fetches a new."""
    await oidc.behave(delay_before_ms=300)
    waits: list[float] = []
    async with (
        api() as upstream,
        kept_in(store, tmp_path) as settings,
        cluster(tmp_path, executors=4, credentials=2, **settings) as running,
    ):
        doors = [running.door(executor=f"executor{number}") for number in range(4)]
        [instance] = await instances(doors[0], oidc, upstream, 1)
        for number in range(1, ROUNDS[store] + 1):
            [token] = await expire(doors[0], oidc, instance)
            await asyncio.sleep(CACHED_SECONDS)  # the token of the round before is good, too
            upstream.tokens.clear()

            async def call(caller: int) -> None:
                started = time.perf_counter()
                await doors[caller % 4].execute(instance, "getMe")
                waits.append(time.perf_counter() - started)

            await asyncio.gather(*map(call, range(CALLERS)))
            counts = await oidc.counts()
            assert (counts.refreshes, counts.replays) == (number, 0)
            assert len(upstream.tokens) == CALLERS
            assert len(set(upstream.tokens)) == 1
        await check(oidc, doors[0], {instance: token})
    waits.sort()
    p99 = waits[int(len(waits) * 0.99)]
    record(f"T1 {store}", rounds=ROUNDS[store], callers=CALLERS, p99_seconds=p99)


async def test_faulty_server_loses_nothing(tmp_path: Path, oidc: OidcProvider) -> None:
    """No credential is lost, nor redeemed twice, by a server that fails and stalls now and then."""
    count, callers = (200, 50) if FULL else (40, 10)
    stall = 10_000 if FULL else 1_500
    async with api() as upstream, cluster(tmp_path, executors=2, credentials=2) as running:
        doors = [running.door(executor=f"executor{number}") for number in range(2)]
        ids = await instances(doors[0], oidc, upstream, count)
        tokens = await expire(doors[0], oidc, *ids)
        await oidc.fail_every({Fault(status=503): (20, 3), Fault(stall_ms=stall): (20, 7)})
        left = set(ids)
        for _ in range(20):

            async def call(instance: str, caller: int) -> str:
                await doors[caller % 2].execute(instance, "getMe")
                return instance

            calls = [call(instance, caller) for instance in left for caller in range(callers)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            left -= {answer for answer in answers if isinstance(answer, str)}
            if not left:
                break
            await asyncio.sleep(2.2)
        requests = await oidc.token_requests()
        assert left == set()
        assert (await oidc.counts()).replays == 0
        assert redeemed(requests).total() == count
        await oidc.fail_every({})
        await check(oidc, doors[0], dict(zip(ids, tokens, strict=True)))
    record("T2", credentials=count, callers=callers, token_requests=len(requests))


@pytest.mark.parametrize("count", [200 if FULL else 20])
async def test_leaving_callers(tmp_path: Path, oidc: OidcProvider, count: int) -> None:
    """Callers that give up during a refresh leave it to end and to be stored."""
    await oidc.behave(delay_before_ms=300)
    async with api() as upstream, cluster(tmp_path) as running:
        door = running.door()
        ids = await instances(door, oidc, upstream, count)
        grants = dict(zip(ids, await expire(door, oidc, *ids), strict=True))
        left, deadline = ids, 0.05
        async with asyncio.timeout(120):
            while left:  # a caller that left before its call had begun has started nothing
                for number in range(0, len(left), TOGETHER):
                    await _leave(door, left[number : number + TOGETHER], deadline)
                await asyncio.sleep(0.5)
                standings = [await door.credentials("GetCredentialsStatus", one) for one in left]
                left = [
                    one
                    for one, standing in zip(left, standings, strict=True)
                    if standing["status"] != "connected"
                ]
                deadline = 0.1
        counts = await oidc.counts()
        assert (counts.refreshes, counts.replays) == (count, 0)
        await oidc.behave(delay_before_ms=0)
        await check(oidc, door, grants)
    record("T5", refreshes=count)


async def _leave(door: RpcDoor, ids: list[str], deadline: float) -> None:
    calls = [door.execute(instance, "getMe", timeout=deadline) for instance in ids]
    for answer in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(answer, Refused | Result)
