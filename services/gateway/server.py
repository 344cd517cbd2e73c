"""aiohttp's low-level server, with errors below the handler in our form, too.

aiohttp answers bytes that are not HTTP with a text that quotes them, and logs them with a
traceback; a header among them may be a secret. Here such a request has the same body of error as
any other, and its bytes go nowhere.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from services.gateway import headers, status
from services.gateway.errors import InvalidRequest
from services.gateway.status import Failure

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)
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


class _Connection(web.RequestHandler):
    __slots__ = ()

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
    if http_status == status.from_refusal(_NOT_HTTP).http_status:
        _log.debug("a request was not HTTP: %s", type(error).__name__)
        return status.from_refusal(_NOT_HTTP)
    return status.our_fault(_log, error, request_id)
