"""The gateway over a real server on loopback, in front of rpcs that a test answers."""

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession, web
from google.protobuf.message import Message
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from protos.integration.v1 import executor_service_pb2, registry_service_pb2
from protos.integration.v1.executor_service_pb2 import ExecuteMethodRequest, ExecuteMethodResponse
from services.gateway.app import Gateway
from services.gateway.errors import InvalidRoutes
from services.runtime.dispatch import CallFailed, Metadata
from services.runtime.identity import SEND_A_KEY

OURS = [
    registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"],
    executor_service_pb2.DESCRIPTOR.services_by_name["ExecutorService"],
]
EXECUTE = "/api/v1/integration-instances/i/methods/m/execute"
KEY = "Authorization: Bearer key\r\n"
LIMIT = 64 * 1024
Answer = Callable[[Message], Awaitable[Message]]
Open = Callable[..., Any]


class FakeDispatch:
    """Answers every call as the test says and keeps what it was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Message, dict[str, str], float | None]] = []
        self.answer: Answer = succeed

    async def __call__(
        self, method: str, request: Message, metadata: Metadata, timeout: float | None
    ) -> Message:
        """Answer the call."""
        self.calls.append((method, request, dict(metadata), timeout))
        return await self.answer(request)


async def succeed(_request: Message) -> Message:
    """A result."""
    return ExecuteMethodResponse(status=1, data={"utf8": b'{ "n": 1.0 }'})


async def ready() -> dict[str, bool]:
    """Everything is."""
    return {"registry": True}


@pytest.fixture
def dispatch() -> FakeDispatch:
    """The rpcs behind the gateway."""
    return FakeDispatch()


@asynccontextmanager
async def served(gateway: Gateway) -> AsyncIterator[tuple[str, int]]:
    """Serve a gateway on loopback; answers host and port."""
    runner = web.ServerRunner(gateway.server())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][:2]
    finally:
        await runner.cleanup()


@pytest.fixture
async def address(dispatch: FakeDispatch) -> AsyncIterator[tuple[str, int]]:
    """Where a gateway over all our contracts listens."""
    gateway = Gateway(OURS, dispatch, max_body_bytes=LIMIT, ready=ready)
    async with served(gateway) as place:
        yield place


@pytest.fixture
async def client(address: tuple[str, int]) -> AsyncIterator[ClientSession]:
    """A client of that gateway."""
    headers = {"Content-Type": "application/json", "Authorization": "Bearer key"}
    async with ClientSession(f"http://{address[0]}:{address[1]}", headers=headers) as session:
        yield session


async def error_of(response: ClientResponse, status: int, code: str) -> dict[str, Any]:
    """The error of an answer that has this HTTP status and code."""
    assert response.status == status
    assert response.content_type == "application/json"
    body = await response.json()
    assert body["status"] == "ERROR"
    error: dict[str, Any] = body["error"]
    assert error["code"] == code
    assert error["requestId"] == response.headers["X-Request-Id"]
    return error


async def test_a_call_goes_through(client: ClientSession, dispatch: FakeDispatch):
    """Request and response are transcoded, raw JSON in both directions byte for byte."""
    async with client.post(EXECUTE, data=b'{"parameters": [1e2, 1.0 ]}') as response:
        assert response.status == 200
        assert response.content_type == "application/json"
        assert await response.read() == b'{"status":"SUCCESS","data":{ "n": 1.0 }}'
    ((method, request, _, timeout),) = dispatch.calls
    assert method == "/integration.v1.ExecutorService/ExecuteMethod"
    assert timeout is None
    assert request == ExecuteMethodRequest(
        instance_id="i", method="m", parameters={"utf8": b"[1e2, 1.0 ]"}
    )


async def test_only_known_headers_are_forwarded(client: ClientSession, dispatch: FakeDispatch):
    """Identity, tracing and idempotency go along; nothing else does."""
    headers = {
        "Authorization": "Bearer secret",
        "X-Request-Id": "req-1.a_B",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "vendor=1",
        "Idempotency-Key": "key",
        "Grpc-Timeout": "1500m",
        "Cookie": "a=b",
        "Grpc-Metadata-X": "y",
        "X-Forwarded-For": "10.0.0.1",
    }
    async with client.post(EXECUTE, headers=headers) as response:
        assert response.headers["X-Request-Id"] == "req-1.a_B"
    ((_, _, metadata, timeout),) = dispatch.calls
    assert timeout == 1.5
    assert metadata == {
        "authorization": "Bearer secret",
        "x-request-id": "req-1.a_B",
        "traceparent": headers["traceparent"],
        "tracestate": "vendor=1",
        "idempotency-key": "key",
    }


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "ä", "a/b"])
async def test_a_request_id_that_cannot_be_used_is_replaced(
    client: ClientSession, dispatch: FakeDispatch, given: str
):
    """Ids are safe to log; one that is not gives way to a new one."""
    async with client.post(EXECUTE, headers={"X-Request-Id": given}) as response:
        answered = response.headers["X-Request-Id"]
    assert answered != given
    assert dispatch.calls[0][2]["x-request-id"] == answered


async def test_every_request_has_an_id_of_its_own(client: ClientSession):
    """Ids are not used twice."""
    ids = set()
    for _ in range(20):
        async with client.post(EXECUTE) as response:
            ids.add(response.headers["X-Request-Id"])
    assert len(ids) == 20


async def test_a_header_that_grpc_cannot_carry_is_left_behind(
    client: ClientSession, dispatch: FakeDispatch
):
    """An odd value does not fail the call; it is as if it had not been sent."""
    async with client.post(EXECUTE, headers={"Idempotency-Key": "schlüssel"}) as response:
        assert response.status == 200
    assert "idempotency-key" not in dispatch.calls[0][2]


@pytest.mark.parametrize("timeout", ["5", "S", "-5S", "5s", "123456789S", "1.5S", "٣S", ""])
async def test_a_timeout_that_cannot_be_read_is_refused(client: ClientSession, timeout: str):
    """A deadline is a promise: a mistaken one is not ignored."""
    async with client.post(EXECUTE, headers={"Grpc-Timeout": timeout}) as response:
        error = await error_of(response, 400, "VALIDATION_ERROR")
    assert "Grpc-Timeout" in error["message"]


async def test_the_longest_deadline_is_an_hour(client: ClientSession, dispatch: FakeDispatch):
    """What is beyond the clocks of gRPC would be a deadline that has passed."""
    async with client.post(EXECUTE, headers={"Grpc-Timeout": "99999999H"}) as response:
        assert response.status == 200
    assert dispatch.calls[0][3] == 3600


async def test_a_failed_call_keeps_its_status(client: ClientSession, dispatch: FakeDispatch):
    """What a service says becomes the answer."""
    failure = Status(code=code_pb2.NOT_FOUND, message="No instance 'i'")
    failure.details.add().Pack(ErrorInfo(reason="INTEGRATION_NOT_FOUND", domain="integration.v1"))

    async def fail(_request: Message) -> Message:
        raise CallFailed(failure)

    dispatch.answer = fail
    async with client.post(EXECUTE) as response:
        error = await error_of(response, 404, "INTEGRATION_NOT_FOUND")
    assert error["message"] == "No instance 'i'"


@pytest.mark.parametrize(
    "failure",
    [
        ValueError("secret dsn"),
        ConnectionError("secret dsn"),
        TimeoutError("secret dsn"),
        CallFailed(Status(code=code_pb2.UNKNOWN, message="secret dsn")),
    ],
)
async def test_what_must_not_happen_shows_an_id_only(
    client: ClientSession,
    dispatch: FakeDispatch,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
):
    """The caller sees a fixed text and an id; the cause stands in the log beside that id."""

    async def fail(_request: Message) -> Message:
        raise failure

    dispatch.answer = fail
    with caplog.at_level(logging.ERROR):
        async with client.post(EXECUTE) as response:
            error = await error_of(response, 500, "EXECUTION_ERROR")
    assert "secret" not in json.dumps(error)
    (record,) = caplog.records
    assert error["details"]["errorId"] in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is failure


async def test_an_unauthenticated_call_is_challenged(client: ClientSession, dispatch: FakeDispatch):
    """401 says how to come back."""

    async def fail(_request: Message) -> Message:
        raise CallFailed(Status(code=code_pb2.UNAUTHENTICATED, message="No token"))

    dispatch.answer = fail
    async with client.post(EXECUTE) as response:
        await error_of(response, 401, "UNAUTHENTICATED")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("request_line", "status", "code"),
    [
        ("GET /", 404, "ROUTE_NOT_FOUND"),
        ("GET /api/v1/integration-instances/", 404, "ROUTE_NOT_FOUND"),
        ("GET /healthz/", 404, "ROUTE_NOT_FOUND"),
        (f"PUT {EXECUTE}", 405, "METHOD_NOT_ALLOWED"),
        (f"TRACE {EXECUTE}", 405, "METHOD_NOT_ALLOWED"),
        ("POST /healthz", 405, "METHOD_NOT_ALLOWED"),
        (f"POST {EXECUTE}?a=1", 400, "VALIDATION_ERROR"),
    ],
)
async def test_a_request_without_route_reaches_nobody(
    client: ClientSession, dispatch: FakeDispatch, request_line: str, status: int, code: str
):
    """Unknown paths and methods have the same form of error as everything else."""
    async with client.request(*request_line.split()) as response:
        await error_of(response, status, code)
        assert ("Allow" in response.headers) is (status == 405)
    assert dispatch.calls == []


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b"{", "line 1, column 2"),
        (b'{"parameters":}', "line 1, column 15"),
        (b'{"parameters":"\xff"}', "not UTF-8"),
        (b'{"parameters":' + b"[" * 500 + b"]" * 500 + b"}", "more than 128 deep"),
        (b'{"parameters":1,"parameters":2}', "/parameters: is there twice"),
        (b'{"instanceId":5}', "/instanceId: must be a string, not a number"),
        (b'{"params":{}}', "/params: is not a field here; did you mean 'parameters'?"),
        (b"[]", "must be an object, not an array"),
    ],
)
async def test_a_body_that_does_not_fit_is_refused(
    client: ClientSession, dispatch: FakeDispatch, body: bytes, part: str
):
    """The caller learns what is wrong and where, and no service is called."""
    async with client.post(EXECUTE, data=body) as response:
        error = await error_of(response, 400, "VALIDATION_ERROR")
    assert part in error["message"]
    assert dispatch.calls == []


async def test_a_body_of_another_type_is_refused(client: ClientSession):
    """What curl sends by default is told how to do better."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with client.post(EXECUTE, data=b"{}", headers=headers) as response:
        error = await error_of(response, 400, "VALIDATION_ERROR")
    assert "Content-Type: application/json" in error["message"]


