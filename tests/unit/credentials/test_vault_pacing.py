"""Learning a quota from its refusals alone."""

import pytest

from credentials.errors import StoreUnavailable
from credentials.stores.vault.pacing import MAX_WAIT, WINDOW, Pacer


class Server:
    """A quota of so many requests in each second of a clock that tests move."""

    def __init__(self, quota: int) -> None:
        self.now = 100.0
        self.quota = quota
        self.asked = 0
        self.passed = 0
        self._second = 0
        self._used = 0

    def clock(self) -> float:
        """Answer the time, in seconds."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.now += seconds

    async def ask(self, pacer: Pacer) -> bool:
        """Make one request; answer whether it was let through."""
        await pacer.turn()
        self.asked += 1
        if int(self.now) != self._second:
            self._second, self._used = int(self.now), 0
        self._used += 1
        if self._used > self.quota:
            pacer.refused()
            return False
        pacer.passed()
        self.passed += 1
        return True


async def test_nothing_is_held_back_without_a_refusal() -> None:
    """However many requests there are, none waits."""
    server = Server(quota=10_000)
    pacer = Pacer(server.clock, server.sleep)
    for _ in range(5_000):
        assert await server.ask(pacer)
    assert server.now == 100.0


@pytest.mark.parametrize("quota", [1, 5, 50])
async def test_a_quota_is_met(quota: int) -> None:
    """Over a minute of asking as fast as allowed, most of the quota is used and little wasted."""
    server = Server(quota)
    pacer = Pacer(server.clock, server.sleep)
    while server.now < 160.0:
        await server.ask(pacer)
        server.now += 0.001
    assert server.asked <= 1.3 * 60 * quota + 20
    assert server.passed >= 0.6 * 60 * quota


async def test_whoever_would_wait_long_is_told() -> None:
    """Callers that come all at once are not queued for longer than is bearable."""
    server = Server(quota=1)

    async def stand_still(_seconds: float) -> None:
        pass

    pacer = Pacer(server.clock, stand_still)
    pacer.passed()
    pacer.refused()
    told = 0
    for _ in range(20):
        try:
            await pacer.turn()
        except StoreUnavailable:
            told += 1
    assert 20 - told <= MAX_WAIT / WINDOW + 1


async def test_a_quota_is_forgotten() -> None:
    """A minute after the last refusal nothing is held back any more."""
    server = Server(quota=1)
    pacer = Pacer(server.clock, server.sleep)
    pacer.refused()
    server.now += 61
    for _ in range(100):
        await pacer.turn()
    assert server.now == 161.0


async def test_refusals_together_count_once() -> None:
    """Requests that were under way together when the quota ended slow us down once."""
    server = Server(quota=100)
    pacer = Pacer(server.clock, server.sleep)
    for _ in range(100):
        pacer.passed()
    for _ in range(50):
        pacer.refused()
    before = server.now
    for _ in range(80):
        await pacer.turn()
    assert server.now - before < 1.5
