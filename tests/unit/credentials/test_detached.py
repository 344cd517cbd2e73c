"""Work that outlives its callers has nothing of theirs."""

from contextvars import ContextVar

from credentials.model import OutboundAnswer, OutboundRequest
from credentials.running import Running, detached
from tests.unit.credentials.world import INSTANCE, TENANT, RotatingServer, World

deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


class WatchingServer:
    """Passes requests on, and remembers under which deadline they were made."""

    def __init__(self, server: RotatingServer) -> None:
        self._server = server
        self.seen: list[float | None] = []

    async def send(self, request: OutboundRequest, timeout: float) -> OutboundAnswer:
        """Send the request."""
        self.seen.append(deadline.get())
        return await self._server.send(request, timeout)


async def _seen() -> float | None:
    return deadline.get()


async def test_a_context_of_its_own() -> None:
    """What a caller has set is not there for work that it has begun."""
    deadline.set(0.05)
    assert await detached(_seen()) is None
    seen: list[float | None] = []

    async def work() -> None:
        seen.append(await _seen())

    await Running(patience=1.0).to_its_end(work())
    assert seen == [None]


async def test_a_refresh_is_nobodys() -> None:
    """The deadline of the caller that begins a refresh is not the refresh's."""
    world = World()
    await world.configured()
    await world.granted()
    server = WatchingServer(world.server)
    process = world.process(server=server)
    deadline.set(0.05)
    grant = await process.refresher.fresh(TENANT, INSTANCE)
    assert grant.generation == 2
    assert server.seen == [None]
    await world.close()