async def chunked(size: int) -> AsyncIterator[bytes]:
    """A body of unknown length."""
    for _ in range(size // 1024):
        yield b" " * 1024


async def test_a_body_up_to_the_limit_passes(client: ClientSession, dispatch: FakeDispatch):
    """The limit itself is allowed."""
    body = b'{"parameters":"%b"}' % (b"x" * (LIMIT - 17))
    async with client.post(EXECUTE, data=body) as response:
        assert response.status == 200
    assert len(dispatch.calls[0][1].parameters.utf8) == LIMIT - 15


@pytest.mark.parametrize("way", ["announced", "chunked", "gzip"])
async def test_a_body_over_the_limit_is_refused(client: ClientSession, way: str):
    """Announced, streamed or unpacked, no more than the limit is taken in."""
    headers, data = {}, b" " * (LIMIT + 1)
    if way == "gzip":
        headers, data = {"Content-Encoding": "gzip"}, gzip.compress(b" " * LIMIT * 200)
    body = chunked(LIMIT * 2) if way == "chunked" else data
    async with client.post(EXECUTE, data=body, headers=headers) as response:
        error = await error_of(response, 413, "PAYLOAD_TOO_LARGE")
    assert error["details"] == {"limit": LIMIT}


async def test_a_packed_body_is_unpacked(client: ClientSession, dispatch: FakeDispatch):
    """A body may come compressed."""
    data = gzip.compress(b'{"parameters":[1]}')
    async with client.post(EXECUTE, data=data, headers={"Content-Encoding": "gzip"}) as response:
        assert response.status == 200
    assert dispatch.calls[0][1].parameters.utf8 == b"[1]"


async def test_a_body_that_is_not_packed_as_announced_is_refused(client: ClientSession):
    """Broken compression is the caller's mistake, not ours."""
    headers = {"Content-Encoding": "gzip"}
    async with client.post(EXECUTE, data=b"{}", headers=headers) as response:
        await error_of(response, 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("path", [EXECUTE, "/nowhere"])
async def test_a_broken_body_ends_its_connection(
    address: tuple[str, int], caplog: pytest.LogCaptureFixture, path: str
):
    """Nobody knows where a next request would begin; and it is no accident of ours."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{KEY}Content-Encoding: gzip\r\n"
    body = "Content-Length: 7\r\n\r\ngarbage"
    async with asyncio.timeout(10):
        answer, _, _ = (await raw(address, (head + body).encode())).partition(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 4")
    assert (b"Connection: close" in answer) is (path == EXECUTE)
    assert caplog.records == []


@pytest.mark.parametrize("encoding", ["zstd9", "br", "zstd", "gzip, gzip", "compress"])
async def test_an_encoding_that_nobody_can_read_is_refused(client: ClientSession, encoding: str):
    """The caller learns which encodings there are."""
    headers = {"Content-Encoding": encoding}
    async with client.post(EXECUTE, data=chunked(1024), headers=headers) as response:
        error = await error_of(response, 400, "VALIDATION_ERROR")
    assert "gzip" in error["message"]


@pytest.mark.parametrize("given", ["", "Authorization: Basic x\r\n", "Authorization: Bearer\r\n"])
async def test_without_a_key_no_body_is_read(
    address: tuple[str, int], dispatch: FakeDispatch, given: str
):
    """Who shows no key is answered before the body, in the words of the services."""
    reader, writer = await asyncio.open_connection(*address)
    head = f"POST {EXECUTE} HTTP/1.1\r\nHost: x\r\n{given}Expect: 100-continue\r\n"
    writer.write(f"{head}Content-Length: 9\r\n\r\n".encode())
    answer = (await reader.readuntil(b"\r\n\r\n")).decode()
    assert answer.startswith("HTTP/1.1 401 ")
    assert "WWW-Authenticate: Bearer" in answer
    length = int(answer.lower().partition("content-length: ")[2].split()[0])
    error = json.loads(await reader.readexactly(length))["error"]
    assert (error["code"], error["message"]) == ("UNAUTHENTICATED", SEND_A_KEY)
    assert dispatch.calls == []
    writer.close()
    await writer.wait_closed()


async def test_an_unknown_server_does_not_speak_to_callers(
    client: ClientSession, dispatch: FakeDispatch
):
    """What gRPC says of a broken connection names addresses; callers get a fixed text."""

    async def fail(_request: Message) -> Message:
        raise CallFailed(Status(code=code_pb2.UNAVAILABLE, message="ipv4:10.0.0.7:50051: refused"))

    dispatch.answer = fail
    async with client.post(EXECUTE) as response:
        error = await error_of(response, 503, "TEMPORARY_ERROR")
    assert error["retryable"] is True
    assert "10.0.0.7" not in json.dumps(error)


async def test_health_is_answered_without_a_service(client: ClientSession, dispatch: FakeDispatch):
    """Being alive takes no call and no credentials."""
    async with client.get("/healthz") as response:
        assert (response.status, await response.json()) == (200, {"status": "SERVING"})
    async with client.head("/healthz") as response:
        assert (response.status, await response.read()) == (200, b"")
    async with client.get("/readyz?verbose") as response:
        assert response.status == 200
        assert await response.json() == {"status": "SERVING", "parts": {"registry": True}}
    assert dispatch.calls == []


async def test_not_ready_says_what_is_missing(dispatch: FakeDispatch):
    """503 until every part is there, each named."""

    async def partly() -> dict[str, bool]:
        return {"registry": True, "executor": False}

    request = b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with served(Gateway(OURS, dispatch, ready=partly)) as place:
        head, _, body = (await raw(place, request)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    parts = {"registry": True, "executor": False}
    assert json.loads(body) == {"status": "NOT_SERVING", "parts": parts}


async def test_head_is_get_without_a_body(client: ClientSession, dispatch: FakeDispatch):
    """HEAD calls the same rpc and sends the headers of its answer."""

    async def answer(_request: Message) -> Message:
        return registry_service_pb2.Instance(id="i")

    dispatch.answer = answer
    async with client.head("/api/v1/integration-instances/i") as response:
        assert (response.status, await response.read()) == (200, b"")
        assert response.headers["Content-Length"] == str(len(b'{"id":"i"}'))


async def raw(address: tuple[str, int], request: bytes) -> bytes:
    """Send bytes as they are and answer what comes back until the server closes."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://anywhere:1/healthz", 200),
        ("http://anywhere", 404),
        ("/api/v1/integration-instances/%zz", 400),
        ("/api/v1/integration-instances/%ff", 400),
        ("/api/v1/integration-instances/..", 200),
        ("/healthz?%zz", 200),
        ("/api/v1/integration-instances?search=%zz", 400),
    ],
)
async def test_request_targets_are_taken_as_they_come(
    address: tuple[str, int], dispatch: FakeDispatch, target: str, status: int
):
    """Absolute forms are understood, dots are plain text, broken escapes are refused."""

    async def answer(_request: Message) -> Message:
        return registry_service_pb2.Instance()

    dispatch.answer = answer
    request = f"GET {target} HTTP/1.1\r\nHost: x\r\n{KEY}Connection: close\r\n\r\n"
    answered = await raw(address, request.encode())
    assert answered.startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer se\x01cret\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"s" * 10_000 + b"\r\n\r\n",
        b"\x16\x03\x01secret",
    ],
)
async def test_what_is_not_http_is_answered_in_our_form(
    address: tuple[str, int], caplog: pytest.LogCaptureFixture, request_bytes: bytes
):
    """Garbage gets the usual error; nothing of it is quoted or logged."""
    head, _, body = (await raw(address, request_bytes)).partition(b"\r\n\r\n")
    assert b" 400 " in head.splitlines()[0]
    assert b"application/json" in head
    assert json.loads(body)["error"]["code"] == "VALIDATION_ERROR"
    assert b"cret" not in body
    assert caplog.records == []


