"""The aiohttp sender against real sockets on loopback."""

import asyncio
import gzip
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from executor.egress import EgressPolicy
from executor.errors import (
    DeadlinePassed,
    EgressDenied,
    ExecutorError,
    MethodNotCallable,
    ResponseTooLarge,
    UpstreamFailed,
    UpstreamUnavailable,
)
from executor.model import MEBIBYTE, ExecutorLimits, HttpRequest
from executor.sender import CAUSES, AiohttpSender
from tests.fakes import NOON
from tests.unit.executor.world import LOOPBACK, Start

Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class StartRaw(Protocol):
    """Starts a server; `heads` is given the heads of its requests."""

    async def __call__(self, serve: Raw, heads: list[bytes] | None = None) -> str:
        """Answer the server's address."""
        ...


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


def answer(*pieces: bytes) -> Raw:
    """Answer these bytes and close."""

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
        await writer.drain()

    return serve


def packed(body: bytes, encoding: bytes = b"gzip") -> Raw:
    """Answer a body in a content encoding."""
    return answer(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
        % (encoding, len(body)),
        body,
    )


async def failure(sender: AiohttpSender, url: str, timeout: float = 5.0) -> ExecutorError:
    """Answer the error that a GET ends with."""
    with pytest.raises(ExecutorError) as caught:
        await sender.send(HttpRequest("GET", url), timeout)
    return caught.value


# --- What goes out ------------------------------------------------------------------------------


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

    address = await upstream(handle)  # type: ignore[arg-type]
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


# --- What comes back ----------------------------------------------------------------------------


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


# --- Hostile and broken upstreams ---------------------------------------------------------------


async def test_an_answer_over_the_limit_is_not_read(
    raw_upstream: StartRaw, real_sender: AiohttpSender
) -> None:
    """An announced length over the limit is refused before a byte of it is read."""
    serve = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
    error = await failure(real_sender, await raw_upstream(serve))
    assert type(error) is ResponseTooLarge
    assert error.details == {"limit": 10 * MEBIBYTE}


async def test_an_endless_answer_is_cut_off(
    raw_upstream: StartRaw, real_sender: AiohttpSender
) -> None:
    """Without an announced length, reading stops at the limit and the connection is closed."""
    sent = 0

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            sent += 65536
            await writer.drain()

    error = await failure(real_sender, await raw_upstream(serve), 30.0)
    assert type(error) is ResponseTooLarge
    assert sent < 40 * MEBIBYTE


@pytest.mark.parametrize(
    ("size", "details"),
    [(4 * MEBIBYTE, {"ratio": 200}), (64 * MEBIBYTE, {"limit": 10 * MEBIBYTE})],
)
async def test_a_bomb_is_not_unpacked(
    raw_upstream: StartRaw, real_sender: AiohttpSender, size: int, details: dict[str, int]
) -> None:
    """What is packed beyond all measure is not swallowed, be it over the limit or below it."""
    bomb = gzip.compress(b"0" * size)
    error = await failure(real_sender, await raw_upstream(packed(bomb)), 30.0)
    assert type(error) is ResponseTooLarge
    assert error.details == details


