"""An executor over fakes, a real upstream on loopback, and the real sender."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress

import pytest
from aiohttp import web

from executor.model import ExecutorLimits
from executor.sender import AiohttpSender
from tests.unit.executor.sockets import Raw, StartRaw
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


@pytest.fixture
async def raw_upstream() -> AsyncIterator[StartRaw]:
    """Starts a TCP server on loopback that reads a request's head and then does as it is told."""
    serving: set[asyncio.Task[None]] = set()
    servers: list[asyncio.Server] = []

    async def start(serve: Raw, heads: list[bytes] | None = None) -> str:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                head = await reader.readuntil(b"\r\n\r\n")
                if heads is not None:
                    heads.append(head)
                await serve(reader, writer)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            serving.add(asyncio.create_task(handle(reader, writer)))

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        servers.append(server)
        host, port = server.sockets[0].getsockname()
        return f"http://{host}:{port}"

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving)
