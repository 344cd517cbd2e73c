"""The strict authorization server that other tests rely on does what they rely on."""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode

import jwt
import pytest
from aiohttp import ClientSession, ServerDisconnectedError

from services.runtime.clock import now
from tests.servers.browser import ConsentFailed, approve_device, consent
from tests.servers.clients import (
    DEVICE,
    JWT_BEARER,
    KEY_ID,
    MACHINE,
    REFRESH,
    TOKEN_EXCHANGE,
    Client,
)
from tests.servers.oauth import Fault, OidcProvider, oidc_provider

pytest_plugins = ["tests.servers.fixtures"]

VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode()[:-1]
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
Answered = tuple[int, dict[str, Any]]


def assertion(oidc: OidcProvider, client: Client) -> str:
    """Sign what a client says about itself."""
    issued = int(now().timestamp())
    claims: dict[str, Any] = {"iss": client.id, "sub": client.id, "aud": oidc.token_url}
    claims |= {"iat": issued, "exp": issued + 60, "jti": secrets.token_hex(8)}
    return jwt.encode(claims, client.private_key or "", "RS256", headers={"kid": KEY_ID})


def authentication(oidc: OidcProvider, client: Client) -> tuple[dict[str, str], dict[str, str]]:
    """Answer the headers and the fields by which a client authenticates."""
    if client.auth == "client_secret_basic":
        pair = f"{quote_plus(client.id)}:{quote_plus(client.secret or '')}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, {}
    fields = {"client_id": client.id}
    if client.auth == "client_secret_post":
        fields["client_secret"] = client.secret or ""
    if client.auth == "private_key_jwt":
        fields["client_assertion"] = assertion(oidc, client)
        fields["client_assertion_type"] = ASSERTION_TYPE
    return {}, fields


async def post(oidc: OidcProvider, url: str, name: str, **form: str) -> Answered:
    """Send a form to an endpoint as one of the clients."""
    headers, fields = authentication(oidc, oidc.clients[name])
    async with (
        ClientSession() as session,
        session.post(url, data={**form, **fields}, headers=headers) as response,
    ):
        return response.status, await response.json(content_type=None)


async def token(oidc: OidcProvider, name: str, **form: str) -> Answered:
    """Ask for a token as one of the clients."""
    return await post(oidc, oidc.token_url, name, **form)


def authorization(oidc: OidcProvider, name: str, **more: str) -> str:
    """Answer where a user is sent to consent."""
    query: Mapping[str, str] = {
        "client_id": name,
        "response_type": "code",
        "redirect_uri": oidc.redirect_uri,
        "scope": "openid read",
        "state": "a-state",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **more,
    }
    return f"{oidc.authorization_url}?{urlencode(query)}"


async def connect(oidc: OidcProvider, name: str) -> dict[str, Any]:
    """Have a user consent, and exchange the code."""
    back = await consent(authorization(oidc, name))
    assert back["state"] == "a-state"
    assert back["iss"] == oidc.issuer
    status, tokens = await exchange(oidc, name, back["code"])
    assert status == 200, tokens
    return tokens


async def exchange(
    oidc: OidcProvider, name: str, code: str, code_verifier: str = VERIFIER
) -> Answered:
    """Exchange a code."""
    return await token(
        oidc,
        name,
        grant_type="authorization_code",
        code=code,
        code_verifier=code_verifier,
        redirect_uri=oidc.redirect_uri,
    )


async def refresh(oidc: OidcProvider, refresh_token: str, name: str = "basic") -> Answered:
    """Refresh."""
    return await token(oidc, name, grant_type=REFRESH, refresh_token=refresh_token)


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


async def test_a_used_refresh_token_ends_the_grant(oidc: OidcProvider) -> None:
    """A refresh token that comes again is refused, counted, and kills what it was replaced by."""
    [minted] = await oidc.mint()
    _, second = await refresh(oidc, minted.refresh_token)
    assert await oidc.alive(second["refresh_token"])
    status, answer = await refresh(oidc, minted.refresh_token)
    assert (status, answer["error"]) == (400, "invalid_grant")
    assert not await oidc.alive(second["refresh_token"])
    assert not await oidc.alive(second["access_token"])
    counts = await oidc.counts()
    assert (counts.refreshes, counts.succeeded[REFRESH], counts.replays) == (2, 1, 1)
    assert counts.redemptions == {await oidc.name_of(minted.refresh_token): 2}


async def test_of_many_at_once_one_wins(oidc: OidcProvider) -> None:
    """Concurrent refreshes of one token get one answer, also with delays."""
    await oidc.behave(delay_before_ms=100)
    [minted] = await oidc.mint()
    answers = await asyncio.gather(*(refresh(oidc, minted.refresh_token) for _ in range(10)))
    assert sorted(status for status, _ in answers) == [200] + [400] * 9


