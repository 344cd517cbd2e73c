"""The specification's OAuth 2 steps, taken with a real server and a user who consents."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

import pytest
import pytest_asyncio
import yaml

from services.runtime.clock import now
from tests.journeys.doors import Door, Refused, RestDoor
from tests.journeys.houses import House
from tests.journeys.oauth import SCOPE, calendar, config, guarded, made
from tests.journeys.scenarios import DEFINITIONS
from tests.journeys.scenarios import definition as specified
from tests.journeys.upstreams import Gate
from tests.servers.browser import consent
from tests.servers.oauth import OidcProvider

pytest_plugins = ["tests.servers.fixtures"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

REDIRECT = "https://app.example.test/oauth/callback"
TIMES = {"timeMin": "2023-09-01T00:00:00Z", "timeMax": "2023-09-30T23:59:59Z"}
ITEM = {
    "kind": "calendar#event",
    "id": "evt_1",
    "summary": "Standup",
    "start": {"dateTime": "2023-09-04T09:00:00Z", "timeZone": "UTC"},
    "end": {"dateTime": "2023-09-04T09:15:00Z", "timeZone": "UTC"},
}
EVENT = {name: value for name, value in ITEM.items() if name != "kind"}


@pytest_asyncio.fixture(loop_scope="module")
async def api(oidc: OidcProvider) -> AsyncIterator[tuple[Gate, str]]:
    """A calendar that opens to living access tokens."""
    async with guarded(oidc) as (gate, url):
        gate.answer = {"kind": "calendar#events", "items": [ITEM]}
        yield gate, url


async def test_the_specified_steps(
    houses: dict[str, House], oidc: OidcProvider, api: tuple[Gate, str]
) -> None:
    """Start, callback, status and execute are, byte for byte, what the specification shows."""
    gate, url = api
    for house in houses.values():
        gate.received.clear()
        rest = RestDoor(house.session, house.rest, house.key)
        registered = await rest.register(calendar(oidc, url))
        body = {
            "integrationDefinitionId": registered["id"],
            "name": "My Google Calendar",
            "config": config(oidc.clients["basic"], oidc.redirect_uri),
        }
        created = json.loads(
            await rest.send("POST", "/integration-instances", json.dumps(body).encode())
        )
        assert created["id"].startswith("int_inst_")
        assert created["integrationDefinitionId"] == registered["id"]
        assert (created["name"], created["status"]) == (
            "My Google Calendar",
            "PENDING_AUTHENTICATION",
        )
        path = f"/integration-instances/{created['id']}"

        text = json.dumps({"redirectUri": oidc.redirect_uri}).encode()
        begun = json.loads(await rest.send("POST", f"{path}/auth/oauth2/start", text))
        assert list(begun)[:2] == ["authorizationUrl", "state"]
        back = await consent(begun["authorizationUrl"])
        assert back["state"] == begun["state"]

        text = json.dumps({"code": back["code"], "state": back["state"]}).encode()
        answer = await rest.send("POST", f"{path}/auth/oauth2/callback", text)
        assert answer == b'{"status":"SUCCESS","integrationInstanceId":"%b"}' % (
            created["id"].encode()
        )

        status = json.loads(await rest.send("GET", f"{path}/credentials/status"))
        assert (status["status"], status["type"], status["refreshable"]) == (
            "connected",
            "oauth2",
            True,
        )
        assert json.loads(await rest.send("GET", path))["status"] == "CONNECTED"

        parameters = {"parameters": {"calendarId": "primary", **TIMES, "maxResults": 5}}
        text = json.dumps(parameters).encode()
        result = json.loads(await rest.send("POST", f"{path}/methods/listEvents/execute", text))
        assert result == {"status": "SUCCESS", "data": {"events": [EVENT]}}
        [request] = gate.received
        assert request.path == "/calendars/primary/events"
        assert dict(parse_qsl(request.query)) == {**TIMES, "maxResults": "5"}


async def test_through_every_door(door: Door, oidc: OidcProvider, api: tuple[Gate, str]) -> None:
    """An instance waits for authentication, is connected by consent, and calls with its token."""
    gate, url = api
    client = oidc.clients["basic"]
    instance = await made(door, calendar(oidc, url), config(client, oidc.redirect_uri))
    assert (await instance.standing())["status"] == "PENDING_AUTHENTICATION"
    assert (await instance.credentials("GetCredentialsStatus"))["status"] == "missing"
    with pytest.raises(Refused) as refused:
        await door.execute(instance.id, "listEvents", json.dumps(TIMES).encode())
    assert refused.value.code == "NOT_CONNECTED"
    assert gate.received == []

    answer = await instance.authorize()
    assert answer == {"status": "SUCCESS", "integrationInstanceId": instance.id}
    assert (await instance.standing())["status"] == "CONNECTED"
    status = await instance.credentials("GetCredentialsStatus")
    assert (status["status"], status["scope"]) == ("connected", SCOPE)
    lasts = datetime.fromisoformat(status["expiresAt"]) - now()
    assert 3400 < lasts.total_seconds() < 3600

    result = await door.execute(instance.id, "listEvents", json.dumps(TIMES).encode())
    assert result.value == {"events": [EVENT]}
    assert (await oidc.counts()).requests == {"authorization_code": 1}


async def test_the_authorization_url(door: Door, oidc: OidcProvider) -> None:
    """Its parameters stand in the order of the specification's example, and PKCE follows."""
    client = oidc.clients["basic"]
    instance = await made(door, calendar(oidc, "http://127.0.0.1:1"), config(client, REDIRECT))
    begun = await instance.credentials("StartOAuth2", redirectUri=REDIRECT)
    url = urlsplit(begun["authorizationUrl"])
    pairs = parse_qsl(url.query)
    assert f"{url.scheme}://{url.netloc}{url.path}" == oidc.authorization_url
    assert [name for name, _ in pairs] == [
        *("client_id", "redirect_uri", "response_type", "scope", "access_type", "prompt", "state"),
        *("code_challenge", "code_challenge_method"),
    ]
    assert pairs[:6] == [
        ("client_id", "basic"),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", SCOPE),
        ("access_type", "offline"),
        ("prompt", "consent"),
    ]
    assert dict(pairs)["state"] == begun["state"]
    assert dict(pairs)["code_challenge_method"] == "S256"
    for bad in ("https://elsewhere.example/oauth/callback", f"{REDIRECT}/", f"{REDIRECT}?a=b"):
        with pytest.raises(Refused) as refused:
            await instance.credentials("StartOAuth2", redirectUri=bad)
        assert refused.value.code == "CONFIGURATION_ERROR"


