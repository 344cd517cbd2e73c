"""The floor: a bare aiohttp relay, handler → aiohttp client → upstream, bytes through."""

import sys
from collections.abc import AsyncIterator

import uvloop
from aiohttp import ClientSession, web

SESSION = web.AppKey("session", ClientSession)


async def relay(request: web.Request) -> web.Response:
    """Pass the body on and the answer back."""
    body = await request.read()
    url = request.app[UPSTREAM]
    headers = {"content-type": "application/json"}
    async with request.app[SESSION].post(url, data=body, headers=headers) as answer:
        return web.Response(body=await answer.read(), content_type="application/json")


async def session(app: web.Application) -> AsyncIterator[None]:
    """Keep one client session while the application runs."""
    async with ClientSession() as opened:
        app[SESSION] = opened
        yield


UPSTREAM = web.AppKey("upstream", str)

if __name__ == "__main__":
    uvloop.install()
    application = web.Application()
    application[UPSTREAM] = f"http://127.0.0.1:{sys.argv[2]}/createContact"
    application.cleanup_ctx.append(session)
    application.router.add_post("/x", relay)
    web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
