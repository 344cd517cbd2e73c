"""The aiohttp sender against real sockets on loopback."""

import asyncio
import gzip
import ssl
import zlib
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from executor.errors import (
    MethodNotCallable,
    UpstreamFailed,
    UpstreamUnreachable,
)
from executor.model import MEBIBYTE, ExecutorLimits, HttpRequest
from executor.sender import CAUSES, AiohttpSender
from tests.unit.executor.sockets import StartRaw, failure, packed
from tests.unit.executor.world import LOOPBACK, Start


async def test_url_headers_and_body_go_out_byte_for_byte(
    raw_upstream: StartRaw, real_sender: AiohttpSender
) -> None:
    """Nothing is normalised, requoted or added but the framing and what we can decode."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readexactly(7))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()

    address = await raw_upstream(serve, seen)
    target = "/a%2Fb/%7e//x;y=1?q=%20+%2B&r=%E2%98%83&s=a:b"
    headers = (("Accept", "application/json"), ("User-Agent", "us"), ("X-One", "1"))
    request = HttpRequest("PATCH", address + target, headers, b'{"a":1}')
    response = await real_sender.send(request, 5.0)
    assert (response.status, response.body) == (200, b"{}")
    head, body = seen
    first, *lines = head.decode().removesuffix("\r\n\r\n").split("\r\n")
    assert first == f"PATCH {target} HTTP/1.1"
    assert sorted(lines) == sorted(
        [
            f"Host: {address.removeprefix('http://')}",
            "Accept-Encoding: gzip, deflate",
            "Accept: application/json",
            "User-Agent: us",
            "X-One: 1",
            "Content-Length: 7",
        ]
    )
    assert body == b'{"a":1}'


async def test_an_empty_path_is_the_root(upstream: Start, real_sender: AiohttpSender) -> None:
    """A base address without a path can be called, with and without a query."""
    seen: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return web.json_response(1)

    address = await upstream(handle)
    await real_sender.send(HttpRequest("GET", address), 5.0)
    await real_sender.send(HttpRequest("GET", f"{address}?a=1"), 5.0)
    assert seen == ["/", "/?a=1"]


async def test_large_bodies_are_sent_whole(upstream: Start, real_sender: AiohttpSender) -> None:
    """A body of several mebibytes arrives with its length."""
    body = b"x" * (3 * MEBIBYTE)
    server_sizes: list[tuple[int, str | None]] = []

    async def handle(request: web.BaseRequest) -> web.Response:
        size = 0
        async for chunk in request.content.iter_any():
            size += len(chunk)
        server_sizes.append((size, request.headers.get("Content-Length")))
        return web.json_response(1)

    address = await upstream(handle)
    await real_sender.send(HttpRequest("POST", address, (), body), 20.0)
    assert server_sizes == [(len(body), str(len(body)))]


async def test_cookies_are_not_kept(upstream: Start, real_sender: AiohttpSender) -> None:
    """What one call is given to remember, the next does not show: it may be another tenant's."""
    cookies: list[str | None] = []

    async def handle(request: web.Request) -> web.Response:
        cookies.append(request.headers.get("Cookie"))
        return web.json_response(1, headers={"Set-Cookie": "session=1; Path=/"})

    address = await upstream(handle)
    for _ in range(2):
        await real_sender.send(HttpRequest("GET", address), 5.0)
    assert cookies == [None, None]


async def test_proxies_of_the_environment_are_not_used(
    upstream: Start, real_sender: AiohttpSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard would only see the proxy's address."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    async def handle(_request: web.Request) -> web.Response:
        return web.json_response(1)

    response = await real_sender.send(HttpRequest("GET", await upstream(handle)), 5.0)
    assert response.body == b"1"


@pytest.mark.parametrize("status", [200, 201, 204, 301, 302, 307, 400, 401, 404, 429, 500, 503])
async def test_every_status_is_answered(
    upstream: Start, real_sender: AiohttpSender, status: int
) -> None:
    """A status is no error here, and redirects are not followed."""
    calls: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        calls.append(request.path)
        return web.Response(status=status, headers={"Location": "/other", "X-A": "b"})

    response = await real_sender.send(HttpRequest("POST", await upstream(handle)), 5.0)
    assert response.status == status
    assert response.header("x-a") == "b"
    assert calls == ["/"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw deflate"])
async def test_packed_answers_are_unpacked(
    raw_upstream: StartRaw, real_sender: AiohttpSender, encoding: str
) -> None:
    """Gzip and both forms of deflate are read."""
    body = b'{"n":1.0}' * 1000
    raw = zlib.compressobj(wbits=-15)
    data = {
        "gzip": gzip.compress(body),
        "deflate": zlib.compress(body),
        "raw deflate": raw.compress(body) + raw.flush(),
    }[encoding]
    serve = packed(data, b"gzip" if encoding == "gzip" else b"deflate")
    response = await real_sender.send(HttpRequest("GET", await raw_upstream(serve)), 5.0)
    assert response.body == body


async def test_connections_are_used_again(upstream: Start, real_sender: AiohttpSender) -> None:
    """Calls one after another share a connection, also after an error status."""
    peers: set[Any] = set()

    async def handle(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.json_response({}, status=500)

    address = await upstream(handle)
    for _ in range(3):
        await real_sender.send(HttpRequest("GET", address), 5.0)
    assert len(peers) == 1


def test_every_error_of_aiohttp_has_a_meaning() -> None:
    """The table is closed: each exception of the client finds a row."""
    kinds = [
        value
        for value in vars(aiohttp).values()
        if isinstance(value, type) and issubclass(value, aiohttp.ClientError)
    ]
    assert len(kinds) > 20
    for kind in kinds:
        assert any(base in CAUSES for base in kind.__mro__), kind
    assert any(base in CAUSES for base in ssl.SSLError.__mro__)


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://a:99999/", "gopher://a.example/", "nothing"]
)
async def test_what_is_no_url_is_refused(real_sender: AiohttpSender, url: str) -> None:
    """A URL that cannot be called is the definition's fault."""
    assert isinstance(await failure(real_sender, url), MethodNotCallable | UpstreamFailed)


async def test_can_be_closed_and_used_again(upstream: Start) -> None:
    """Closing is allowed at any time, also twice."""
    sender = AiohttpSender(LOOPBACK, ExecutorLimits())
    await sender.close()

    async def handle(_request: web.Request) -> web.Response:
        return web.json_response(1)

    address = await upstream(handle)
    for _ in range(2):
        assert (await sender.send(HttpRequest("GET", address), 5.0)).body == b"1"
        await sender.close()


async def test_a_connection_may_have_a_limit_of_its_own(
    raw_upstream: StartRaw, real_sender: AiohttpSender
) -> None:
    """A handshake that nobody answers ends as one that was never made, before the deadline."""

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    silent = (await raw_upstream(serve)).replace("http:", "https:")
    with pytest.raises(UpstreamUnreachable):
        await real_sender.send(HttpRequest("GET", silent, connect_timeout=0.1), 10.0)


async def test_the_limit_of_a_connection_is_not_that_of_the_answer(
    upstream: Start, real_sender: AiohttpSender
) -> None:
    """An answer may take longer than the connection may."""

    async def handle(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.3)
        return web.json_response(1)

    request = HttpRequest("GET", await upstream(handle), connect_timeout=0.2)
    assert (await real_sender.send(request, 10.0)).body == b"1"