async def test_after_expiry_the_next_call_refreshes(
    door: Door, oidc: OidcProvider, api: tuple[Gate, str]
) -> None:
    """When the token has ended, the next call fetches another and succeeds, without anybody."""
    _, url = api
    await oidc.behave(access_token_ttl=1)
    client = oidc.clients["basic"]
    instance = await made(door, calendar(oidc, url), config(client, oidc.redirect_uri))
    await instance.authorize()
    await oidc.behave(access_token_ttl=3600)
    await asyncio.sleep(0.6)  # for us it has ended, half of its life before its server says so
    result = await door.execute(instance.id, "listEvents", json.dumps(TIMES).encode())
    assert result.value == {"events": [EVENT]}
    assert (await oidc.counts()).requests == {"authorization_code": 1, "refresh_token": 1}
    assert (await instance.credentials("GetCredentialsStatus"))["generation"] == "2"


async def test_who_declines_is_told_apart(door: Door, oidc: OidcProvider) -> None:
    """A user's no is AUTHENTICATION_ERROR, shown at the instance, and cured by a later yes."""
    document = calendar(oidc, "http://127.0.0.1:1")
    instance = await made(door, document, config(oidc.clients["basic"], oidc.redirect_uri))
    begun = await instance.credentials("StartOAuth2")
    back = await consent(begun["authorizationUrl"], decline=True)
    assert back["error"] == "access_denied"
    told = {
        name: back[name] for name in ("error", "error_description", "state", "iss") if name in back
    }
    told["errorDescription"] = told.pop("error_description", "")
    with pytest.raises(Refused) as refused:
        await instance.credentials("CompleteOAuth2", **told)
    assert refused.value.code == "AUTHENTICATION_ERROR"
    assert refused.value.details["error"] == "access_denied"
    found = await instance.standing()
    assert (found["status"], found["error"]["code"]) == ("AUTH_ERROR", "AUTHENTICATION_ERROR")
    await instance.authorize()
    assert (await instance.standing())["status"] == "CONNECTED"


async def test_the_example_is_the_specified_definition() -> None:
    """The runnable calendar differs from the specification's by where the API is, and how bound."""
    ours = yaml.safe_load((DEFINITIONS / "calendar.yaml").read_text())
    theirs = json.loads(specified("google_calendar"))
    assert ours["configSchema"] == theirs["configSchema"]
    [own], [their] = ours["methods"], theirs["methods"]
    assert own["paramSchema"] == their["paramSchema"]
    for name in ("type", "authType", "version", "description"):
        assert ours[name] == theirs[name]
    same = ("tokenUrl", "scopeDelimiter", "additionalParameters")
    assert {name: ours["oauth2Config"][name] for name in same} == {
        name: theirs["oauth2Config"][name] for name in same
    }
