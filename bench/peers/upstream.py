"""The upstream of all peers: a CRM that answers with what it got."""

import asyncio
import sys

import orjson
import uvloop
from aiohttp import web


async def create_contact(request: web.BaseRequest) -> web.StreamResponse:
    """Answer a created contact."""
    body = orjson.loads(await request.read())
    answer = {
        "contact_id": "cont_12345",
        "contact": body.get("contact", body),
        "created_at": "2023-09-15T10:30:00Z",
    }
    return web.Response(body=orjson.dumps(answer), content_type="application/json")


async def main(port: int) -> None:
    """Serve until killed."""
    runner = web.ServerRunner(web.Server(create_contact, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
