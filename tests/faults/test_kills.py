"""Credential processes that are killed amid a refresh, and those that come after them."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.cluster import Cluster, cluster
from tests.faults.history import check
from tests.faults.launcher import POINTS, Faults, arm
from tests.faults.measures import FULL, record
from tests.faults.scene import Api, api, expire, instances
from tests.journeys.doors import Refused, RpcDoor
from tests.servers.oauth import OidcProvider

pytest_plugins = ["tests.servers.fixtures"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

KILLS, TOGETHER = (10, 5) if FULL else (1, 1)
LONGEST = 60.0  # seconds until an owner knows
BETWEEN = {"request_sent", "answer_read"}  # the token is spent, and nobody has the answer
TIMING = {"request": 1.5, "claim": 2.0} if FULL else {"request": 0.9, "claim": 1.0}


@dataclass
class House:
    """Two credential processes on one store, the first of which is killed again and again."""

    cluster: Cluster
    upstream: Api
    trap: Path

    @property
    def first(self) -> RpcDoor:
        """The way through the process that dies."""
        return self.cluster.door(executor="executor0", credentials="credentials0")

    @property
    def second(self) -> RpcDoor:
        """The way through the process that stays."""
        return self.cluster.door(executor="executor1", credentials="credentials1")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Run the processes."""
    root = tmp_path_factory.mktemp("kills")
    faults = [Faults(trap=str(root / f"trap{number}"), timing=TIMING) for number in range(2)]
    async with (
        api() as upstream,
        cluster(root, executors=2, credentials=2, faults=faults) as running,
    ):
        yield House(running, upstream, root / "trap0")


@pytest.mark.parametrize("grace", [0, 30])
@pytest.mark.parametrize("point", POINTS)
async def test_killed(house: House, oidc: OidcProvider, point: str, grace: int) -> None:
    """What a killed process had in hand is recovered, or flagged where no client can tell."""
    await oidc.behave(grace_seconds=grace, delay_after_ms=600 if point == "request_sent" else 0)
    ends: Counter[str] = Counter()
    longest = 0.0
    for _ in range(KILLS):
        ids = await instances(house.second, oidc, house.upstream, TOGETHER)
        grants = dict(zip(ids, await expire(house.second, oidc, *ids), strict=True))
        started = await _killed(house, point, ids)
        again = asyncio.create_task(house.cluster.members["credentials0"].start())
        found = dict(zip(ids, await _ends(house, ids), strict=True))
        longest = max(longest, time.monotonic() - started)
        ends.update(found.values())
        await again
        left = {one: grants[one] for one in ids if found[one] == "recovered"}
        await check(oidc, house.second, left, most=2 if grace else 1)
    expected = "flagged" if point in BETWEEN and not grace else "recovered"
    assert ends == {expected: KILLS * TOGETHER}
    assert longest < LONGEST
    record(f"T{4 if grace else 3} {point}", kills=KILLS, **ends, longest_seconds=longest)


async def _killed(house: House, point: str, ids: list[str]) -> float:
    """Have the process refresh these and die; answers when."""
    arm(house.trap, point, len(ids))
    first = house.first
    calls = asyncio.gather(*(first.execute(one, "getMe") for one in ids), return_exceptions=True)
    await house.cluster.members["credentials0"].killed()
    ended = time.monotonic()
    assert all(isinstance(answer, Refused) for answer in await calls)
    return ended


async def _ends(house: House, ids: list[str]) -> list[str]:
    return await asyncio.gather(*(_end(house, one) for one in ids))


async def _end(house: House, instance: str) -> str:
    """Call until it works, or until its owner is told that it cannot."""
    async with asyncio.timeout(LONGEST):
        while True:
            try:
                await house.second.execute(instance, "getMe")
            except Refused as refused:
                if refused.retryable:
                    await asyncio.sleep(0.1)
                    continue
                told = (refused.code, (await house.second.instance(instance))["status"])
                return "flagged" if told == ("AUTHENTICATION_ERROR", "AUTH_ERROR") else str(told)
            else:
                return "recovered"
