"""Upstreams as they are on bad days, and one that lets in whom it trusts."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from examples.crm import Received

MEBIBYTE = 1024 * 1024


def rough() -> web.Application:
    """Answer an API of which every path misbehaves in the way that it is called."""
    app = web.Application()
    app.router.add_get("/status/{code}", _status)
    app.router.add_get("/slow", _slow)
    app.router.add_get("/html", _html)
    app.router.add_get("/broken", _broken)
    app.router.add_get("/huge", _huge)
    app.router.add_get("/bomb", _bomb)
    app.router.add_get("/hangup", _hang_up)
    app.router.add_get("/mirror", _mirror)
    app.router.add_post("/echo", _echo)
    app.router.add_get("/fine", _fine)
    return app


async def _status(request: web.Request) -> web.Response:
    code = int(request.match_info["code"])
    headers = {"Retry-After": "7"} if code in {429, 503} else {}
    return web.json_response({"message": "no"}, status=code, headers=headers)


async def _slow(_: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.json_response({})


async def _html(_: web.Request) -> web.Response:
    return web.Response(text="<html>Sorry</html>", content_type="text/html")


async def _broken(_: web.Request) -> web.Response:
    return web.Response(text='{"half": ', content_type="application/json")


async def _huge(_: web.Request) -> web.Response:
    return web.Response(body=b'"' + b"x" * (11 * MEBIBYTE) + b'"', content_type="application/json")


async def _bomb(_: web.Request) -> web.Response:
    body = gzip.compress(b'"' + b"x" * (64 * MEBIBYTE) + b'"')
    headers = {"Content-Encoding": "gzip"}
    return web.Response(body=body, content_type="application/json", headers=headers)


async def _hang_up(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.close()
    return web.Response()


async def _mirror(request: web.Request) -> web.Response:
    """Answer with an error that quotes the credentials, as careless APIs do."""
    told = f"no access with {request.headers.get('Authorization')}"
    return web.json_response({"message": told}, status=400)


async def _echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read(), content_type="application/json")


async def _fine(_: web.Request) -> web.Response:
    return web.json_response({"fine": True})


@dataclass(slots=True)
class Gate:
    """An API that answers whoever `opens` says, and everybody else with 401.

    It remembers every request; its answer to all of them is `answer`.
    """

    opens: Callable[[Received], Awaitable[bool]]
    answer: object = field(default_factory=lambda: {"fine": True})
    received: list[Received] = field(default_factory=list)

    def app(self) -> web.Application:
        """Answer the application to serve."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    @property
    def tokens(self) -> list[str]:
        """Answer the bearer tokens that came, in order."""
        shown = (request.headers.get("Authorization", "") for request in self.received)
        return [text.removeprefix("Bearer ") for text in shown]

    async def _handle(self, request: web.Request) -> web.Response:
        path, _, query = request.raw_path.partition("?")
        received = Received(
            request.method, path, query, dict(request.headers), await request.read()
        )
        self.received.append(received)
        if not await self.opens(received):
            return web.json_response({"message": "who are you?"}, status=401)
        return web.json_response(self.answer)
