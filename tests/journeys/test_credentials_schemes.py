"""Every way to show credentials, to APIs that check it with code that is not ours."""

import base64
import hashlib
import hmac
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from examples.crm import Received
from tests.journeys.conftest import served
from tests.journeys.doors import Door, Refused
from tests.journeys.oauth import definition, made
from tests.journeys.upstreams import Gate
from tests.pki import Authority

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = 's3cret-+/=~"'
PASSWORD = "pässwörd: with: colons"
AUTHORITY = Authority()
BODY = b'{"q":"a b","n":12345678901234567890,"text":"\xc3\xa9"}'
SIGNED = "{method}\n{host}\n{path}\n{query}\n{timestamp}\n{nonce}\n{header:X-Tenant}\n{body}"


@dataclass(frozen=True, slots=True)
class Scheme:
    """What a definition says, what an instance has, and what an API makes of a request."""

    auth_type: str
    config: Mapping[str, str]
    lets_in: Callable[[Received], bool]
    wrong: str  # the field whose change makes it wrong
    auth: Mapping[str, Any] | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


def of_headers(name: str, value: str) -> Callable[[Received], bool]:
    """Tell whether a header has this value."""
    return lambda received: received.headers.get(name) == value


def of_query(received: Received) -> bool:
    """Tell whether the key stands in the query, beside the parameter of the call."""
    return dict(parse_qsl(received.query)).get("api.key") == SECRET


def of_cookie(received: Received) -> bool:
    """Tell whether the key is a cookie."""
    cookies = SimpleCookie(received.headers.get("Cookie", ""))
    return "session" in cookies and cookies["session"].value == "a-session"


def of_basic(received: Received) -> bool:
    """Tell whether user and password are right (RFC 7617)."""
    pair = base64.b64encode(f"jané:{PASSWORD}".encode()).decode()
    return received.headers.get("Authorization") == f"Basic {pair}"


def of_templates(received: Received) -> bool:
    """Tell whether all parts of a custom scheme are right."""
    token = base64.b64encode(b"app-1").decode()
    return (
        received.headers.get("X-App") == "id app-1"
        and received.headers.get("Authorization") == f"Token {token}"
        and ("secret", SECRET) in parse_qsl(received.query)
    )


def of_hmac(received: Received) -> bool:
    """Tell whether a request is signed, working the signature out anew."""
    headers = received.headers
    key_id, _, signature = headers.get("Authorization", "").removeprefix("HMAC ").partition(":")
    lines = [
        received.method,
        headers["Host"],
        received.path,
        received.query,
        headers.get("X-Date", ""),
        headers.get("X-Nonce", ""),
        headers.get("X-Tenant", ""),
    ]
    signed = "\n".join(lines).encode() + b"\n" + received.body
    expected = base64.b64encode(hmac.digest(bytes.fromhex("0badc0de"), signed, hashlib.sha512))
    return key_id == "key-7" and hmac.compare_digest(expected, signature.encode())


def of_aws(service: str) -> Callable[[Received], bool]:
    """Tell whether a request is signed as AWS's own client signs it."""
    signer_of = S3SigV4Auth if service == "s3" else SigV4Auth
    signer: Any = signer_of(Credentials("AKIDEXAMPLE", SECRET, "a-session"), service, "eu-west-1")

    def lets_in(received: Received) -> bool:
        said = received.headers.get("Authorization", "")
        parts = dict(part.split("=", 1) for part in said.partition(" ")[2].split(", "))
        query = f"?{received.query}" if received.query else ""
        url = f"http://{received.headers['Host']}{received.path}{query}"
        request = AWSRequest(received.method, url, data=received.body)
        found = {name.lower(): value for name, value in received.headers.items()}
        for name in parts["SignedHeaders"].split(";"):
            if name != "host":
                request.headers[name] = found[name]
        request.context["timestamp"] = received.headers["X-Amz-Date"]
        text = signer.string_to_sign(request, signer.canonical_request(request))
        return bool(parts["Signature"] == signer.signature(text, request)) and (
            received.headers["X-Amz-Security-Token"] == "a-session"
        )

    return lets_in


AWS = {"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": SECRET, "sessionToken": "a-session"}
KEY = {"apiKey": SECRET}
SCHEMES = {
    "api key by default": Scheme(
        "api_key", KEY, of_headers("Authorization", f"Bearer {SECRET}"), "apiKey"
    ),
    "api key in a header": Scheme(
        "api_key",
        KEY,
        of_headers("X-API-Key", f"key={SECRET}"),
        "apiKey",
        {"in": "header", "name": "X-API-Key", "prefix": "key="},
    ),
    "api key in the query": Scheme(
        "api_key", KEY, of_query, "apiKey", {"in": "query", "name": "api.key"}
    ),
    "api key in a cookie": Scheme(
        "api_key", {"apiKey": "a-session"}, of_cookie, "apiKey", {"in": "cookie", "name": "session"}
    ),
    "basic": Scheme("basic", {"username": "jané", "password": PASSWORD}, of_basic, "password"),
    "bearer": Scheme(
        "bearer", {"token": SECRET}, of_headers("Authorization", f"Bearer {SECRET}"), "token"
    ),
    "custom": Scheme(
        "custom",
        {"appId": "app-1", "appSecret": SECRET},
        of_templates,
        "appSecret",
        {
            "headers": {"X-App": "id {appId}", "Authorization": "Token {appId:base64}"},
            "query": {"secret": "{appSecret}"},
        },
    ),
    "hmac": Scheme(
        "hmac",
        {"keyId": "key-7", "signingKey": "0badc0de", "account": "acme"},
        of_hmac,
        "signingKey",
        {
            "name": "Authorization",
            "prefix": "HMAC {keyId}:",
            "field": "signingKey",
            "headers": {"X-Tenant": "{account}"},
            "signature": {
                "template": SIGNED,
                "algorithm": "sha512",
                "encoding": "base64",
                "keyEncoding": "hex",
                "timestampHeader": "X-Date",
                "timestampFormat": "rfc3339",
                "nonceHeader": "X-Nonce",
            },
        },
    ),
    "aws": Scheme(
        "aws_sigv4",
        AWS,
        of_aws("execute-api"),
        "secretAccessKey",
        {"service": "execute-api", "region": "eu-west-1"},
    ),
    "aws, region of the instance": Scheme(
        "aws_sigv4",
        {**AWS, "region": "eu-west-1"},
        of_aws("s3"),
        "secretAccessKey",
        {"service": "s3"},
    ),
}


