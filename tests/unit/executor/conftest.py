"""An executor over fakes, a real upstream on loopback, and the real sender."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from aiohttp import web

from executor.model import ExecutorLimits
from executor.sender import AiohttpSender
from tests.unit.executor.world import LOOPBACK, Handler, Start, World


@pytest.fixture
def world() -> World:
    """An executor whose upstream is a fake."""
    return World()


@pytest.fixture
async def upstream() -> AsyncIterator[Start]:
    """Starts a real HTTP server on loopback for a handler, and answers its address."""
    async with AsyncExitStack() as stack:

        async def start(handler: Handler) -> str:
            runner = web.ServerRunner(
                web.Server(handler, access_log=None),  # type: ignore[arg-type]
                handler_cancellation=True,
                shutdown_timeout=0,
            )
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            return f"http://{host}:{port}"

        yield start


@pytest.fixture
async def real_sender() -> AsyncIterator[AiohttpSender]:
    """The aiohttp sender, allowed to call loopback."""
    sender = AiohttpSender(LOOPBACK, ExecutorLimits())
    yield sender
    await sender.close()
