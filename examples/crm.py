"""A small third-party API to call: contacts and users behind an API key.

`python -m examples.crm --port 9001` serves it alone. It remembers what it received, so that one can
look at what really arrived.
"""

import argparse
import json
from dataclasses import dataclass, field

from aiohttp import web

API_KEY = "crm-demo-key"
CREATED_AT = "2023-09-15T10:30:00Z"
USERS = [
    {"id": f"user_{number}", "name": f"User {number}", "email": f"user{number}@example.com"}
    for number in range(1, 24)
]


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it arrived."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Crm:
    """The API: `received` holds every request since the start."""

    api_key: str = API_KEY
    received: list[Received] = field(default_factory=list)

    def app(self) -> web.Application:
        """Answer the application to serve."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_post("/createContact", self._create_contact)
        app.router.add_get("/getUsers", self._get_users)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: web.RequestHandler) -> web.StreamResponse:
        self.received.append(
            Received(
                request.method,
                request.path,
                request.query_string,
                dict(request.headers),
                await request.read(),
            )
        )
        if request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return web.json_response({"message": "who are you?"}, status=401)
        return await handler(request)  # type: ignore[operator]

    async def _create_contact(self, request: web.Request) -> web.Response:
        contact = json.loads(await request.read())["contact"]
        answer = {"contact_id": "cont_12345", "contact": contact, "created_at": CREATED_AT}
        return web.json_response(answer, status=201)

    async def _get_users(self, request: web.Request) -> web.Response:
        page, limit = int(request.query["page"]), int(request.query["limit"])
        pagination = {
            "total": len(USERS),
            "pages": -(-len(USERS) // limit),
            "page": page,
            "limit": limit,
        }
        users = USERS[(page - 1) * limit : page * limit]
        return web.json_response({"users": users, "pagination": pagination})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9001)
    web.run_app(Crm().app(), host="127.0.0.1", port=parser.parse_args().port)
