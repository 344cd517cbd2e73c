"""Credentials looked after from outside: stored, looked at, refreshed, proved, deleted."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from examples.crm import Received
from services.runtime.clock import now
from tests.journeys.conftest import served
from tests.journeys.doors import CREDENTIAL_ROUTES, Door, Refused
from tests.journeys.oauth import Connected, config, definition, guarded, made, urls
from tests.journeys.upstreams import Gate
from tests.servers.oauth import Minted, OidcProvider

pytest_plugins = ["tests.servers.fixtures"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "a-key-of-today"
TYPES = ("none", "basic", "bearer", "oauth2", "jwt_bearer", "magic", "")


@pytest_asyncio.fixture(loop_scope="module")
async def api(oidc: OidcProvider) -> AsyncIterator[tuple[Gate, str]]:
    """An API that opens to living access tokens."""
    async with guarded(oidc) as served_:
        yield served_


@pytest_asyncio.fixture(loop_scope="module")
async def keyed(door: Door) -> AsyncIterator[tuple[Gate, Connected]]:
    """An API that opens to a key, and an instance with another one."""

    async def opens(received: Received) -> bool:
        return received.headers.get("Authorization") == f"Bearer {KEY}"

    gate = Gate(opens)
    async with served(gate.app()) as url:
        document = definition(
            "api_key",
            configSchema={
                "type": "object",
                "required": ["baseUrl", "apiKey"],
                "properties": {"baseUrl": {"type": "string"}, "apiKey": {"type": "string"}},
            },
            verification={"path": "/who/am/i"},
        )
        yield gate, await made(door, document, {"baseUrl": url, "apiKey": "a-key-of-yesterday"})


def brought(tokens: Minted, **more: Any) -> dict[str, Any]:
    """Answer tokens as an owner brings them along."""
    expires_at = (now() + timedelta(seconds=tokens.expires_in)).isoformat()
    return {
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "expires_at": expires_at,
        **more,
    }


async def refusal(instance: Connected, rpc: str, **fields: Any) -> Refused:
    """Do what must fail; answers how."""
    with pytest.raises(Refused) as refused:
        await instance.credentials(rpc, **fields)
    return refused.value


async def test_tokens_brought_along(door: Door, oidc: OidcProvider, api: tuple[Gate, str]) -> None:
    """Tokens from elsewhere connect an instance; they are refreshed here, and deleted here."""
    gate, url = api
    document = definition("oauth2", url, oauth2Config=urls(oidc))
    instance = await made(door, document, config(oidc.clients["basic"], oidc.redirect_uri))
    [tokens] = await oidc.mint()
    stored = await instance.credentials("StoreCredentials", type="oauth2", data=brought(tokens))
    expires = datetime.fromisoformat(stored.pop("expiresAt"))
    assert stored == {"status": "stored", "type": "oauth2"}
    assert 3500 < (expires - now()).total_seconds() <= 3600
    assert (await instance.standing())["status"] == "CONNECTED"
    assert await instance.look() == {"fine": True}
    assert gate.tokens == [tokens.access_token]

    status = await instance.credentials("RefreshCredentials")
    assert (status["status"], status["generation"], status["refreshable"]) == (
        "connected",
        "2",
        True,
    )
    assert status == await instance.credentials("GetCredentialsStatus")
    assert await instance.look() == {"fine": True}
    assert gate.tokens[1] != tokens.access_token

    assert await instance.credentials("RevokeCredentials") == {}
    status = await instance.credentials("GetCredentialsStatus")
    assert (status["status"], status["type"]) == ("missing", "oauth2")
    assert (await refusal(instance, "RefreshCredentials")).code == "NOT_CONNECTED"
    assert await instance.credentials("RevokeCredentials") == {}


async def test_a_key_is_stored_and_proved(keyed: tuple[Gate, Connected]) -> None:
    """A verification tells a bad key from a good one; a new key takes the old one's place."""
    gate, instance = keyed
    proof = await instance.credentials("VerifyCredentials")
    assert (proof.get("accepted", False), proof["statusCode"]) == (False, 401)
    found = await instance.standing()
    assert (found["status"], found["error"]["code"]) == ("AUTH_ERROR", "AUTHENTICATION_ERROR")

    stored = await instance.credentials("StoreCredentials", type="api_key", data={"apiKey": KEY})
    assert stored == {"status": "stored", "type": "api_key"}
    proof = await instance.credentials("VerifyCredentials")
    assert proof == {"instanceId": instance.id, "accepted": True, "statusCode": 200}
    assert {request.path for request in gate.received} == {"/who/am/i"}
    found = await instance.standing()
    assert (found["status"], found["secretFields"]) == ("CONNECTED", ["apiKey"])
    assert await instance.look() == {"fine": True}
    assert (await instance.credentials("GetCredentialsStatus"))["status"] == "connected"

    await instance.credentials("RevokeCredentials")
    assert (await instance.credentials("GetCredentialsStatus"))["status"] == "missing"
    found = await instance.standing()
    assert (found["status"], found["error"]["code"]) == ("DISCONNECTED", "NOT_CONNECTED")
    with pytest.raises(Refused) as refused:
        await instance.look()
    assert refused.value.code == "NOT_CONNECTED"
    assert (await refusal(instance, "VerifyCredentials")).code == "NOT_CONNECTED"

    await instance.credentials("StoreCredentials", type="api_key", data={"apiKey": KEY})
    assert await instance.look() == {"fine": True}