async def test_a_large_answer_within_the_limit_is_read(
    upstream: Start, real_sender: AiohttpSender
) -> None:
    """Nearly ten mebibytes are fine."""
    body = b'"' + b"x" * (10 * MEBIBYTE - 2) + b'"'

    async def handle(_request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(_request)
        for start in range(0, len(body), MEBIBYTE):
            await response.write(body[start : start + MEBIBYTE])
        return response

    response = await real_sender.send(HttpRequest("GET", await upstream(handle)), 30.0)
    assert response.body == body


@pytest.mark.parametrize(
    ("serve", "kind"),
    [
        (answer(b"SSH-2.0-OpenSSH_9.9\r\n"), UpstreamFailed),
        (answer(b"HTTP/1.1 abc OK\r\n\r\n"), UpstreamFailed),
        (answer(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000 + b"\r\n\r\n"), UpstreamFailed),
        (answer(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), UpstreamFailed),
        (packed(b"this is not gzip"), UpstreamFailed),
        (packed(b"\x1b\x00\x00", b"br"), UpstreamFailed),
        (answer(), UpstreamUnavailable),
        (answer(b"HTTP/1.1 200 OK\r\n"), UpstreamUnavailable),
        (answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}"), UpstreamUnavailable),
        (
            answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
            UpstreamUnavailable,
        ),
    ],
    ids=[
        "no HTTP",
        "bad status",
        "long header",
        "bad length",
        "no gzip",
        "brotli",
        "closed",
        "half a head",
        "half a body",
        "half a chunk",
    ],
)
async def test_broken_answers_have_their_errors(
    raw_upstream: StartRaw, real_sender: AiohttpSender, serve: Raw, kind: type[ExecutorError]
) -> None:
    """What is no HTTP failed for good; what broke off may work the next time."""
    error = await failure(real_sender, await raw_upstream(serve))
    assert type(error) is kind
    assert str(error.details["host"]).startswith("127.0.0.1:")


async def test_a_reset_connection_is_unavailable(
    raw_upstream: StartRaw, real_sender: AiohttpSender
) -> None:
    """A reset in the middle of an answer is no crash."""

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{")
        await writer.drain()
        writer.transport.abort()

    assert type(await failure(real_sender, await raw_upstream(serve))) is UpstreamUnavailable


async def test_an_upstream_that_is_down_is_unavailable(real_sender: AiohttpSender) -> None:
    """Nothing listens: the error names the host and neither path nor key."""
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    error = await failure(real_sender, f"http://127.0.0.1:{port}/path?key=topsecret")
    assert type(error) is UpstreamUnavailable
    assert error.details == {"host": f"127.0.0.1:{port}"}
    assert "topsecret" not in error.message


async def test_an_unknown_name_is_unavailable(real_sender: AiohttpSender) -> None:
    """`.invalid` never resolves (RFC 2606)."""
    error = await failure(real_sender, "http://nobody.invalid/")
    assert type(error) is UpstreamUnavailable


async def test_an_untrusted_certificate_is_a_failure(
    real_sender: AiohttpSender, tmp_path: Path
) -> None:
    """A server that nobody vouches for is not talked to; trying again would not help."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(tmp_path))
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    error = await failure(real_sender, f"https://localhost:{port}/")
    server.close()
    await server.wait_closed()
    assert type(error) is UpstreamFailed
    assert "certificate" in error.message


def self_signed(directory: Path) -> tuple[Path, Path]:
    """Write a certificate for localhost that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOON - timedelta(days=3650))
        .not_valid_after(NOON + timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = directory / "certificate.pem", directory / "key.pem"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


async def test_https_does_not_fall_back(upstream: Start, real_sender: AiohttpSender) -> None:
    """HTTPS against a server that speaks none is an error."""

    async def handle(_request: web.Request) -> web.Response:
        return web.json_response(1)

    address = (await upstream(handle)).replace("http:", "https:")
    assert isinstance(await failure(real_sender, address), UpstreamUnavailable)


@pytest.mark.parametrize("drip", [False, True])
async def test_slow_upstreams_meet_the_deadline(
    raw_upstream: StartRaw,
    real_sender: AiohttpSender,
    drip: bool,  # noqa: FBT001
) -> None:
    """The time bounds the whole exchange, also when a byte comes now and then."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if drip:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(1000):
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
        await reader.read()

    error = await failure(real_sender, await raw_upstream(serve), 0.2)
    assert type(error) is DeadlinePassed
    assert error.details == {"phase": "send", "timeoutMs": 200}


async def test_cancelling_closes_the_socket(
    raw_upstream: StartRaw, real_sender: AiohttpSender
) -> None:
    """An upstream sees that nobody waits any more."""
    asked, closed = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        closed.set()

    address = await raw_upstream(serve)
    task = asyncio.create_task(real_sender.send(HttpRequest("GET", address), 30.0))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(closed.wait(), 10)


# --- Egress -------------------------------------------------------------------------------------


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


# --- Its errors and its life --------------------------------------------------------------------


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
