"""Signed requests, checked by what a real server received."""

import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import orjson
import pytest
from aiohttp import web
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from credentials.model import Authorization, AuthScheme, OutgoingRequest
from credentials.schemes import authorize
from executor.model import MEBIBYTE
from executor.sender import AiohttpSender
from registry.model import AuthPlacement, AwsPlacement, Method, SigningPlacement
from tests.unit.executor.world import Start, World, method

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
FIELDS = {
    "key": "s3cret",
    "keyId": "k-1",
    "accessKeyId": "AKID",
    "secretAccessKey": "aws-secret",
    "sessionToken": "session",
}


@dataclass(slots=True)
class Signer:
    """Signs with the fields of one instance, at a fixed time."""

    asked: list[OutgoingRequest] = field(default_factory=list)

    async def authorize(
        self,
        _tenant: str,
        _instance_id: str,
        scheme: AuthScheme,
        request: OutgoingRequest,
        _version: int,
    ) -> Authorization:
        """Answer the signature."""
        self.asked.append(request)
        return authorize(scheme, FIELDS, request, NOW, lambda: "n0nce")


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@pytest.fixture
async def received(upstream: Start, real_sender: AiohttpSender) -> Any:
    """Executes a method against a real server, and answers the request that came in."""

    async def execute(offered: Method, parameters: Any, base: str = "", **more: Any) -> Received:
        seen: list[Received] = []

        async def handle(request: web.BaseRequest) -> web.Response:
            headers = {name.decode().lower(): value.decode() for name, value in request.raw_headers}
            body = b"".join([chunk async for chunk in request.content.iter_any()])
            seen.append(Received(request.method, request.raw_path, headers, body))
            return web.json_response(1)

        address = await upstream(handle)  # type: ignore[arg-type]
        world = World(authorizer=Signer(), sender=real_sender)  # type: ignore[arg-type]
        world.offer(offered, config={"baseUrl": address + base}, **more)
        assert await world.call(offered.name, orjson.dumps(parameters)) == b"1"
        return seen[0]

    return execute


CALLS = [
    (method("list", "GET", "/"), {}, ""),
    (method("list", "GET", "/v1//items"), {"q": "a b+c&d=é/%", "b": ["2", "1"], "a": ""}, ""),
    (method("find", "GET", "/items/{id}"), {"id": "a/b ü~(x)*!'", "limit": 5}, "/api?v=1&v=0"),
    (method("create", "POST", "/items"), {"name": "é", "n": 2**53 + 1}, ""),
    (method("create", "POST", "/items", body="form"), {"name": "a b", "tag": ["x", "y"]}, ""),
    (method("remove", "DELETE", "/items/{id}"), {"id": "7"}, "/"),
    (
        method("create", "PUT", "/items:add@1", headers={"X-Note": "{note}"}),
        {"note": "two  words"},
        "",
    ),
    (method("upload", "POST", "/"), {"data": "x" * (MEBIBYTE + 10)}, ""),
]


@pytest.mark.parametrize(("offered", "parameters", "base"), CALLS)
async def test_hmac_signs_what_arrives(
    received: Any, offered: Method, parameters: Any, base: str
) -> None:
    """Method, target, host, headers and body are signed as the server sees them."""
    signing = SigningPlacement(
        "{method} {path}?{query} {url} {host}\n{header:Content-Type}|{header:X-Note}|"
        "{header:user-agent}\n{timestamp}{nonce}\n{body}",
        timestamp_header="X-Time",
        nonce_header="X-Nonce",
    )
    auth = AuthPlacement("header", "X-Signature", "v1=", "key", signing=signing)
    seen = await received(offered, parameters, base, auth_type="hmac", auth=auth)
    path, _, query = seen.target.partition("?")
    headers = seen.headers
    whole = f"http://{headers['host']}{seen.target}"
    text = (
        f"{seen.method} {path}?{query} {whole} {headers['host']}\n"
        f"{headers.get('content-type', '')}|{headers.get('x-note', '')}|{headers['user-agent']}\n"
        f"{headers['x-time']}{headers['x-nonce']}\n"
    ).encode() + seen.body
    assert headers["x-signature"] == "v1=" + hmac.new(b"s3cret", text, "sha256").hexdigest()


async def test_templates_beside_a_signature_are_signed(received: Any) -> None:
    """A parameter that the scheme adds is part of the query it signs."""
    signing = SigningPlacement("{url}{header:X-Key-Id}")
    auth = AuthPlacement(
        "query",
        "signature",
        "",
        "key",
        headers=(("X-Key-Id", "{keyId}"),),
        query=(("key", "id {keyId}&"),),
        signing=signing,
    )
    offered = method("list", "GET", "/items?a=1")
    seen = await received(offered, {}, auth_type="hmac", auth=auth)
    target, _, signature = seen.target.partition("&signature=")
    assert target == "/items?a=1&key=id%20k-1%26"
    text = f"http://{seen.headers['host']}{target}k-1".encode()
    assert signature == hmac.new(b"s3cret", text, "sha256").hexdigest()


@pytest.mark.parametrize(
    ("service", "offered", "parameters", "base"),
    [
        (service, *case)
        for service in ("execute-api", "s3")
        for case in CALLS
        # The oracle takes paths as they are, S3 encodes what is not: theirs always is.
        if service != "s3" or ":" not in case[0].http.path
    ],
)
async def test_aws_accepts_what_arrives(
    received: Any, service: str, offered: Method, parameters: Any, base: str
) -> None:
    """AWS's own signer gives the same signature for what the server received."""
    auth = AuthPlacement(aws=AwsPlacement(service, "eu-west-1"))
    seen = await received(offered, parameters, base, auth_type="aws_sigv4", auth=auth)
    signature = seen.headers["authorization"]
    names = signature.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert {"accept", "host", "x-amz-date", "x-amz-security-token"} <= set(names)
    headers = {name: seen.headers[name] for name in names if name != "host"}
    url = f"http://{seen.headers['host']}{seen.target}"
    theirs = AWSRequest(seen.method, url, headers, seen.body)
    keys = Credentials(FIELDS["accessKeyId"], FIELDS["secretAccessKey"], FIELDS["sessionToken"])
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    with patch("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None)):
        signer(keys, service, "eu-west-1").add_auth(theirs)
    assert theirs.headers["Authorization"] == signature


@pytest.mark.parametrize(
    ("auth_type", "whole"), [("hmac", True), ("aws_sigv4", True), ("custom", False)]
)
async def test_only_signers_see_headers_and_body(auth_type: str, whole: bool) -> None:  # noqa: FBT001
    """The whole request leaves the executor for schemes that need it, and for no other."""
    signer = Signer()
    world = World(authorizer=signer)  # type: ignore[arg-type]
    auth = AuthPlacement(
        field="key",
        prefix="",
        headers=(("X-Key", "{key}"),) if auth_type == "custom" else (),
        signing=SigningPlacement("{body}"),
        aws=AwsPlacement("s3", "eu"),
    )
    world.offer(method(headers={"X-A": "1"}), auth_type=auth_type, auth=auth)
    await world.call("createContact", b'{"a":1}')
    (asked,) = signer.asked
    assert asked.body == (b'{"a":1}' if whole else b"")
    assert (("X-A", "1") in asked.headers) is whole
    assert asked.headers == (world.sent.headers[: len(asked.headers)] if whole else ())
