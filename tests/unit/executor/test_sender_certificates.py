"""Client certificates, shown to real TLS servers on loopback."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import orjson
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from credentials.model import Authorization, AuthScheme, ClientCertificate, OutgoingRequest
from executor.egress import EgressPolicy
from executor.errors import (
    CredentialsRefused,
    EgressDenied,
    ExecutorError,
    MethodNotCallable,
    UpstreamUntrusted,
)
from executor.model import ExecutorLimits, HttpRequest, MethodCall
from executor.sender import AiohttpSender
from registry.model import AuthPlacement, CertificatePlacement, Target
from tests.fakes import FixedAuthorizer
from tests.pki import Authority
from tests.unit.executor.world import TENANT, Start, World, definition, instance, method

AUTHORITY = Authority()
LONG_AGO = datetime(2021, 1, 1, tzinfo=UTC)
ANNA, BELA = (ClientCertificate(*AUTHORITY.issue(name)) for name in ("anna", "bela"))
STRANGER = ClientCertificate(*Authority("Elsewhere").issue("stranger"))
EXPIRED = ClientCertificate(*AUTHORITY.issue("late", end=LONG_AGO))


class StartTls(Protocol):
    """Starts a server that asks for client certificates."""

    async def __call__(self) -> str:
        """Answer the server's address."""
        ...


@dataclass(slots=True)
class PerInstance(FixedAuthorizer):
    """Answers the certificate of whoever is asked for."""

    async def authorize(
        self,
        tenant: str,
        instance_id: str,
        scheme: AuthScheme,
        request: OutgoingRequest,
        version: int,  # noqa: ARG002 - the port's argument
    ) -> Authorization | None:
        """Answer the authorization."""
        self.asked.append((tenant, instance_id, scheme, request))
        return Authorization(certificate={"one": ANNA, "two": BELA}[instance_id])