async def test_what_cannot_be_stored(keyed: tuple[Gate, Connected]) -> None:
    """Another type than the definition's, or data of another form, is refused by name."""
    _, instance = keyed
    for type_ in TYPES:
        refused = await refusal(instance, "StoreCredentials", type=type_, data={"apiKey": KEY})
        assert refused.code in {"CONFIGURATION_ERROR", "VALIDATION_ERROR"}, type_
        assert "api_key" in f"{refused.message} {refused.details}"
    for data in ({"apiKey": 5}, {"apiKey": ["x"]}, [], "text", 5, {"apiKey": None}):
        refused = await refusal(instance, "StoreCredentials", type="api_key", data=data)
        assert refused.code in {"CONFIGURATION_ERROR", "VALIDATION_ERROR"}, data
    refused = await refusal(instance, "RefreshCredentials")
    assert refused.code == "CONFIGURATION_ERROR"
    refused = await refusal(instance, "StartOAuth2")
    assert refused.code == "CONFIGURATION_ERROR"


async def test_tokens_of_another_form(door: Door, oidc: OidcProvider) -> None:
    """Tokens that no request could carry are refused, naming the field and never its value."""
    document = definition("oauth2", "http://127.0.0.1:1", oauth2Config=urls(oidc))
    instance = await made(door, document, config(oidc.clients["basic"], oidc.redirect_uri))
    for field, value in (
        ("access_token", 5),
        ("access_token", "planted\r\nX-Evil: 1"),
        ("refresh_token", ["planted"]),
        ("expires_at", "planted"),
        ("expires_at", [1]),
        ("expires_in", "planted"),
    ):
        data = {"access_token": "fine", field: value}
        refused = await refusal(instance, "StoreCredentials", type="oauth2", data=data)
        assert refused.code in {"CONFIGURATION_ERROR", "VALIDATION_ERROR"}
        assert field in refused.message
        assert "planted" not in f"{refused.message} {refused.details}"
    assert (await instance.credentials("GetCredentialsStatus"))["status"] == "missing"


async def test_no_verification_and_no_such_instance(door: Door) -> None:
    """A definition without a verification says so; an id of nothing is not found, whatever asks."""
    instance = await made(door, definition("none", "http://127.0.0.1:1"), {})
    assert (await refusal(instance, "VerifyCredentials")).code == "CONFIGURATION_ERROR"
    assert (await instance.credentials("GetCredentialsStatus"))["status"] == "connected"
    nothing = Connected(door, "int_inst_00000000000000000000000000")
    for rpc in CREDENTIAL_ROUTES:
        fields = {"type": "none", "data": {}} if rpc == "StoreCredentials" else {}
        assert (await refusal(nothing, rpc, **fields)).code == "INTEGRATION_NOT_FOUND", rpc


async def test_verifying_a_token(door: Door, oidc: OidcProvider, api: tuple[Gate, str]) -> None:
    """A verification shows the token, and fetches the next one where this one has ended."""
    gate, url = api
    document = definition(
        "oauth2", url, oauth2Config=urls(oidc), verification={"path": "/me?fields=id"}
    )
    instance = await made(door, document, config(oidc.clients["basic"], oidc.redirect_uri))
    assert (await refusal(instance, "VerifyCredentials")).code == "NOT_CONNECTED"
    [tokens] = await oidc.mint()
    data = brought(tokens, expires_at="2020-01-01T00:00:00Z")
    await instance.credentials("StoreCredentials", type="oauth2", data=data)
    proof = await instance.credentials("VerifyCredentials")
    assert proof["accepted"]
    [request] = gate.received
    assert (request.path, request.query) == ("/me", "fields=id")
    assert (await oidc.counts()).requests == {"refresh_token": 1}
    await oidc.withdraw(gate.tokens[0])
    proof = await instance.credentials("VerifyCredentials")
    assert not proof.get("accepted", False)
    assert (await instance.standing())["status"] == "AUTH_ERROR"


async def test_deleting_what_is_being_used(keyed: tuple[Gate, Connected]) -> None:
    """Calls that race with a deletion end well or as not connected; none is an accident."""
    _, instance = keyed
    for _ in range(5):
        await instance.credentials("StoreCredentials", type="api_key", data={"apiKey": KEY})
        calls = [asyncio.create_task(instance.look()) for _ in range(10)]
        await asyncio.sleep(0.005)
        await instance.credentials("RevokeCredentials")
        await asyncio.wait(calls)
        codes = {getattr(call.exception(), "code", "") for call in calls}
        assert codes <= {"", "NOT_CONNECTED", "TEMPORARY_ERROR"}
