"""The strict authorization server that other tests rely on speaks every flow they need."""

import pytest
from aiohttp import ClientSession

from services.runtime.clock import now
from tests.servers.browser import ConsentFailed, approve_device, consent
from tests.servers.caller import (
    assertion,
    authorization,
    connect,
    exchange,
    post,
    refresh,
    token,
)
from tests.servers.clients import DEVICE, JWT_BEARER, MACHINE, TOKEN_EXCHANGE
from tests.servers.oauth import OidcProvider

pytest_plugins = ["tests.servers.fixtures"]


@pytest.mark.parametrize("name", ["basic", "post", "public", "signer"])
async def test_every_kind_of_client_connects_and_refreshes(oidc: OidcProvider, name: str) -> None:
    """Consent, code with PKCE and refresh work for each way to authenticate."""
    first = await connect(oidc, name)
    status, second = await refresh(oidc, first["refresh_token"], name)
    assert status == 200
    assert second["refresh_token"] != first["refresh_token"]
    async with ClientSession() as session:
        headers = {"Authorization": f"Bearer {second['access_token']}"}
        async with session.get(oidc.userinfo_url, headers=headers) as response:
            assert await response.json() == {"sub": "alice"}


async def test_plain_oauth_needs_no_openid(oidc: OidcProvider) -> None:
    """Scopes and a resource are granted without any identity."""
    resource = "https://api.example.test"
    back = await consent(authorization(oidc, "basic", scope="read", resource=resource))
    status, tokens = await exchange(oidc, "basic", back["code"])
    assert (status, tokens["scope"], "id_token" in tokens) == (200, "read", False)
    _, told = await post(oidc, oidc.introspection_url, "basic", token=tokens["access_token"])
    assert told["aud"] == resource
    assert (await refresh(oidc, tokens["refresh_token"]))[0] == 200


async def test_a_wrong_verifier_is_refused(oidc: OidcProvider) -> None:
    """PKCE is checked, and no authorization starts without it."""
    back = await consent(authorization(oidc, "basic"))
    status, answer = await exchange(oidc, "basic", back["code"], "w" * 64)
    assert (status, answer["error"]) == (400, "invalid_grant")
    without = await consent(authorization(oidc, "basic", code_challenge=""))
    assert without["error"] == "invalid_request"


async def test_a_user_can_decline(oidc: OidcProvider) -> None:
    """A user who declines comes back with access_denied."""
    back = await consent(authorization(oidc, "basic"), decline=True)
    assert back["error"] == "access_denied"
    assert back["state"] == "a-state"


async def test_a_foreign_redirect_uri_shows_a_page(oidc: OidcProvider) -> None:
    """Nobody is sent to a redirect URI that is not registered."""
    url = authorization(oidc, "basic", redirect_uri="https://evil.example.test/")
    with pytest.raises(ConsentFailed, match="redirect_uri"):
        await consent(url)


async def test_revocation_and_introspection(oidc: OidcProvider) -> None:
    """Tokens can be revoked and asked after."""
    [minted] = await oidc.mint()
    _, told = await post(oidc, oidc.introspection_url, "basic", token=minted.access_token)
    assert told["active"]
    assert told["exp"] > now().timestamp()
    status, _ = await post(oidc, oidc.revocation_url, "basic", token=minted.refresh_token)
    assert status == 200
    assert not await oidc.alive(minted.refresh_token)


@pytest.mark.parametrize("name", ["machine", "machine-post", "machine-signer"])
async def test_client_credentials(oidc: OidcProvider, name: str) -> None:
    """A machine gets a token for a resource, and no refresh token."""
    resource = "https://api.example.test"
    status, answer = await token(oidc, name, grant_type=MACHINE, scope="read", resource=resource)
    assert status == 200
    assert (answer["scope"], "refresh_token" in answer) == ("read", False)
    _, told = await post(oidc, oidc.introspection_url, name, token=answer["access_token"])
    assert told["aud"] == resource


async def test_jwt_bearer(oidc: OidcProvider) -> None:
    """A signed assertion is exchanged for a token, without any other authentication."""
    signed = assertion(oidc, oidc.clients["service-account"])
    answers = []
    for sent in (signed, f"{signed[:-8]}AAAAAAAA"):
        form = {"grant_type": JWT_BEARER, "assertion": sent, "scope": "read"}
        async with ClientSession() as session, session.post(oidc.token_url, data=form) as response:
            answers.append(await response.json())
    assert await oidc.alive(answers[0]["access_token"])
    assert answers[1]["error"] == "invalid_grant"


async def test_token_exchange(oidc: OidcProvider) -> None:
    """A live access token is exchanged for another, and a dead one is not."""
    [minted] = await oidc.mint()
    form = {
        "grant_type": TOKEN_EXCHANGE,
        "subject_token": minted.access_token,
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "audience": "https://api.example.test",
    }
    status, answer = await token(oidc, "exchanger", **form)
    assert status == 200
    assert await oidc.alive(answer["access_token"])
    await oidc.withdraw(minted.access_token)
    status, answer = await token(oidc, "exchanger", **form)
    assert (status, answer["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("decline", [False, True])
async def test_device_flow(oidc: OidcProvider, *, decline: bool) -> None:
    """A device waits until its user has approved or declined."""
    _, device = await post(oidc, oidc.device_authorization_url, "device", scope="openid read")
    assert device["interval"] == 1
    form = {"grant_type": DEVICE, "device_code": device["device_code"]}
    assert (await token(oidc, "device", **form))[1]["error"] == "authorization_pending"
    await approve_device(device["verification_uri"], device["user_code"], decline=decline)
    status, answer = await token(oidc, "device", **form)
    if decline:
        assert (status, answer["error"]) == (400, "access_denied")
    else:
        assert (status, "refresh_token" in answer) == (200, True)


async def test_a_wrong_device_code_is_noticed(oidc: OidcProvider) -> None:
    """Approving a code that nobody was given fails."""
    with pytest.raises(ConsentFailed):
        await approve_device(f"{oidc.issuer}/device", "AAAA-AAAA")


async def test_metadata_is_published(oidc: OidcProvider) -> None:
    """The URLs of the handle are those that discovery tells (RFC 8414)."""
    async with ClientSession() as session:
        url = f"{oidc.issuer}/.well-known/oauth-authorization-server"
        async with session.get(url) as response:
            told = await response.json()
    assert told["issuer"] == oidc.issuer
    assert told["authorization_endpoint"] == oidc.authorization_url
    assert told["token_endpoint"] == oidc.token_url
    assert told["device_authorization_endpoint"] == oidc.device_authorization_url
    assert told["revocation_endpoint"] == oidc.revocation_url
    assert told["introspection_endpoint"] == oidc.introspection_url
    assert told["userinfo_endpoint"] == oidc.userinfo_url
    assert told["authorization_response_iss_parameter_supported"]
