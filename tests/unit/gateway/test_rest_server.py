"""The gateway on a socket, from its first request to its last."""

import asyncio

import pytest
from aiohttp import ClientConnectorError, ClientSession
from google.protobuf.message import Message

from protos.integration.v1 import registry_service_pb2
from services.gateway.app import Gateway
from services.gateway.rest_server import RestServer
from services.runtime.dispatch import Metadata

REGISTRY = registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"]
PATH = "/api/v1/integration-instances/i"
HEADERS = {"Authorization": "Bearer key"}


class SlowDispatch:
    """Answers calls once they are let go; `stubborn` ones are not moved by a cancellation."""

    def __init__(self, *, stubborn: bool = False) -> None:
        self.entered = asyncio.Event()
        self.released = asyncio.Event()
        self._stubborn = stubborn

    async def __call__(
        self, _method: str, _request: Message, _metadata: Metadata, _timeout: float | None
    ) -> Message:
        """Answer an instance."""
        self.entered.set()
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            if not self._stubborn:
                raise
            await self.released.wait()
        return registry_service_pb2.Instance(id="i")


async def started(dispatch: SlowDispatch, drain_seconds: float) -> RestServer:
    """Serve a gateway."""
    server = RestServer(Gateway([REGISTRY], dispatch), "127.0.0.1:0", drain_seconds)
    await server.start()
    return server


async def get(server: RestServer) -> tuple[int, bytes]:
    """Ask for an instance over a connection of its own; answers status and body."""
    url = f"http://127.0.0.1:{server.port}{PATH}"
    async with ClientSession() as session, session.get(url, headers=HEADERS) as response:
        return response.status, await response.read()


async def test_running_requests_finish_and_new_connections_are_refused() -> None:
    """A stop waits for the request inside, with the door shut, and no longer."""
    dispatch = SlowDispatch()
    server = await started(dispatch, drain_seconds=60)
    running = asyncio.create_task(get(server))
    async with asyncio.timeout(20):
        await dispatch.entered.wait()
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0.1)
        with pytest.raises(ClientConnectorError):
            await get(server)
        dispatch.released.set()
        assert await running == (200, b'{"id":"i"}')
        await stopping


async def test_a_request_that_takes_too_long_is_told_to_come_back() -> None:
    """When the time is up, the request is cancelled and answered all the same."""
    dispatch = SlowDispatch()
    server = await started(dispatch, drain_seconds=0.1)
    running = asyncio.create_task(get(server))
    await dispatch.entered.wait()
    await server.stop()
    status, body = await running
    assert status == 503
    assert b'"TEMPORARY_ERROR"' in body
    assert b'"retryable":true' in body


async def test_a_request_that_will_not_end_does_not_hold_the_stop() -> None:
    """Nothing keeps a process beyond its time."""
    dispatch = SlowDispatch(stubborn=True)
    server = await started(dispatch, drain_seconds=0.1)
    running = asyncio.create_task(get(server))
    await dispatch.entered.wait()
    async with asyncio.timeout(20):
        await server.stop()
    dispatch.released.set()
    await asyncio.gather(running, return_exceptions=True)


async def test_connections_at_rest_do_not_hold_the_stop() -> None:
    """A kept connection is closed, and so is one that never said anything."""
    dispatch = SlowDispatch()
    dispatch.released.set()
    server = await started(dispatch, drain_seconds=60)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    async with ClientSession() as session, asyncio.timeout(20):
        url = f"http://127.0.0.1:{server.port}{PATH}"
        async with session.get(url, headers=HEADERS) as response:
            assert response.status == 200
        await server.stop()
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_an_address_that_is_taken() -> None:
    """The error names the address, and nothing stays open."""
    server = await started(SlowDispatch(), drain_seconds=1)
    gateway = Gateway([REGISTRY], SlowDispatch())
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{server.port}: "):
        await RestServer(gateway, f"127.0.0.1:{server.port}", 1).start()
    await server.stop()
