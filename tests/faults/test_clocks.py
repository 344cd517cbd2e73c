"""Credential processes whose clocks do not agree."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.cluster import cluster
from tests.faults.history import check, redeemed
from tests.faults.launcher import Faults
from tests.faults.measures import FULL, record
from tests.faults.scene import api, expire, instances
from tests.faults.test_races import CACHED_SECONDS
from tests.servers.oauth import OidcProvider

pytest_plugins = ["tests.servers.fixtures"]

APART = 120.0  # seconds that one is fast and the other slow
LIFE = 3600.0  # of a token
STEP = 300.0 if FULL else 600.0
STEPS = 48 if FULL else 9
CALLERS = 5


@dataclass
class Times:
    """When, by the lapse of time, each token was first seen and last used."""

    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)

    def saw(self, token: str, lapse: float) -> None:
        """Take note of a use."""
        self.first.setdefault(token, lapse)
        self.last[token] = lapse

    def longest(self) -> float:
        """Answer how old a token may have been at its last use: new since the step before."""
        return max(self.last[token] - self.first[token] for token in self.first) + STEP


async def test_clocks_apart(tmp_path: Path, oidc: OidcProvider) -> None:
    """Hours go by on clocks four minutes apart: none redeems a token twice or uses one too long."""
    lapse = tmp_path / "lapse"
    _set(lapse, 0)
    faults = [Faults(ahead=ahead, lapse=str(lapse)) for ahead in (APART, -APART)]
    times = Times()
    async with (
        api() as upstream,
        cluster(tmp_path, executors=2, credentials=2, faults=faults) as running,
    ):
        doors = [
            running.door(executor=f"executor{number}", credentials=f"credentials{number}")
            for number in range(2)
        ]
        [instance] = await instances(doors[0], oidc, upstream, 1)
        [token] = await expire(doors[0], oidc, instance)
        for step in range(STEPS):
            upstream.tokens.clear()
            calls = [door.execute(instance, "getMe") for door in doors for _ in range(CALLERS)]
            await asyncio.gather(*calls)
            for used in upstream.tokens:
                times.saw(used, step * STEP)
            await asyncio.sleep(CACHED_SECONDS)  # a tick of time takes as long as anybody caches
            _set(lapse, (step + 1) * STEP)
        refreshes = (await oidc.counts()).refreshes
        assert (await oidc.counts()).replays == 0
        assert set(redeemed(await oidc.token_requests()).values()) == {1}
        assert len(times.first) == refreshes > STEPS * STEP / LIFE
        assert times.longest() <= LIFE
        await check(oidc, doors[1], {instance: token})
    record("T17", hours=STEPS * STEP / 3600, refreshes=refreshes, oldest_seconds=times.longest())


def _set(lapse: Path, seconds: float) -> None:
    draft = lapse.with_suffix(".draft")
    draft.write_text(str(seconds))
    draft.replace(lapse)