@pytest.mark.parametrize("name", SCHEMES)
async def test_a_scheme(door: Door, name: str) -> None:
    """Requests with and without a body are let in; with another secret they are not."""
    scheme = SCHEMES[name]

    async def opens(received: Received) -> bool:
        return scheme.lets_in(received)

    gate = Gate(opens)
    async with served(gate.app()) as url:
        document = definition(
            scheme.auth_type,
            fields=("baseUrl", *scheme.config),
            **({"auth": scheme.auth} if scheme.auth else {}),
        )
        instance = await made(door, document, {"baseUrl": f"{url}/v1", **scheme.config})
        assert (await instance.standing())["status"] == "CONNECTED"
        parameters = b'{"q":"a b&c=d/\xc3\xa9"}'
        result = await door.execute(instance.id, "look", parameters)
        assert result.value == {"fine": True}
        result = await door.execute(instance.id, "tell", BODY)
        assert result.value == {"fine": True}
        assert [request.body for request in gate.received] == [b"", BODY]
        assert dict(parse_qsl(gate.received[0].query))["q"] == "a b&c=d/é"

        wrong = "0badc0df" if scheme.wrong == "signingKey" else "another-one"
        await door.reconfigure(instance.id, {scheme.wrong: wrong})
        with pytest.raises(Refused) as refused:
            await door.execute(instance.id, "tell", BODY)
        assert refused.value.code == "AUTHENTICATION_ERROR"
        assert wrong not in f"{refused.value.message} {refused.value.details}"


async def test_no_two_signatures_are_alike(door: Door) -> None:
    """A signed request is signed anew for each call, with a nonce of its own."""
    scheme = SCHEMES["hmac"]

    async def opens(received: Received) -> bool:
        return scheme.lets_in(received)

    gate = Gate(opens)
    async with served(gate.app()) as url:
        document = definition("hmac", fields=("baseUrl", *scheme.config), auth=scheme.auth)
        instance = await made(door, document, {"baseUrl": url, **scheme.config})
        for _ in range(5):
            await instance.look()
    assert len({request.headers["X-Nonce"] for request in gate.received}) == 5
    assert len({request.headers["Authorization"] for request in gate.received}) == 5


@asynccontextmanager
async def asks_for_certificates(directory: Path) -> AsyncIterator[str]:
    """Serve an API over TLS that answers whose certificate it sees."""
    (directory / "server.pem").write_text("".join(AUTHORITY.issue("server")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem")
    context.load_verify_locations(cadata=AUTHORITY.certificate)
    context.verify_mode = ssl.CERT_REQUIRED

    async def handle(request: web.BaseRequest) -> web.Response:
        assert request.transport is not None
        subject = request.transport.get_extra_info("peercert")["subject"]
        return web.json_response({"name": subject[0][0][1], "body": await request.text()})

    runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("auth_type", ["none", "bearer"])
async def test_certificates(
    door: Door, auth_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each instance shows its own certificate; a stranger's opens nothing."""
    (tmp_path / "authority.pem").write_text(AUTHORITY.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    fields = ("baseUrl", "clientCertificate", "clientKey", "token")
    document = definition(auth_type, fields=fields, auth={"clientCertificate": {}})
    registered = await door.register(document)
    async with asks_for_certificates(tmp_path) as url:
        for name in ("anna", "bela"):
            certificate, key = AUTHORITY.issue(name)
            given = {"baseUrl": url, "clientCertificate": certificate, "clientKey": key}
            instance = await door.connect(registered["id"], {**given, "token": "t"})
            assert instance["secretFields"] == ["clientKey", "token"]
            result = await door.execute(instance["id"], "tell", b'{"a":1}')
            assert result.value == {"name": name, "body": '{"a":1}'}
        certificate, key = Authority("Elsewhere").issue("stranger")
        given = {"baseUrl": url, "clientCertificate": certificate, "clientKey": key}
        instance = await door.connect(registered["id"], {**given, "token": "t"})
        with pytest.raises(Refused) as refused:
            await door.execute(instance["id"], "look")
        # A server of asyncio hangs up without saying why, so it may seem to be away.
        assert refused.value.code in {"AUTHENTICATION_ERROR", "TEMPORARY_ERROR"}
        assert key[40:80] not in f"{refused.value.message} {refused.value.details}"
