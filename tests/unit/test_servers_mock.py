"""The authorization server that misbehaves on request does so, and tells what it received."""

import asyncio
import base64
import hashlib
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import ClientSession, ServerDisconnectedError

from tests.servers.browser import consent
from tests.servers.mock import Answer, OauthMock

pytest_plugins = ["tests.servers.fixtures"]

VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode()[:-1]


async def post(url: str, **form: str) -> tuple[int, str, bytes]:
    """Send a form with Basic authentication; answers status, content type and body."""
    headers = {"Authorization": "Basic dXM6c2VjcmV0"}
    async with ClientSession() as session, session.post(url, data=form, headers=headers) as got:
        return got.status, got.headers.get("Content-Type", ""), await got.read()


async def refresh(mock: OauthMock) -> tuple[int, Any]:
    """Refresh; answers the status and the parsed body."""
    status, _, body = await post(mock.token_url, grant_type="refresh_token", refresh_token="r1")
    return status, json.loads(body)


async def test_left_alone_it_connects(mock_oauth: OauthMock) -> None:
    """A code comes without a login, its verifier is checked, and tokens come for it."""
    query = {
        "client_id": "us",
        "response_type": "code",
        "redirect_uri": "https://app.example.test/callback",
        "state": "a-state",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    for verifier, expected in ((VERIFIER, 200), ("w" * 64, 400)):
        back = await consent(f"{mock_oauth.authorization_url}?{urlencode(query)}")
        assert back["state"] == "a-state"
        form = {"grant_type": "authorization_code", "code": back["code"]}
        status, _, _ = await post(mock_oauth.token_url, code_verifier=verifier, **form)
        assert status == expected


async def test_prepared_answers_come_in_turn(mock_oauth: OauthMock) -> None:
    """Each prepared answer is given once, in order; then the server behaves again."""
    await mock_oauth.prepare(
        Answer(status=503, body={"error": "temporarily_unavailable"}),
        Answer(status=400, body={"error": "invalid_grant"}),
        Answer(drop=["refresh_token"], set={"expires_in": "3600.5"}),
        Answer(set={"refresh_token": None}),
    )
    assert await refresh(mock_oauth) == (503, {"error": "temporarily_unavailable"})
    assert await refresh(mock_oauth) == (400, {"error": "invalid_grant"})
    status, tokens = await refresh(mock_oauth)
    assert (status, tokens["expires_in"], "refresh_token" in tokens) == (200, "3600.5", False)
    assert tokens["access_token"]
    assert await mock_oauth.waiting() == 1
    assert (await refresh(mock_oauth))[1]["refresh_token"] is None
    status, tokens = await refresh(mock_oauth)
    assert (status, tokens["expires_in"]) == (200, 3600)
    assert tokens["refresh_token"]


@pytest.mark.parametrize(
    "text",
    ["<html>200 and yet wrong</html>", "access_token=a&expires_in=60", b'{"access_token": "\xe9"}'],
)
async def test_any_bytes_can_be_the_answer(mock_oauth: OauthMock, text: str | bytes) -> None:
    """Bytes and content type are sent as they were prepared."""
    await mock_oauth.prepare(Answer(text=text, content_type="text/plain"))
    raw = text if isinstance(text, bytes) else text.encode()
    assert await post(mock_oauth.token_url, grant_type="refresh_token") == (200, "text/plain", raw)
    [request] = await mock_oauth.requests()
    assert request.form == {"grant_type": "refresh_token"}


async def test_requests_are_told(mock_oauth: OauthMock) -> None:
    """Bodies, authentication and counts of what came are there to look at."""
    await refresh(mock_oauth)
    await post(mock_oauth.revocation_url, token="t+1")
    await post(mock_oauth.introspection_url, token="t2")
    first, second, _ = await mock_oauth.requests()
    assert first.form == {"grant_type": "refresh_token", "refresh_token": "r1"}
    assert (first.authorization, first.status) == ("Basic dXM6c2VjcmV0", 200)
    assert (second.endpoint, second.body) == ("revoke", "token=t%2B1")
    assert await mock_oauth.counts() == {"token": 1, "revoke": 1, "introspect": 1}
    [asked] = await mock_oauth.requests("introspect")
    assert asked.form == {"token": "t2"}


async def test_other_endpoints_misbehave_too(mock_oauth: OauthMock) -> None:
    """Revocation, introspection and discovery take prepared answers as well."""
    await mock_oauth.prepare(Answer(status=503), endpoint="revoke")
    await mock_oauth.prepare(Answer(set={"active": False}), endpoint="introspect")
    discovery = ".well-known/openid-configuration"
    await mock_oauth.prepare(
        Answer(set={"issuer": "https://evil.example.test"}), endpoint=discovery
    )
    assert (await post(mock_oauth.revocation_url, token="t"))[0] == 503
    _, _, told = await post(mock_oauth.introspection_url, token="t")
    assert json.loads(told) == {"active": False}
    async with ClientSession() as session:
        async with session.get(f"{mock_oauth.issuer}/{discovery}") as response:
            assert (await response.json())["issuer"] == "https://evil.example.test"
        async with session.get(f"{mock_oauth.issuer}/{discovery}") as response:
            assert (await response.json())["issuer"] == mock_oauth.issuer


async def test_answers_can_stall_or_break_off(mock_oauth: OauthMock) -> None:
    """A late answer is not there yet, a broken one never comes, and both are on record."""
    await mock_oauth.prepare(Answer(delay_ms=1000), Answer(hang_up=True))
    asked = asyncio.create_task(refresh(mock_oauth))
    [late] = await mock_oauth.arrived()
    assert late.delivered is None
    with pytest.raises(ServerDisconnectedError):
        await refresh(mock_oauth)
    assert (await asked)[0] == 200
    first, second = await mock_oauth.requests()
    assert (first.status, first.delivered) == (200, True)
    assert first.form["refresh_token"] == "r1"
    assert (second.status, second.delivered) == (None, False)
