"""A way to the Vault that loses answers: what was asked for is done, and nobody hears of it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import ClientSession, web

from tests.conformance.vault import free_port


@dataclass(slots=True)
class Proxy:
    """`loses` tells of each write, counted from 1, whether its answer is lost.

    `lost` counts those; `seen` lists the method and path of every request.
    """

    address: str
    loses: Callable[[int], bool]
    writes: int = 0
    lost: int = 0
    seen: list[str] = field(default_factory=list)


@asynccontextmanager
async def losing_answers(upstream: str, loses: Callable[[int], bool]) -> AsyncIterator[Proxy]:
    """Serve on a loopback port; instead of a lost answer, the connection ends."""
    port = free_port()
    proxy = Proxy(f"http://127.0.0.1:{port}", loses)

    async with ClientSession(upstream, trust_env=False) as http:

        async def forward(request: web.Request) -> web.Response:
            proxy.seen.append(f"{request.method} {request.path}")
            headers = {
                name: value for name, value in request.headers.items() if name.startswith("X-Vault")
            }
            async with http.request(
                request.method, request.path_qs, headers=headers, data=await request.read()
            ) as answer:
                body, status = await answer.read(), answer.status
            if request.method != "GET" and "/data/" in request.path:
                proxy.writes += 1
                if loses(proxy.writes):
                    proxy.lost += 1
                    if request.transport is not None:
                        request.transport.close()
            return web.Response(body=body, status=status, content_type="application/json")

        app = web.Application(client_max_size=2**22)
        app.router.add_route("*", "/{path:.*}", forward)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield proxy
        finally:
            await runner.cleanup()
