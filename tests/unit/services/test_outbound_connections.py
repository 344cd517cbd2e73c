"""The connections that requests to authorization servers go over."""

from ipaddress import ip_network

from aiohttp import web

from credentials.model import OutboundRequest
from executor.egress import EgressPolicy
from executor.model import ExecutorLimits
from executor.sender import AiohttpSender
from services.credentials.outbound import GuardedOutbound
from services.runtime import clock


async def test_each_request_has_its_own() -> None:
    """No request goes over a connection that its server may just be closing."""
    ports: list[int] = []

    async def token(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.append(request.transport.get_extra_info("peername")[1])
        return web.json_response({"access_token": "one"})

    app = web.Application()
    app.router.add_post("/token", token)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sender = AiohttpSender(EgressPolicy((ip_network("127.0.0.0/8"),)), ExecutorLimits())
    outbound = GuardedOutbound(sender, clock.now)
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/token"
    for _ in range(3):
        assert (await outbound.send(OutboundRequest("POST", url), 5)).status == 200
    await sender.close()
    await runner.cleanup()
    assert len(set(ports)) == 3
