"""Authorization servers on bad days: what they answer then, and what becomes of the instance."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.journeys.conftest import served
from tests.journeys.doors import Door, Refused
from tests.journeys.houses import one_process
from tests.journeys.oauth import Connected, definition, made, urls
from tests.journeys.upstreams import Gate
from tests.servers.mock import Answer, OauthMock

pytest_plugins = ["tests.servers.fixtures"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

TWO_DOORS = pytest.mark.parametrize("door", ["in process", "REST, split"], indirect=True)
ONE_DOOR = pytest.mark.parametrize("door", ["REST, one process"], indirect=True)
REDIRECT = "https://app.example.test/oauth/callback"
CONFIG = {"clientId": "a client", "clientSecret": "a secret of it", "redirectUri": REDIRECT}


@dataclass(frozen=True, slots=True)
class World:
    """A door, a server that misbehaves on demand, and an API that lets everybody in."""

    door: Door
    server: OauthMock
    gate: Gate
    url: str

    async def connected(
        self, *answers: Answer, oauth2: dict[str, Any] | None = None, **more: Any
    ) -> Connected:
        """Make an instance and authorize it; `answers` are the server's next ones."""
        document = definition(
            "oauth2",
            more.pop("server", self.url),
            oauth2Config={**urls(self.server), **oauth2} if oauth2 else urls(self.server),
            **more,
        )
        instance = await made(self.door, document, CONFIG)
        await self.server.prepare(*answers)
        await instance.authorize()
        return instance

    async def expired(self, **more: Any) -> Connected:
        """Make an instance whose token has ended."""
        instance = await self.connected(Answer(set={"expires_in": 1}), **more)
        await asyncio.sleep(0.6)
        return instance

    async def refreshes(self) -> list[str]:
        """Answer the refresh tokens that the server was shown, in order."""
        shown = [request.form for request in await self.server.requests("token")]
        return [form["refresh_token"] for form in shown if form["grant_type"] == "refresh_token"]


@pytest_asyncio.fixture(loop_scope="module")
async def world(door: Door, mock_oauth: OauthMock) -> AsyncIterator[World]:
    """All of it, as good as new."""

    async def everybody(_: object) -> bool:
        return True

    gate = Gate(everybody)
    async with served(gate.app()) as url:
        yield World(door, mock_oauth, gate, url)


async def refusal(instance: Connected) -> Refused:
    """Call the API, which must fail; answers how."""
    with pytest.raises(Refused) as refused:
        await instance.look()
    return refused.value


@ONE_DOOR
async def test_down_for_a_moment(world: World) -> None:
    """A server that is down makes calls TEMPORARY_ERROR with a time to wait; then all is well."""
    instance = await world.expired()
    await world.server.prepare(Answer(status=503, body={"error": "temporarily_unavailable"}))
    refused = await refusal(instance)
    assert (refused.code, refused.retryable) == ("TEMPORARY_ERROR", True)
    assert (await instance.standing())["status"] == "CONNECTED"
    again = await refusal(instance)
    assert again.code == "TEMPORARY_ERROR"
    assert len(await world.refreshes()) == 1, "it is left alone for a while"
    async with asyncio.timeout(10):
        while True:
            try:
                assert await instance.look() == {"fine": True}
            except Refused:
                await asyncio.sleep(0.1)
            else:
                break
    assert len(await world.refreshes()) == 2
    assert len(world.gate.received) == 1


@TWO_DOORS
async def test_invalid_grant(world: World) -> None:
    """A grant that is gone is AUTHENTICATION_ERROR, then NOT_CONNECTED, until a new consent."""
    instance = await world.expired()
    await world.server.prepare(
        Answer(status=400, body={"error": "invalid_grant", "error_description": "revoked"})
    )
    refused = await refusal(instance)
    assert (refused.code, refused.retryable) == ("AUTHENTICATION_ERROR", False)
    found = await instance.becomes("AUTH_ERROR")
    assert found["error"]["code"] == "AUTHENTICATION_ERROR"
    assert "consent" in found["error"]["message"]
    status = await instance.credentials("GetCredentialsStatus")
    assert (status["status"], status["reason"]) == ("needs_reauthorization", "invalid_grant")
    async with asyncio.timeout(5):
        while (refused := await refusal(instance)).code != "NOT_CONNECTED":
            assert refused.code == "AUTHENTICATION_ERROR"
            await asyncio.sleep(0.1)
    assert refused.details == {"status": "AUTH_ERROR", "reason": "AUTHENTICATION_ERROR"}
    assert len(await world.refreshes()) == 1
    assert world.gate.received == []

    await instance.authorize()
    assert (await instance.standing())["status"] == "CONNECTED"
    assert await instance.look() == {"fine": True}


@ONE_DOOR
@pytest.mark.parametrize(
    "answer",
    [
        Answer(drop=["refresh_token"]),
        Answer(set={"refresh_token": None}),
        Answer(set={"refresh_token": ""}),
    ],
)
async def test_a_missing_refresh_token(world: World, answer: Answer) -> None:
    """An answer without a refresh token, or with an empty one, leaves the old one in its place."""
    instance = await world.expired()
    await world.server.prepare(answer)
    await instance.credentials("RefreshCredentials")
    await instance.credentials("RefreshCredentials")
    [first, second] = await world.refreshes()
    assert first == second


