"""Hostile and broken upstreams on real sockets."""

import asyncio
import gzip
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from executor.errors import (
    DeadlinePassed,
    ExecutorError,
    ResponseTooLarge,
    UpstreamFailed,
    UpstreamUnavailable,
    UpstreamUnreachable,
    UpstreamUntrusted,
)
from executor.model import MEBIBYTE, HttpRequest
from executor.sender import AiohttpSender
from tests.fakes import NOON
from tests.unit.executor.sockets import Raw, StartRaw, answer, failure, packed
from tests.unit.executor.world import Start


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
    assert type(error) is UpstreamUnreachable
    assert error.details == {"host": f"127.0.0.1:{port}"}
    assert "topsecret" not in error.message


async def test_an_unknown_name_is_unavailable(real_sender: AiohttpSender) -> None:
    """`.invalid` never resolves (RFC 2606)."""
    error = await failure(real_sender, "http://nobody.invalid/")
    assert type(error) is UpstreamUnreachable


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
    assert type(error) is UpstreamUntrusted
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
    assert type(await failure(real_sender, address)) is UpstreamUnreachable


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