async def test_within_a_grace_a_used_token_is_answered(oidc: OidcProvider) -> None:
    """With a grace the same refresh token works again for that long."""
    await oidc.behave(grace_seconds=60)
    [minted] = await oidc.mint()
    answers = [await refresh(oidc, minted.refresh_token) for _ in range(2)]
    assert [status for status, _ in answers] == [200, 200]
    assert [await oidc.alive(tokens["refresh_token"]) for _, tokens in answers] == [True, True]
    await oidc.behave(grace_seconds=0)
    assert (await refresh(oidc, minted.refresh_token))[0] == 400


async def test_without_rotation_the_token_stays(oidc: OidcProvider) -> None:
    """A server that does not rotate answers with the same refresh token."""
    await oidc.behave(rotate=False)
    [minted] = await oidc.mint()
    _, answer = await refresh(oidc, minted.refresh_token)
    assert answer["refresh_token"] == minted.refresh_token


@pytest.mark.parametrize("when", ["before", "after"])
async def test_answers_can_be_late(oidc: OidcProvider, when: str) -> None:
    """A delay holds the answer back, before or after the token was rotated."""
    before, after = (1000, 0) if when == "before" else (0, 1000)
    await oidc.behave(delay_before_ms=before, delay_after_ms=after)
    [minted] = await oidc.mint()
    asked = asyncio.create_task(refresh(oidc, minted.refresh_token))
    [request] = await oidc.arrived()
    assert request.delivered is None
    assert (request.issued is not None) == (when == "after")
    assert (await asked)[0] == 200


async def test_answers_can_get_lost(oidc: OidcProvider) -> None:
    """A lost answer leaves a rotated token that nobody has heard of; a lost request does not."""
    before, after = await oidc.mint(count=2)
    await oidc.fail(Fault(hang_up="before"), Fault(hang_up="after"))
    for minted in (before, after):
        with pytest.raises(ServerDisconnectedError):
            await refresh(oidc, minted.refresh_token)
    assert await oidc.alive(before.refresh_token)
    assert not await oidc.alive(after.refresh_token)
    lost, done = await oidc.token_requests()
    assert (lost.issued, lost.delivered, done.delivered) == (None, False, False)
    assert done.issued is not None


async def test_faults_come_in_turn_and_by_share(oidc: OidcProvider) -> None:
    """Planned faults come first and once; shares hit every n-th request and rotate nothing."""
    [minted] = await oidc.mint()
    await oidc.fail(Fault(status=400, error="slow_down", grant_type=REFRESH))
    await oidc.fail_every({Fault(status=503): (3, 0)})
    status, answer = await refresh(oidc, minted.refresh_token)
    assert (status, answer) == (400, {"error": "slow_down"})
    _, tokens = await refresh(oidc, minted.refresh_token)
    headers, fields = authentication(oidc, oidc.clients["basic"])
    form = {"grant_type": REFRESH, "refresh_token": tokens["refresh_token"], **fields}
    async with (
        ClientSession() as session,
        session.post(oidc.token_url, data=form, headers=headers) as response,
    ):
        assert response.status == 503
    assert (await refresh(oidc, tokens["refresh_token"]))[0] == 200


async def test_tokens_expire_to_the_second(oidc: OidcProvider) -> None:
    """Access tokens live as long as the test says, with no tolerance."""
    await oidc.behave(access_token_ttl=1)
    [minted] = await oidc.mint()
    assert minted.expires_in == 1
    await asyncio.sleep(1)
    assert not await oidc.alive(minted.access_token)
    assert await oidc.alive(minted.refresh_token)


async def test_consent_can_be_withdrawn(oidc: OidcProvider) -> None:
    """After a withdrawal the refresh token is refused as an invalid grant."""
    [minted] = await oidc.mint()
    await oidc.withdraw(minted.refresh_token)
    assert not await oidc.alive(minted.access_token)
    status, answer = await refresh(oidc, minted.refresh_token)
    assert (status, answer["error"]) == (400, "invalid_grant")


async def test_hundreds_of_grants_are_kept(oidc: OidcProvider) -> None:
    """Nothing is forgotten for want of room."""
    minted = await oidc.mint(count=600)
    assert len({one.refresh_token for one in minted}) == 600
    assert await oidc.alive(minted[0].refresh_token)
    assert await oidc.alive(minted[0].access_token)


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


async def test_a_restart_loses_every_grant() -> None:
    """A server of one's own starts on the port it is told, remembers nothing, and is gone after."""
    async with oidc_provider(access_token_ttl=7) as first:
        [minted] = await first.mint()
        assert minted.expires_in == 7
    port = int(first.issuer.rsplit(":", 1)[1])
    async with oidc_provider(port=port) as second:
        assert second.issuer == first.issuer
        assert not await second.alive(minted.refresh_token)
