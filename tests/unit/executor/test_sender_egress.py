"""The sender dials only what it may."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from executor.egress import EgressPolicy
from executor.errors import (
    EgressDenied,
    MethodNotCallable,
    UpstreamUnavailable,
)
from executor.model import ExecutorLimits
from executor.sender import AiohttpSender
from tests.unit.executor.sockets import failure
from tests.unit.executor.world import Start


@pytest.fixture
async def guarded_sender() -> AsyncIterator[AiohttpSender]:
    """The sender with the policy that every installation starts with."""
    sender = AiohttpSender(EgressPolicy(), ExecutorLimits())
    yield sender
    await sender.close()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "localhost",
        "0.0.0.0",  # noqa: S104
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::]",
    ],
)
async def test_loopback_is_denied_in_every_spelling(
    upstream: Start, guarded_sender: AiohttpSender, host: str
) -> None:
    """The address that would be dialled is judged, however it was written; none is reached."""
    calls: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        calls.append(request.path)
        return web.json_response(1)

    port = (await upstream(handle)).rpartition(":")[2]
    error = await failure(guarded_sender, f"http://{host}:{port}/?key=topsecret")
    assert isinstance(error, EgressDenied | UpstreamUnavailable | MethodNotCallable)
    if host in {"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"}:
        assert type(error) is EgressDenied
        assert error.details["host"] == f"{host}:{port}"
        assert error.details["address"] in {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert "topsecret" not in error.message
    assert calls == []


async def test_a_name_with_several_private_addresses_is_denied(
    guarded_sender: AiohttpSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name with several addresses inside is denied as one with a single address is."""
    loop = asyncio.get_running_loop()

    async def getaddrinfo(*_args: object, **_named: object) -> list[Any]:
        return [
            (2, 1, 6, "", ("10.0.0.1", 80)),
            (2, 1, 6, "", ("169.254.169.254", 80)),
        ]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    error = await failure(guarded_sender, "http://rebound.example/")
    assert type(error) is EgressDenied
    assert error.details["host"] == "rebound.example"
    assert error.details["address"] in {"10.0.0.1", "169.254.169.254"}