async def test_a_client_that_waits_for_leave_gets_it(address: tuple[str, int]):
    """`Expect: 100-continue` is answered before the body, or with a refusal instead."""
    reader, writer = await asyncio.open_connection(*address)
    head = f"POST {EXECUTE} HTTP/1.1\r\nHost: x\r\n{KEY}Expect: 100-continue\r\nContent-Length: "
    writer.write(f"{head}2\r\n\r\n".encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"{}")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()
    await writer.wait_closed()
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"{head}{LIMIT + 1}\r\n\r\n".encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413 ")
    writer.close()
    await writer.wait_closed()


async def test_a_client_that_goes_away_cancels_its_call(
    address: tuple[str, int], dispatch: FakeDispatch
):
    """Nobody works for a caller who is gone."""
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(_request: Message) -> Message:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    dispatch.answer = wait
    _, writer = await asyncio.open_connection(*address)
    writer.write(f"POST {EXECUTE} HTTP/1.1\r\nHost: x\r\n{KEY}\r\n".encode())
    async with asyncio.timeout(10):
        await started.wait()
        writer.close()
        await writer.wait_closed()
        await cancelled.wait()


async def test_a_client_that_goes_away_in_its_body_calls_nobody(
    address: tuple[str, int], dispatch: FakeDispatch, caplog: pytest.LogCaptureFixture
):
    """Half a body is not an error of ours."""
    _, writer = await asyncio.open_connection(*address)
    writer.write(f"POST {EXECUTE} HTTP/1.1\r\nHost: x\r\n{KEY}Content-Length: 9\r\n\r\n{{".encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.05)
    assert dispatch.calls == []
    assert caplog.records == []


