"""Silence towards a server that cannot serve."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from credentials.errors import StoreSealed, StoreUnavailable
from credentials.stores.vault.breaker import SUSPECT_AFTER, Breaker


class Server:
    """Is well or not, as tests say, and counts the looks at it."""

    def __init__(self) -> None:
        self.is_well = True
        self.looks = 0

    async def probe(self) -> bool:
        """Tell whether it is well."""
        self.looks += 1
        return self.is_well


@pytest.fixture
def server() -> Server:
    """Answer a server that is well."""
    return Server()


@pytest.fixture
async def breaker(server: Server) -> AsyncIterator[Breaker]:
    """Answer a closed breaker that looks often."""
    breaker = Breaker(server.probe, interval=0.001)
    yield breaker
    await breaker.close()


async def closed(breaker: Breaker) -> None:
    """Wait until it is closed."""
    for _ in range(1000):
        if not breaker.why:
            return
        await asyncio.sleep(0.001)
    pytest.fail("it stayed open")


async def test_closed_at_first(breaker: Breaker, server: Server) -> None:
    """Nobody looks at a server that answers."""
    breaker.check()
    breaker.answered()
    await asyncio.sleep(0.01)
    assert (breaker.why, server.looks) == ("", 0)


async def test_sealed(breaker: Breaker, server: Server) -> None:
    """It is open from the first answer that says so until the server is well."""
    server.is_well = False
    error = breaker.sealed()
    assert isinstance(error, StoreSealed)
    for _ in range(3):
        with pytest.raises(StoreSealed):
            breaker.check()
        await asyncio.sleep(0.005)
    assert "sealed" in breaker.why
    server.is_well = True
    await closed(breaker)
    breaker.check()


async def test_silence_opens_when_the_probe_fails_too(breaker: Breaker, server: Server) -> None:
    """After some silence in a row the server is looked at, and found not to answer."""
    server.is_well = False
    for _ in range(SUSPECT_AFTER - 1):
        breaker.silent()
    await asyncio.sleep(0.01)
    assert (breaker.why, server.looks) == ("", 0)
    breaker.silent()
    await asyncio.sleep(0.01)
    with pytest.raises(StoreUnavailable) as caught:
        breaker.check()
    assert not isinstance(caught.value, StoreSealed)
    server.is_well = True
    await closed(breaker)


async def test_lost_answers_of_a_good_server(breaker: Breaker, server: Server) -> None:
    """Silence of some requests does not stop the others while the server is well."""
    for _ in range(10 * SUSPECT_AFTER):
        breaker.silent()
        await asyncio.sleep(0)
        breaker.check()
    assert server.looks


async def test_an_answer_ends_the_silence(breaker: Breaker, server: Server) -> None:
    """Only silence in a row counts."""
    server.is_well = False
    for _ in range(10):
        for _ in range(SUSPECT_AFTER - 1):
            breaker.silent()
        breaker.answered()
    await asyncio.sleep(0.01)
    assert (breaker.why, server.looks) == ("", 0)


async def test_sealed_while_it_is_looked_at(server: Server) -> None:
    """A seal that comes between a good look and its answer is not forgotten."""
    looked, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> bool:
        looked.set()
        await go_on.wait()
        return await server.probe()

    breaker = Breaker(slow, interval=0.001)
    for _ in range(SUSPECT_AFTER):
        breaker.silent()
    await looked.wait()
    breaker.sealed()
    go_on.set()
    await closed(breaker)
    assert server.looks == 2
    await breaker.close()
