"""Instances whose tokens come from OAuth 2 servers: definitions, configs, and the usual steps."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import yaml

from tests.journeys.conftest import served
from tests.journeys.doors import Door
from tests.journeys.scenarios import DEFINITIONS
from tests.journeys.upstreams import Gate
from tests.servers.browser import consent
from tests.servers.clients import KEY_ID, Client
from tests.servers.mock import OauthMock
from tests.servers.oauth import Minted, OidcProvider

SCOPE = "openid read"
_FIELDS = ("baseUrl", "clientId", "clientSecret", "redirectUri", "scope", "privateKey", "keyId")
_FIELDS += ("subjectToken",)
_numbers = count(1)


def definition(
    auth_type: str, server: str = "", fields: tuple[str, ...] = _FIELDS, **more: Any
) -> bytes:
    """Answer a definition of its own with the methods `look` (GET) and `tell` (POST)."""
    document: dict[str, Any] = {
        "name": f"API {next(_numbers)} of {auth_type}",
        "version": "1.0.0",
        "type": "http",
        "authType": auth_type,
        "methods": [
            {"name": "look", "http": {"method": "GET", "path": "/look{?q}"}},
            {"name": "tell", "http": {"method": "POST", "path": "/tell"}},
        ],
        "configSchema": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in fields},
        },
        **({"server": server} if server else {}),
        **more,
    }
    return json.dumps(document).encode()


def calendar(oidc: OidcProvider, server: str) -> bytes:
    """Answer the calendar of the examples, moved to loopback."""
    document = yaml.safe_load((DEFINITIONS / "calendar.yaml").read_text())
    document["name"] += f" {next(_numbers)}"
    document["server"] = server
    document["oauth2Config"] |= urls(oidc)
    return json.dumps(document).encode()


def urls(server: OidcProvider | OauthMock) -> dict[str, str]:
    """Answer where a server is, as oauth2Config names it."""
    return {
        "authorizationUrl": server.authorization_url,
        "tokenUrl": server.token_url,
        "revocationUrl": server.revocation_url,
    }


def config(client: Client, redirect_uri: str, **more: str) -> dict[str, str]:
    """Answer an instance's config for a client of the test servers."""
    given = {"clientId": client.id, "redirectUri": redirect_uri, "scope": SCOPE, **more}
    if client.secret:
        given["clientSecret"] = client.secret
    if client.private_key:
        given |= {"privateKey": client.private_key, "keyId": KEY_ID}
    return given


@asynccontextmanager
async def guarded(oidc: OidcProvider) -> AsyncIterator[tuple[Gate, str]]:
    """Serve an API that opens to living access tokens of a server; answers it and its URL."""
    gate = Gate(lambda received: oidc.alive(received.headers.get("Authorization", "")[7:]))
    async with served(gate.app()) as url:
        yield gate, url


@dataclass(frozen=True, slots=True)
class Connected:
    """An instance, and the door it was made through."""

    door: Door
    id: str

    async def credentials(self, rpc: str, **fields: Any) -> dict[str, Any]:
        """Do something with its credentials."""
        return await self.door.credentials(rpc, self.id, **fields)

    async def look(self, **more: Any) -> Any:
        """Call the API; answers what came out."""
        return (await self.door.execute(self.id, "look", **more)).value

    async def authorize(self, **callback: Any) -> dict[str, Any]:
        """Start, consent as a user, and hand over what came back."""
        begun = await self.credentials("StartOAuth2")
        back = await consent(begun["authorizationUrl"])
        return await self.credentials("CompleteOAuth2", **{**back, **callback})

    async def standing(self) -> dict[str, Any]:
        """Answer the instance."""
        return await self.door.instance(self.id)

    async def becomes(self, status: str, *, seconds: float = 10) -> dict[str, Any]:
        """Wait until the instance has this status; raises `TimeoutError`."""
        async with asyncio.timeout(seconds):
            while (found := await self.standing())["status"] != status:  # noqa: ASYNC110 - over there
                await asyncio.sleep(0.05)
        return found


async def made(door: Door, document: bytes, given: Mapping[str, Any]) -> Connected:
    """Register a definition and make an instance of it."""
    registered = await door.register(document)
    return Connected(door, (await door.connect(registered["id"], given))["id"])


async def imported(
    door: Door, oidc: OidcProvider, server: str, tokens: Minted | None = None, **more: Any
) -> Connected:
    """Make an instance of a confidential client, with tokens as if its user had consented."""
    document = definition("oauth2", server, oauth2Config=urls(oidc))
    instance = await made(door, document, config(oidc.clients["basic"], oidc.redirect_uri))
    tokens = tokens or (await oidc.mint())[0]
    data = {"access_token": tokens.access_token, "refresh_token": tokens.refresh_token, **more}
    await instance.credentials("StoreCredentials", type="oauth2", data=data)
    return instance
