"""aiohttp's low-level server, with errors below the handler in our form, too.

aiohttp answers bytes that are not HTTP with a text that quotes them, and logs them with a
traceback; a header among them may be a secret. Here such a request has the same body of error as
any other, and its bytes go nowhere.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, ContentEncodingError

from services.gateway import headers, status
from services.gateway.body import UNKNOWN_ENCODING
from services.gateway.errors import InvalidRequest
from services.gateway.status import Failure

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)
_NOT_DECODABLE = InvalidRequest(UNKNOWN_ENCODING)
_NOT_HTTP = InvalidRequest("The request is not well-formed HTTP")


class Server(web.Server):
    """A server whose handlers are cancelled when their client goes away."""

    def __init__(self, handler: Handler) -> None:
        super().__init__(handler, handler_cancellation=True)

    def __call__(self) -> web.RequestHandler:
        """The protocol of one connection."""
        loop = asyncio.get_running_loop()
        # None is how aiohttp is told not to log accesses, which its types leave out.
        return _Connection(self, loop=loop, access_log=None)  # type: ignore[arg-type]

    def interrupt(self) -> None:
        """Cancel all requests; a handler can tell by `is_interrupted` and still answer."""
        for connection in self.connections:
            if isinstance(connection, _Connection):
                connection.interrupt()


def is_interrupted(request: web.BaseRequest) -> bool:
    """Tell whether a request was cancelled by us, and not by its client that has left."""
    return getattr(request.protocol, "interrupted", False)


class _Connection(web.RequestHandler):
    __slots__ = ("interrupted",)

    def interrupt(self) -> None:
        """Cancel the request that is being handled, if there is one."""
        self.interrupted = True
        request = self._current_request
        if request is not None:
            request.task.cancel()

    def log_exception(self, *arguments: Any, **facts: Any) -> None:
        """Log accidents; a body that cannot be read is its sender's, read to its end or not."""
        if isinstance(facts.get("exc_info"), (web.RequestPayloadError, BadHttpMessage)):
            _log.debug("a body was not encoded as announced")
        else:
            super().log_exception(*arguments, **facts)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what the handler never saw, or must not have raised."""
        if request.writer.output_size:
            raise ConnectionError("Part of another answer is sent already")
        request_id = headers.request_id(request.headers)
        failure = _failure(status, exc, request_id)
        response = web.Response(
            body=failure.body(request_id),
            status=failure.http_status,
            headers={"Content-Type": "application/json", "X-Request-Id": request_id},
        )
        response.force_close()
        return response


def _failure(http_status: int, error: BaseException | None, request_id: str) -> Failure:
    if isinstance(error, ContentEncodingError):
        return status.from_refusal(_NOT_DECODABLE)
    if http_status == status.from_refusal(_NOT_HTTP).http_status:
        _log.debug("a request was not HTTP: %s", type(error).__name__)
        return status.from_refusal(_NOT_HTTP)
    return status.our_fault(_log, error, request_id)
