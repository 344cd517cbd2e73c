"""Refreshing what nobody uses, before its server forgets it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from credentials.grants import GrantState, to_record
from credentials.keep_alive import IDLE, KeepAlive
from tests.unit.credentials.world import GRANT, World, answer


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Answer a configured world."""
    made = World()
    await made.configured()
    yield made
    await made.close()


def keeper(world: World, every: float = 3600.0) -> KeepAlive:
    """Answer the upkeep of a new process."""
    process = world.process()
    return KeepAlive(process.parts, process.refresher, every=every)


async def aged(world: World, age: float, **changes: Any) -> None:
    """Give the instance a grant that came so many seconds ago; its access token lives long."""
    now = world.clock().timestamp()
    await world.granted(received_at=now - age, expires_at=now + 10 * IDLE)
    if changes:
        found = await world.inner.get(GRANT)
        assert found is not None
        changed = replace(await world.stored(), **changes)
        await world.inner.put(GRANT, to_record(changed), found.version)


async def test_idle_grant_is_refreshed(world: World) -> None:
    """A grant that nobody has used for a day is refreshed, however long its token would live."""
    await aged(world, IDLE + 1)
    visitors = [keeper(world), keeper(world)]
    await asyncio.gather(*(visitor.visit() for visitor in visitors))
    assert world.server.replays == 0
    assert (await world.stored()).generation >= 2
    assert await keeper(world).visit() == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"refresh_token": ""},
        {"margin": 0.0},
        {"state": GrantState.NEEDS_REAUTHORIZATION},
        {"doubt": "attempt-1"},
        {"refresh_expires_at": 0.0},
    ],
    ids=["no refresh token", "manual", "over", "in doubt", "refresh token over"],
)
async def test_what_is_left_alone(world: World, changes: dict[str, Any]) -> None:
    """Nothing is sent for a grant that a refresh does not help, or must not touch."""
    await aged(world, IDLE + 1, **changes)
    assert await keeper(world).visit() == 0
    assert world.server.requests == []


async def test_used_grant_is_left_alone(world: World) -> None:
    """A grant whose token came within the day is not idle."""
    await aged(world, IDLE - 1)
    assert await keeper(world).visit() == 0
    assert world.server.requests == []


async def test_failure_does_not_end_the_upkeep(world: World) -> None:
    """Where a server fails, the next visit tries again."""
    await aged(world, IDLE + 1)
    world.server.faults = [answer({"error": "temporarily_unavailable"}, 503)]
    visitor = keeper(world)
    assert await visitor.visit() == 0
    assert await visitor.visit() == 1


async def test_rounds(world: World) -> None:
    """Visits come by themselves, round after round, until the process ends."""
    await aged(world, IDLE + 1)
    visitor = keeper(world, every=0.01)
    visitor.start()
    async with asyncio.timeout(10):
        while (await world.stored()).generation < 2:  # noqa: ASYNC110 - another task's doing
            await asyncio.sleep(0.01)
    await visitor.close()
