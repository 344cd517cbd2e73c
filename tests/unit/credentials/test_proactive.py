"""Fetching tokens before they are needed."""

import asyncio
from collections.abc import Mapping
from typing import Any

from credentials.grants import Grant
from credentials.model import Part, RecordKey
from credentials.proactive import Proactive
from tests.unit.credentials.world import (
    INSTANCE,
    OAUTH2,
    TENANT,
    LoopClock,
    World,
    answer,
    hurried,
)

KEY = RecordKey(TENANT, INSTANCE, Part.GRANT)


def grant(generation: int = 1, lifetime: float = 1000.0, **more: Any) -> Grant:
    """Make a grant that was given at 0."""
    fields: dict[str, Any] = {"refresh_token": "r", "received_at": 0.0, "expires_at": lifetime}
    return Grant(generation=generation, access_token="a", **{**fields, **more})


class Watched:
    """A `Proactive` and when it has kicked what."""

    def __init__(self) -> None:
        self.kicks: list[tuple[float, str, str]] = []
        self.began = asyncio.get_running_loop().time()
        self.proactive = Proactive(self._kick, self.now)

    def now(self) -> float:
        """Answer the seconds since the beginning."""
        return asyncio.get_running_loop().time() - self.began

    def _kick(self, tenant: str, instance_id: str) -> None:
        self.kicks.append((round(self.now()), tenant, instance_id))


def test_kicks_at_four_fifths_of_a_life() -> None:
    """A token is kicked when four fifths of its life are over, and again while nothing comes."""

    async def scenario() -> None:
        watched = Watched()
        watched.proactive.watch(KEY, grant())
        await asyncio.sleep(799)
        assert watched.kicks == []
        await asyncio.sleep(2)
        assert watched.kicks == [(800, TENANT, INSTANCE)]
        await asyncio.sleep(10_000)
        assert [at for at, _, _ in watched.kicks] == [800, 860, 980, 1220, 1700]
        await watched.proactive.close()

    hurried(scenario())


def test_only_the_newest_generation_counts() -> None:
    """A token that was replaced is not kicked, and one that is seen again is remembered once."""

    async def scenario() -> None:
        watched = Watched()
        for _ in range(3):
            watched.proactive.watch(KEY, grant())
        await asyncio.sleep(700)
        watched.proactive.watch(KEY, grant(2, 1000, received_at=700.0, expires_at=1700.0))
        await asyncio.sleep(700)
        assert watched.kicks == []
        await asyncio.sleep(101)
        assert [at for at, _, _ in watched.kicks] == [1500]
        await watched.proactive.close()

    hurried(scenario())


def test_the_next_due_comes_first() -> None:
    """Whatever the order in which tokens are seen, the one that is due first is kicked first."""

    async def scenario() -> None:
        watched = Watched()
        for name, lifetime in (("late", 5000.0), ("soon", 500.0), ("middle", 2000.0)):
            key = RecordKey(TENANT, name, Part.GRANT)
            watched.proactive.watch(key, grant(lifetime=lifetime))
            await asyncio.sleep(0)
        await asyncio.sleep(4100)
        firsts = list(dict.fromkeys(name for _, _, name in watched.kicks))
        assert firsts == ["soon", "middle", "late"]
        await watched.proactive.close()

    hurried(scenario())


def test_nothing_to_fetch_early() -> None:
    """Tokens without an end, without a refresh token, or refreshed by hand are not kicked."""

    async def scenario() -> None:
        watched = Watched()
        for each in (grant(expires_at=None), grant(refresh_token=""), grant(margin=0.0)):
            watched.proactive.watch(KEY, each)
        await asyncio.sleep(10_000)
        assert watched.kicks == []
        await watched.proactive.close()

    hurried(scenario())


async def in_world(oauth2: Mapping[str, Any] = OAUTH2) -> World:
    """Answer a world with a grant, by a clock that goes with the loop."""
    world = World(oauth2=oauth2, clock=LoopClock())
    await world.configured()
    await world.granted()
    return world


def test_tokens_are_renewed_while_nobody_asks() -> None:
    """Once seen, a token is renewed before its end for ever, by one of several processes."""

    async def scenario() -> None:
        world = await in_world()
        processes = [world.process("first"), world.process("second")]
        await asyncio.gather(*(each.refresher.fresh(TENANT, INSTANCE) for each in processes))
        await asyncio.sleep(4 * 3600)
        assert 5 <= world.server.grants["refresh_token"] <= 7
        assert world.server.replays == 0
        await world.close()

    hurried(scenario())


def test_a_server_that_is_down_is_asked_again() -> None:
    """A kick that fails is repeated, so that the token is there again before its end."""

    async def scenario() -> None:
        world = await in_world()
        process = world.process()
        await process.refresher.fresh(TENANT, INSTANCE)
        world.server.faults = [answer({}, 503), answer({}, 503)]
        await asyncio.sleep(3500)
        assert (await world.stored()).generation == 3
        await world.close()

    hurried(scenario())


def test_a_manual_strategy_renews_nothing() -> None:
    """By a manual strategy a token is renewed when somebody needs one, and not before."""

    async def scenario() -> None:
        world = await in_world({**OAUTH2, "refreshTokenConfig": {"strategy": "manual"}})
        process = world.process()
        await process.refresher.fresh(TENANT, INSTANCE)
        await asyncio.sleep(24 * 3600)
        assert world.server.grants == {"refresh_token": 1}
        await process.refresher.fresh(TENANT, INSTANCE)
        assert world.server.grants == {"refresh_token": 2}
        await world.close()

    hurried(scenario())