@pytest.fixture(autouse=True)
def _trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust our authority, as a system is told to."""
    file = tmp_path / "authority.pem"
    file.write_text(AUTHORITY.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))


@pytest.fixture
def server_context(tmp_path: Path) -> ssl.SSLContext:
    """A server's side of TLS that takes certificates of our authority only."""
    (tmp_path / "server.pem").write_text("".join(AUTHORITY.issue("server")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    context.load_verify_locations(cadata=AUTHORITY.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.fixture
async def start_tls(server_context: ssl.SSLContext) -> AsyncIterator[StartTls]:
    """Starts an HTTPS server that answers whose certificate it sees, and on which connection."""
    async with AsyncExitStack() as stack:

        async def handle(request: web.BaseRequest) -> web.Response:
            assert request.transport is not None
            subject = request.transport.get_extra_info("peercert")["subject"]
            peer = request.transport.get_extra_info("peername")
            return web.json_response({"name": subject[0][0][1], "port": peer[1]})

        async def start() -> str:
            runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context).start()
            host, port = runner.addresses[0][:2]
            return f"https://{host}:{port}"

        yield start


async def seen(sender: AiohttpSender, url: str, shown: ClientCertificate) -> tuple[str, int]:
    """Answer whom the server saw, and the connection it came on."""
    response = await sender.send(HttpRequest("GET", url, certificate=shown), 10.0)
    answer = orjson.loads(response.body)
    return answer["name"], answer["port"]


async def refusal(sender: AiohttpSender, url: str, shown: ClientCertificate) -> ExecutorError:
    """Answer the error that a POST with a certificate ends with."""
    request = HttpRequest("POST", url, certificate=shown)
    with pytest.raises(ExecutorError) as caught:
        await sender.send(request, 10.0)
    return caught.value


async def test_each_certificate_has_its_own_connections(
    start_tls: StartTls, real_sender: AiohttpSender
) -> None:
    """Two certificates on one pool are seen as themselves; each goes on with its connection."""
    url = await start_tls()
    first = [await seen(real_sender, url, shown) for shown in (ANNA, BELA, ANNA, BELA)]
    assert [name for name, _ in first] == ["anna", "bela", "anna", "bela"]
    assert first[:2] == first[2:]
    assert first[0][1] != first[1][1]


async def test_certificates_do_not_mix_under_load(
    start_tls: StartTls, real_sender: AiohttpSender
) -> None:
    """However many calls run at once, nobody is seen as somebody else."""
    url = await start_tls()
    shown = [ANNA, BELA] * 20
    answers = await asyncio.gather(*(seen(real_sender, url, one) for one in shown))
    assert [name for name, _ in answers] == ["anna", "bela"] * 20
    ports = {name: {port for n, port in answers if n == name} for name in ("anna", "bela")}
    assert ports["anna"].isdisjoint(ports["bela"])


async def test_two_instances_are_two_clients(
    start_tls: StartTls, real_sender: AiohttpSender
) -> None:
    """Executions of two instances of one definition show each its own certificate."""
    url = await start_tls()

    world = World(authorizer=PerInstance(), sender=real_sender)
    auth = AuthPlacement(certificate=CertificatePlacement())
    offered = definition(method("whoAmI", "GET"), auth=auth)
    for name in ("one", "two"):
        world.directory.add(Target(replace(instance({"baseUrl": url}), id=name), offered))
    for name, expected in (("one", b"anna"), ("two", b"bela"), ("one", b"anna")):
        data = (await world.executor.execute(MethodCall(TENANT, name, "whoAmI"))).data
        assert expected in data
    assert {scheme.type for _, _, scheme, _ in world.authorizer.asked} == {"none"}


async def test_the_guard_sees_the_address(start_tls: StartTls) -> None:
    """A certificate opens no address that is closed."""
    sender = AiohttpSender(EgressPolicy(), ExecutorLimits())
    assert type(await refusal(sender, await start_tls(), ANNA)) is EgressDenied
    await sender.close()


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("shown", [STRANGER, EXPIRED], ids=["stranger", "expired"])
async def test_a_certificate_that_is_refused(
    server_context: ssl.SSLContext,
    real_sender: AiohttpSender,
    shown: ClientCertificate,
    newest: ssl.TLSVersion,
) -> None:
    """A server that does not take the certificate refuses our credentials, and is not away."""
    server_context.maximum_version = newest
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:  # in a thread: the server of asyncio hangs up without saying why
        connection, _ = listener.accept()
        tls = server_context.wrap_socket(connection, True, do_handshake_on_connect=False)  # noqa: FBT003
        with tls:
            with suppress(ssl.SSLError):
                tls.do_handshake()
            tls.shutdown(socket.SHUT_WR)
            while tls.recv(1000):  # closing with something unread would swallow the alert
                pass

    serving = asyncio.create_task(asyncio.to_thread(serve))
    url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
    error = await refusal(real_sender, url, shown)
    await serving
    listener.close()
    assert type(error) is CredentialsRefused
    assert error.details == {"host": url[8:-1]}


def encrypted(key: str) -> str:
    """Answer a key in PEM that needs a password."""
    locked = BestAvailableEncryption(b"password")
    private = load_pem_private_key(key.encode(), None)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked).decode()


PEM, KEY = ANNA.certificate, ANNA.key


@pytest.mark.parametrize(
    ("pem", "key"),
    [
        ("no PEM", KEY),
        (PEM, "no PEM"),
        (PEM, BELA.key),
        ("", ""),
        ("\ud800", KEY),
        (PEM, encrypted(KEY)),
    ],
    ids=["no certificate", "no key", "another's key", "nothing", "no text", "encrypted"],
)
async def test_what_is_no_certificate(real_sender: AiohttpSender, pem: str, key: str) -> None:
    """What OpenSSL cannot read is a fault of the configuration, and nobody is asked a password."""
    error = await refusal(real_sender, "https://127.0.0.1:9/", ClientCertificate(pem, key))
    assert type(error) is MethodNotCallable
    assert error.details == {"place": "clientCertificate"}
    assert "client certificate cannot be used" in error.message


async def test_a_certificate_needs_tls(upstream: Start, real_sender: AiohttpSender) -> None:
    """Over plain HTTP nobody would see it, so nothing is sent."""
    calls: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        calls.append(request.path)
        return web.json_response(1)

    error = await refusal(real_sender, await upstream(handle), ANNA)
    assert type(error) is MethodNotCallable
    assert calls == []


async def test_the_server_is_still_checked(
    start_tls: StartTls, real_sender: AiohttpSender, tmp_path: Path
) -> None:
    """Showing a certificate does not mean trusting one."""
    url = await start_tls()
    (tmp_path / "authority.pem").write_text(Authority("Elsewhere").certificate)
    assert type(await refusal(real_sender, url, ANNA)) is UpstreamUntrusted


async def test_without_memory_files_nothing_stays_on_disk(
    start_tls: StartTls,
    real_sender: AiohttpSender,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a system has no files in memory, those on disk are gone at once."""
    monkeypatch.delattr(os, "memfd_create", raising=False)
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    assert (await seen(real_sender, await start_tls(), ANNA))[0] == "anna"
    await refusal(real_sender, "https://127.0.0.1:9/", ClientCertificate(PEM, BELA.key))
    assert list(directory.iterdir()) == []
