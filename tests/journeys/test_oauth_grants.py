"""Every way to a token, taken with a real server: grants, client authentication, endings."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.journeys.doors import Door, Refused
from tests.journeys.oauth import Connected, config, definition, guarded, made, urls
from tests.journeys.upstreams import Gate
from tests.servers.browser import approve_device
from tests.servers.mock import Answer, OauthMock
from tests.servers.oauth import OidcProvider

pytest_plugins = ["tests.servers.fixtures"]
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("door", ["in process", "REST, split"], indirect=True),
]


@pytest_asyncio.fixture(loop_scope="module")
async def api(oidc: OidcProvider) -> AsyncIterator[tuple[Gate, str]]:
    """An API that opens to living access tokens."""
    async with guarded(oidc) as served:
        yield served


async def gone(oidc: OidcProvider, *tokens: str) -> None:
    """Wait until the server accepts none of these tokens; raises `TimeoutError`."""
    async with asyncio.timeout(5):
        while any([await oidc.alive(token) for token in tokens]):  # noqa: ASYNC110 - over there
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("name", ["basic", "post", "public", "signer"])
async def test_code(door: Door, oidc: OidcProvider, api: tuple[Gate, str], name: str) -> None:
    """Each kind of client exchanges a code, calls, refreshes, and calls with the next token."""
    gate, url = api
    styles = {"post": {"authStyle": "body"}}
    oauth2 = {**urls(oidc), **styles.get(name, {})}
    given = config(oidc.clients[name], oidc.redirect_uri)
    instance = await made(door, definition("oauth2", url, oauth2Config=oauth2), given)
    await instance.authorize()
    assert await instance.look() == {"fine": True}
    status = await instance.credentials("RefreshCredentials")
    assert (status["status"], status["generation"]) == ("connected", "2")
    assert await instance.look() == {"fine": True}
    assert len(set(gate.tokens)) == 2
    assert (await oidc.counts()).succeeded == {"authorization_code": 1, "refresh_token": 1}


@pytest.mark.parametrize("name", ["machine", "machine-post", "machine-signer"])
async def test_client_credentials(
    door: Door, oidc: OidcProvider, api: tuple[Gate, str], name: str
) -> None:
    """A client of its own needs nobody: it is connected at once, and calls share one token."""
    gate, url = api
    oauth2 = {"tokenUrl": oidc.token_url}
    if name == "machine-post":
        oauth2["authStyle"] = "body"
    given = config(oidc.clients[name], oidc.redirect_uri, scope="read")
    document = definition("oauth2_client_credentials", url, oauth2Config=oauth2)
    instance = await made(door, document, given)
    assert (await instance.standing())["status"] == "CONNECTED"
    answers = await asyncio.gather(*(instance.look() for _ in range(10)))
    assert answers == [{"fine": True}] * 10
    assert len(set(gate.tokens)) == 1
    assert (await oidc.counts()).requests == {"client_credentials": 1}


async def test_jwt_bearer(door: Door, oidc: OidcProvider, api: tuple[Gate, str]) -> None:
    """A service account calls by what it signs."""
    _, url = api
    client = oidc.clients["service-account"]
    document = definition(
        "jwt_bearer", url, oauth2Config={"tokenUrl": oidc.token_url, "subject": "someone"}
    )
    instance = await made(door, document, config(client, oidc.redirect_uri, scope="read"))
    assert await instance.look() == {"fine": True}
    [request] = await oidc.token_requests()
    assert request.grant_type == "urn:ietf:params:oauth:grant-type:jwt-bearer"


async def test_token_exchange(door: Door, oidc: OidcProvider, api: tuple[Gate, str]) -> None:
    """A token is had for another."""
    _, url = api
    [subject] = await oidc.mint()
    given = config(
        oidc.clients["exchanger"],
        oidc.redirect_uri,
        scope="read",
        subjectToken=subject.access_token,
    )
    oauth2 = {"grant": "token_exchange", "tokenUrl": oidc.token_url}
    instance = await made(door, definition("oauth2", url, oauth2Config=oauth2), given)
    assert await instance.look() == {"fine": True}


async def device(door: Door, oidc: OidcProvider, url: str) -> tuple[Connected, dict[str, Any]]:
    """Start a device flow; answers the instance and what its owner has to be told."""
    oauth2 = {
        "grant": "device_code",
        "deviceAuthorizationUrl": oidc.device_authorization_url,
        "tokenUrl": oidc.token_url,
    }
    given = config(oidc.clients["device"], oidc.redirect_uri)
    instance = await made(door, definition("oauth2", url, oauth2Config=oauth2), given)
    assert (await instance.standing())["status"] == "PENDING_AUTHENTICATION"
    begun = await instance.credentials("StartOAuth2")
    assert begun["userCode"] in begun["authorizationUrl"]
    return instance, begun


async def test_device_flow(door: Door, oidc: OidcProvider, api: tuple[Gate, str]) -> None:
    """The owner types a code in elsewhere, and the flow completes by itself."""
    _, url = api
    instance, begun = await device(door, oidc, url)
    await approve_device(begun["verificationUrl"], begun["userCode"])
    await instance.becomes("CONNECTED")
    assert await instance.look() == {"fine": True}


async def test_declined_device(door: Door, oidc: OidcProvider, api: tuple[Gate, str]) -> None:
    """An owner who declines on the device leaves the instance AUTH_ERROR."""
    _, url = api
    instance, begun = await device(door, oidc, url)
    await approve_device(begun["verificationUrl"], begun["userCode"], decline=True)
    found = await instance.becomes("AUTH_ERROR")
    assert found["error"]["code"] == "AUTHENTICATION_ERROR"


async def test_discovery(door: Door, oidc: OidcProvider, api: tuple[Gate, str]) -> None:
    """An issuer alone says where everything is, and has to be who answers."""
    gate, url = api
    document = definition("oauth2", url, oauth2Config={"issuer": oidc.issuer})
    instance = await made(door, document, config(oidc.clients["basic"], oidc.redirect_uri))
    for wrong in ({"iss": "https://elsewhere.example"}, {"iss": ""}):
        with pytest.raises(Refused) as refused:
            await instance.authorize(**wrong)
        assert refused.value.code == "INVALID_STATE"
    assert (await oidc.counts()).requests == {}
    await instance.authorize()
    assert await instance.look() == {"fine": True}
    await instance.credentials("RevokeCredentials")
    await gone(oidc, gate.tokens[-1])


@pytest.mark.parametrize("ending", ["credentials", "instance"])
async def test_revocation(
    door: Door, oidc: OidcProvider, api: tuple[Gate, str], ending: str
) -> None:
    """What is deleted here is over there too: credentials of an instance, or all of it."""
    gate, url = api
    document = definition("oauth2", url, oauth2Config=urls(oidc))
    instance = await made(door, document, config(oidc.clients["basic"], oidc.redirect_uri))
    [tokens] = await oidc.mint()
    data = {"access_token": tokens.access_token, "refresh_token": tokens.refresh_token}
    await instance.credentials("StoreCredentials", type="oauth2", data=data)
    assert await instance.look() == {"fine": True}
    assert gate.tokens == [tokens.access_token]
    if ending == "credentials":
        await instance.credentials("RevokeCredentials")
        assert (await instance.standing())["status"] == "PENDING_AUTHENTICATION"
        assert (await instance.credentials("GetCredentialsStatus"))["status"] == "missing"
        with pytest.raises(Refused) as refused:
            await instance.look()
        assert refused.value.code == "NOT_CONNECTED"
    else:
        await door.disconnect(instance.id)
        with pytest.raises(Refused) as refused:
            await instance.credentials("GetCredentialsStatus")
        assert refused.value.code == "INTEGRATION_NOT_FOUND"
    await gone(oidc, tokens.access_token, tokens.refresh_token)
    assert len(gate.received) == 1


async def test_reconnecting(door: Door, oidc: OidcProvider, api: tuple[Gate, str]) -> None:
    """Whoever deletes the credentials of an instance can authorize it again."""
    _, url = api
    document = definition("oauth2", url, oauth2Config=urls(oidc))
    instance = await made(door, document, config(oidc.clients["basic"], oidc.redirect_uri))
    await instance.authorize()
    await instance.credentials("RevokeCredentials")
    await instance.authorize()
    assert await instance.look() == {"fine": True}


async def test_introspection(door: Door, mock_oauth: OauthMock) -> None:
    """A token whose answer has no end is asked about at the server."""
    oauth2 = {**urls(mock_oauth), "introspectionUrl": mock_oauth.introspection_url}
    document = definition("oauth2", "http://127.0.0.1:1", oauth2Config=oauth2)
    given = {"clientId": "a", "clientSecret": "b", "redirectUri": "http://127.0.0.1:9/back"}
    instance = await made(door, document, given)
    await mock_oauth.prepare(Answer(drop=["expires_in"]))
    await mock_oauth.prepare(
        Answer(body={"active": True, "exp": 4_000_000_000}), endpoint="introspect"
    )
    await instance.authorize()
    assert (await mock_oauth.counts())["introspect"] == 1
    status = await instance.credentials("GetCredentialsStatus")
    assert status["expiresAt"].startswith("203")  # bounded to ten years


async def test_refreshing_early(door: Door, oidc: OidcProvider, api: tuple[Gate, str]) -> None:
    """A due token is used while the next one is fetched, unless the definition wants none early."""
    gate, url = api
    await oidc.behave(access_token_ttl=6)  # for us it is due after 1.5 seconds and ends after 3
    instances = []
    for strategy in ("auto", "manual"):
        oauth2 = {**urls(oidc), "refreshTokenConfig": {"strategy": strategy}}
        document = definition("oauth2", url, oauth2Config=oauth2)
        given = config(oidc.clients["basic"], oidc.redirect_uri)
        instances.append(await made(door, document, given))
        await instances[-1].authorize()
    await oidc.behave(access_token_ttl=3600)
    await asyncio.sleep(1.7)
    for instance in instances:
        assert await instance.look() == {"fine": True}
    await asyncio.sleep(0.3)
    statuses = [await instance.credentials("GetCredentialsStatus") for instance in instances]
    assert [status["generation"] for status in statuses] == ["2", "1"]
    assert (await oidc.counts()).refreshes == 1
    assert len(set(gate.tokens)) == 2
