"""A Vault that is sealed: before an answer can be stored, and under load."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.conformance.vault import Bao
from tests.faults.cluster import Cluster, cluster
from tests.faults.history import check
from tests.faults.load import Load
from tests.faults.measures import FULL, record
from tests.faults.scene import Api, api, expire, give, instances
from tests.faults.vaults import stored, vault, vault_settings
from tests.journeys.doors import Refused, RpcDoor
from tests.servers.oauth import OidcProvider

pytest_plugins = ["tests.servers.fixtures"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUNDS, TOGETHER = (4, 5) if FULL else (1, 4)
SEALED = 20.0 if FULL else 2.0  # seconds
LOADED, RATE = (30.0, 200) if FULL else (4.0, 50)
DUE = 40 if FULL else 7  # seconds of life for a token that falls due while the Vault is sealed
RECOVERY = 2.0  # seconds
AT_ONCE = 0.2  # seconds

House = tuple[Bao, Cluster, Api]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A system that keeps its credentials in a Vault."""
    root = tmp_path_factory.mktemp("outages")
    async with (
        api() as upstream,
        vault(root / "bao", Bao.raft) as bao,
        cluster(root, credentials=2, **vault_settings(bao)) as running,
    ):
        yield bao, running, upstream


async def test_sealed_before_an_answer_is_stored(house: House, oidc: OidcProvider) -> None:
    """Callers get the token all the same, and the store gets it once it is unsealed."""
    bao, running, upstream = house
    door = running.door()
    await oidc.behave(delay_before_ms=1000)
    longest = 0.0
    for number in range(1, ROUNDS + 1):
        ids = await instances(door, oidc, upstream, TOGETHER)
        grants = dict(zip(ids, await expire(door, oidc, *ids), strict=True))
        calls = asyncio.gather(*(door.execute(one, "getMe") for one in ids for _ in range(5)))
        await oidc.arrived(number * TOGETHER + (number - 1) * TOGETHER)
        await asyncio.to_thread(bao.seal)
        await calls
        await asyncio.gather(*(door.execute(one, "getMe") for one in ids))  # and later ones
        await asyncio.sleep(SEALED)
        await asyncio.to_thread(bao.unseal)
        unsealed = time.monotonic()
        for instance in ids:
            await _until_stored(bao, instance)
        longest = max(longest, time.monotonic() - unsealed)
        await check(oidc, running.door(credentials="credentials1"), grants)
    assert longest <= RECOVERY
    assert (await oidc.counts()).refreshes == 2 * ROUNDS * TOGETHER
    record("T6", credentials=ROUNDS * TOGETHER, sealed_seconds=SEALED, stored_after=longest)


async def _until_stored(bao: Bao, instance: str) -> None:
    async with asyncio.timeout(10):
        while True:
            data = (await asyncio.to_thread(stored, bao, instance))["data"]
            grant = json.loads(data["record"])["fields"]
            if grant["generation"] == 2 and grant["claim"] is None:
                return
            await asyncio.sleep(0.02)


async def test_sealed_under_load(house: House, oidc: OidcProvider) -> None:
    """While tokens are good an outage costs no call; who is not remembered is told at once."""
    bao, running, upstream = house
    door = running.door()
    warm, due, cold = await instances(door, oidc, upstream, 3)
    await expire(door, oidc, warm, due, cold)
    for instance in (warm, due):
        await door.execute(instance, "getMe")
    await _short_lived(door, oidc, due)
    requests = (await oidc.counts()).refreshes
    load = Load(lambda: door.execute(warm, "getMe"), RATE)
    waits: list[float] = []
    async with load:
        await asyncio.sleep(1)
        await asyncio.to_thread(bao.seal)
        ends = time.monotonic() + LOADED
        await asyncio.sleep(0.1)
        while time.monotonic() < ends:
            waits.append(await _refused(door, cold))
            await door.execute(due, "getMe")
            await asyncio.sleep(0.3)
        assert (await oidc.counts()).refreshes == requests
        await asyncio.to_thread(bao.unseal)
        recovered = await _recovery(door, cold)
        await asyncio.sleep(1)
    assert load.failed == []
    assert max(waits) <= AT_ONCE
    assert recovered <= RECOVERY
    record(
        "T7",
        sealed_seconds=LOADED,
        calls=load.done,
        rate=RATE,
        failed=len(load.failed),
        cold_seconds=max(waits),
        recovery_seconds=recovered,
    )


async def _short_lived(door: RpcDoor, oidc: OidcProvider, instance: str) -> None:
    """Give an instance a token that will be due soon, and have it remembered."""
    await give(door, oidc, instance, expires_in=DUE)
    await door.execute(instance, "getMe")


async def _refused(door: RpcDoor, instance: str) -> float:
    """Call with credentials that nobody remembers; answers how long the refusal took."""
    started = time.perf_counter()
    with pytest.raises(Refused) as refused:
        await door.execute(instance, "getMe")
    assert (refused.value.code, refused.value.retryable) == ("TEMPORARY_ERROR", True)
    return time.perf_counter() - started


async def _recovery(door: RpcDoor, instance: str) -> float:
    started = time.monotonic()
    async with asyncio.timeout(20):
        while True:
            try:
                await door.execute(instance, "getMe")
            except Refused:
                await asyncio.sleep(0.02)
            else:
                return time.monotonic() - started
