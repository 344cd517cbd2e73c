"""REST in front of the annotated rpcs: one handler for aiohttp's low-level server.

    gateway = Gateway(services, dispatch, ready=ready)
    runner = web.ServerRunner(gateway.server())

A client that goes away cancels its call.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import orjson
from aiohttp import hdrs, web
from google.protobuf.descriptor import ServiceDescriptor

from services.gateway import body, headers, status
from services.gateway.decode import Decoders
from services.gateway.encode import Encoders
from services.gateway.errors import (
    BodyUnreadable,
    Interrupted,
    InvalidRequest,
    InvalidRoutes,
    MethodNotAllowed,
    RequestRefused,
    Unauthenticated,
    UnsupportedField,
)
from services.gateway.routes import Route, RoutingTable, read_routes
from services.gateway.server import Server, is_interrupted
from services.gateway.status import Failure
from services.gateway.transcode import Transcoder
from services.runtime.dispatch import CallFailed, Dispatch
from services.runtime.identity import SEND_A_KEY

_log = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 1024 * 1024
KEPT_PATHS = 512
_STOPPING = "The service is being stopped; send the request again."
_AWAY = "A part of the service cannot be reached for the moment."
# After these the connection is of no more use.
_LAST = (BodyUnreadable, Interrupted)
Ready = Callable[[], Awaitable[Mapping[str, bool]]]
Degraded = Callable[[], Awaitable[Mapping[str, str]]]


async def _always_ready() -> Mapping[str, bool]:
    return {}


async def _always_well() -> Mapping[str, str]:
    return {}


class Gateway:
    """Answers REST requests by calling rpcs; raises `InvalidRoutes` when it cannot be made."""

    def __init__(
        self,
        services: Sequence[ServiceDescriptor],
        dispatch: Dispatch,
        *,
        max_body_bytes: int = MAX_BODY_BYTES,
        ready: Ready = _always_ready,
        degraded: Degraded = _always_well,
    ) -> None:
        table = RoutingTable(_transcoders(read_routes(services)))
        # Callers come back to the same paths; those that lead nowhere raise, and are not kept.
        self._find = lru_cache(maxsize=KEPT_PATHS)(table.find)
        self._dispatch = dispatch
        self._max_body_bytes = max_body_bytes
        self._ready = ready
        self._degraded = degraded

    def server(self) -> Server:
        """A low-level server of this gateway; call it inside the running loop."""
        return Server(self.handle)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; raises nothing but cancellation."""
        given = request.headers
        request_id = headers.request_id(given)
        try:
            target = request.raw_path
            path, _, query = (target if target[:1] == "/" else _path_of(target)).partition("?")
            if path in ("/healthz", "/readyz"):
                return await self._probe(request.method, path, request_id)
            transcoder, segments = self._find(request.method, path)
            limit = given.get(headers.GRPC_TIMEOUT)
            timeout = None if limit is None else headers.timeout(limit)
            # Nobody unknown gets megabytes read and parsed; the services look at the key itself.
            if given.get(hdrs.AUTHORIZATION, "")[:7].lower() != "bearer ":
                return _failed(Unauthenticated(SEND_A_KEY), request_id)
            content = await body.read(request, self._max_body_bytes)
            kind = given.get(hdrs.CONTENT_TYPE)
            message = transcoder.read_request(segments, query, content, kind)
            metadata = headers.metadata(given, request_id)
            answer = await self._dispatch(transcoder.rpc_path, message, metadata, timeout)
            return _json(transcoder.write_response(answer), request_id)
        except Exception as error:  # noqa: BLE001 whatever it is, callers must not see it
            return _failed(error, request_id)
        except asyncio.CancelledError:
            if not is_interrupted(request):
                raise
            return _failed(Interrupted(_STOPPING), request_id)

    async def _probe(self, method: str, path: str, request_id: str) -> web.Response:
        if method not in ("GET", "HEAD"):
            raise MethodNotAllowed("This path takes GET, HEAD", allow=["GET", "HEAD"])
        if path == "/healthz":
            return _json(b'{"status":"SERVING"}', request_id)
        parts = await self._ready()
        ready = all(parts.values())
        answer: dict[str, object] = {
            "status": "SERVING" if ready else "NOT_SERVING",
            "parts": dict(parts),
        }
        # What works less well is not taken out of service for it: others would work no better.
        degraded = dict(await self._degraded()) if ready else {}
        if degraded:
            answer["degraded"] = degraded
        return _json(orjson.dumps(answer), request_id, 200 if ready else 503)


def _transcoders(routes: Sequence[Route]) -> list[tuple[Route, Transcoder]]:
    decoders, encoders = Decoders(), Encoders()
    made: list[tuple[Route, Transcoder]] = []
    problems: list[str] = []
    for route in routes:
        try:
            made.append((route, Transcoder(route, decoders, encoders)))
        except UnsupportedField as error:
            problems.append(f"{route.rpc.full_name}: {error.message}")
    if problems:
        raise InvalidRoutes(problems)
    return made


def _path_of(raw: str) -> str:
    """The path and query of a request target in absolute form (RFC 9112 §3.2.2)."""
    scheme, separator, rest = raw.partition("://")
    if not separator or scheme not in ("http", "https"):
        raise InvalidRequest("The request target has to be a path that begins with '/'")
    slash = rest.find("/")
    return rest[slash:] if slash >= 0 else "/"


def _json(content: bytes, request_id: str, http_status: int = 200) -> web.Response:
    given = {hdrs.CONTENT_TYPE: "application/json", headers.REQUEST_ID: request_id}
    return web.Response(body=content, status=http_status, headers=given)


def _failed(error: Exception, request_id: str) -> web.Response:
    if isinstance(error, RequestRefused):
        failure = status.from_refusal(error)
    elif isinstance(error, CallFailed):
        failure = _call_failed(error, request_id)
    else:
        failure = status.our_fault(_log, error, request_id)
    response = _json(failure.body(request_id), request_id, failure.http_status)
    response.headers.update(failure.headers())
    if isinstance(error, _LAST):
        response.force_close()
    return response


def _call_failed(error: CallFailed, request_id: str) -> Failure:
    failure = status.from_status(error.status)
    if status.is_explained(error.status):
        return failure
    # The text of a server that does not speak our words may hold anything.
    if failure.code == "EXECUTION_ERROR":
        return status.our_fault(_log, error, request_id)
    if failure.retryable:
        _log.warning("request %s failed: %s", request_id, error.status.message)
        return replace(failure, message=_AWAY)
    return failure