async def test_connections_are_kept(address: tuple[str, int]):
    """Several requests, refused ones too, share a connection."""
    request = f"POST {EXECUTE} HTTP/1.1\r\nHost: x\r\n{KEY}Content-Length: 1\r\n\r\n{{"
    last = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answered = await raw(address, (request * 3 + last).encode())
    assert answered.count(b"HTTP/1.1 400 ") == 3
    assert answered.count(b"HTTP/1.1 200 ") == 1


@pytest.mark.parametrize(
    ("path", "field", "problem"),
    [
        ("/a", "google.protobuf.Struct s = 1;", r"S\.A: google\.protobuf\.Struct"),
        ("/{m.m.id}", "M m = 1; string id = 2;", r"S\.A: 'm\.m\.id' in a path"),
    ],
)
def test_a_contract_that_cannot_be_spoken_stops_the_start(
    service: Callable[..., Any], path: str, field: str, problem: str
):
    """What the codec has no form for is found out at start, with the rpc that uses it."""
    rpcs = f'rpc A(M) returns (M) {{ option (google.api.http) = {{ get: "{path}" }}; }}'
    contract = service(rpcs, f"message M {{ {field} }}")
    with pytest.raises(InvalidRoutes, match=problem):
        Gateway(contract, FakeDispatch())
