"""What fault tests call: an API behind an authorization server whose tokens refresh once."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.journeys.doors import RpcDoor
from tests.servers.oauth import OidcProvider

PAST = "2020-01-01T00:00:00Z"


@dataclass
class Api:
    """An API that lets every bearer in and remembers the tokens it saw."""

    url: str = ""
    tokens: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer whoever shows a token."""
        self.tokens.append(request.headers.get("Authorization", "").removeprefix("Bearer "))
        return web.json_response({"ok": True})


@asynccontextmanager
async def api() -> AsyncIterator[Api]:
    """Run the API."""
    made = Api()
    app = web.Application()
    app.router.add_get("/me", made.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()


def definition(provider: OidcProvider, **oauth2: Any) -> bytes:
    """Answer a definition of the API."""
    return json.dumps(
        {
            "name": "API behind a strict authorization server",
            "version": "1.0.0",
            "type": "http",
            "authType": "oauth2",
            "methods": [
                {
                    "name": "getMe",
                    "description": "Who am I",
                    "http": {"method": "GET", "path": "/me"},
                    "timeoutMs": 120_000,
                    "paramSchema": {"type": "object"},
                }
            ],
            "configSchema": {
                "type": "object",
                "properties": {
                    "baseUrl": {"type": "string"},
                    "clientId": {"type": "string"},
                    "clientSecret": {"type": "string"},
                    "redirectUri": {"type": "string"},
                    "scope": {"type": "string"},
                },
            },
            "oauth2Config": {
                "authorizationUrl": provider.authorization_url,
                "tokenUrl": provider.token_url,
                "revocationUrl": provider.revocation_url,
                "authStyle": "header",
                **oauth2,
            },
        }
    ).encode()


async def instances(door: RpcDoor, provider: OidcProvider, upstream: Api, count: int) -> list[str]:
    """Register the definition and make instances of it."""
    registered = await door.register(definition(provider))
    client = provider.clients["basic"]
    config = {
        "baseUrl": upstream.url,
        "clientId": client.id,
        "clientSecret": client.secret,
        "redirectUri": provider.redirect_uri,
        "scope": "openid read",
    }
    return [(await door.connect(registered["id"], config))["id"] for _ in range(count)]


async def expire(door: RpcDoor, provider: OidcProvider, *ids: str) -> list[str]:
    """Give every instance a new grant whose access token has ended; answers the refresh tokens."""
    return await give(door, provider, *ids, expires_at=PAST)


async def give(door: RpcDoor, provider: OidcProvider, *ids: str, **more: Any) -> list[str]:
    """Give every instance a new grant, with more fields if any; answers the refresh tokens."""
    minted = await provider.mint("basic", count=len(ids))
    for instance_id, tokens in zip(ids, minted, strict=True):
        data = {
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token,
            **more,
        }
        await door.credentials("StoreCredentials", instance_id, type="oauth2", data=data)
    return [tokens.refresh_token for tokens in minted]