@ONE_DOOR
@pytest.mark.parametrize(
    ("expires_in", "bounds"),
    [
        ("3600", (3500, 3600)),
        (3600.9, (3500, 3601)),
        ("3600.5", (3500, 3601)),
        ("", None),
        ("abc", None),
        ([], None),
        (None, None),
        (10**30, (315_000_000, 316_000_000)),
        (True, None),
    ],
)
async def test_odd_lifetimes(
    world: World, expires_in: Any, bounds: tuple[float, float] | None
) -> None:
    """However the lifetime is written, the token is kept; what says nothing has no known end."""
    instance = await world.connected(Answer(set={"expires_in": expires_in}))
    status = await instance.credentials("GetCredentialsStatus")
    assert status["status"] == "connected"
    assert await instance.look() == {"fine": True}
    assert ("expiresAt" in status) == (bounds is not None)
    if bounds:
        assert bounds[0] - 100 < seconds_between(status) < bounds[1]


def seconds_between(status: dict[str, Any]) -> float:
    """Answer how long a token lasts, for us."""
    end, start = (datetime.fromisoformat(status[name]) for name in ("expiresAt", "refreshedAt"))
    return (end - start).total_seconds()


@ONE_DOOR
async def test_a_form_encoded_answer(world: World) -> None:
    """An answer as a form is read as well, and an error in one too."""
    form = "application/x-www-form-urlencoded"
    text = "access_token=gho_form&scope=repo%2Cgist&token_type=bearer"
    instance = await world.connected(Answer(text=text, content_type=form))
    await instance.look()
    assert world.gate.tokens == ["gho_form"]
    assert (await instance.credentials("GetCredentialsStatus"))["scope"] == "repo,gist"
    await world.server.prepare(Answer(text="error=bad_verification_code", content_type=form))
    with pytest.raises(Refused) as refused:
        await instance.authorize()
    assert refused.value.code == "AUTHENTICATION_ERROR"
    assert refused.value.details["error"] == "bad_verification_code"


@ONE_DOOR
async def test_nested_tokens(world: World) -> None:
    """Slack's user token is found where the definition says, not the bot's beside it."""
    body = {
        "ok": True,
        "access_token": "xoxb-of-the-bot",
        "authed_user": {"access_token": "xoxp-of-the-user", "scope": "chat:write,files:read"},
    }
    paths = {"accessToken": "authed_user.access_token", "scope": "authed_user.scope"}
    instance = await world.connected(Answer(body=body), oauth2={"tokenResponse": paths})
    await instance.look()
    assert world.gate.tokens == ["xoxp-of-the-user"]
    status = await instance.credentials("GetCredentialsStatus")
    assert status["scope"] == "chat:write,files:read"
    assert not status.get("refreshable")


@TWO_DOORS
async def test_an_error_under_200(world: World) -> None:
    """A 200 that holds an error is an error: nothing is connected by it."""
    document = definition("oauth2", world.url, oauth2Config=urls(world.server))
    instance = await made(world.door, document, CONFIG)
    for body, code in (
        ({"ok": False, "error": "invalid_code"}, "AUTHENTICATION_ERROR"),
        ({"error": "invalid_client"}, "CONFIGURATION_ERROR"),
        ({"access_token": None}, "TEMPORARY_ERROR"),
        ({"access_token": "x\r\nX-Evil: 1"}, "TEMPORARY_ERROR"),
    ):
        await world.server.prepare(Answer(body=body))
        with pytest.raises(Refused) as refused:
            await instance.authorize()
        assert refused.value.code == code
        assert (await instance.standing())["status"] != "CONNECTED"
    await instance.authorize()
    assert await instance.look() == {"fine": True}


@TWO_DOORS
async def test_a_server_from_the_answer(world: World) -> None:
    """Where the token answer names the account's host, calls go there."""
    instance = await world.connected(
        Answer(set={"instance_url": f"{world.url}/of/the/account"}),
        server="{+config.instanceUrl}",
        oauth2={"captureFromToken": {"instanceUrl": "instance_url"}},
    )
    assert (await instance.standing())["config"]["instanceUrl"] == f"{world.url}/of/the/account"
    assert await instance.look() == {"fine": True}
    [request] = world.gate.received
    assert request.path == "/of/the/account/look"


async def test_an_internal_server_from_the_answer(mock_oauth: OauthMock, tmp_path: Path) -> None:
    """A host that a token answer names is as guarded as any: an internal one gets no token."""

    async def everybody(_: object) -> bool:
        return True

    gate = Gate(everybody)
    async with (
        one_process(tmp_path, egress_allow="127.0.0.1/32") as house,
        served(gate.app()) as url,
    ):
        world = World(house.door("rest"), mock_oauth, gate, url)
        port = url.rpartition(":")[2]
        for internal in (f"http://127.0.0.2:{port}", "http://169.254.169.254", "http://[::1]:80"):
            instance = await world.connected(
                Answer(set={"instance_url": internal}),
                server="{+config.instanceUrl}",
                oauth2={"captureFromToken": {"instanceUrl": "instance_url"}},
            )
            refused = await refusal(instance)
            assert refused.code == "EGRESS_DENIED"
    assert gate.received == []


async def test_an_internal_token_endpoint(mock_oauth: OauthMock, tmp_path: Path) -> None:
    """Without the operator's leave no client secret goes to an internal token endpoint."""
    async with one_process(tmp_path, egress_allow="") as house:
        door = house.door("rest")
        document = definition("oauth2", "https://api.example", oauth2Config=urls(mock_oauth))
        instance = await made(door, document, CONFIG)
        with pytest.raises(Refused) as refused:
            await instance.authorize()
        assert refused.value.code == "EGRESS_DENIED"
        assert refused.value.details["address"] == "127.0.0.1"
    assert await mock_oauth.requests("token") == []
