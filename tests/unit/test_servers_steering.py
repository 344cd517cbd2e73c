"""The strict authorization server rotates for good, and tests can watch and trouble it."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from aiohttp import ClientConnectionError, ClientSession, ServerDisconnectedError

from tests.servers.caller import authentication, refresh
from tests.servers.clients import REFRESH
from tests.servers.oauth import Fault, OidcProvider, oidc_provider

pytest_plugins = ["tests.servers.fixtures"]

STARTER = """
import asyncio, sys
sys.path.insert(0, "")
from tests.servers.oauth import oidc_provider

async def main():
    async with oidc_provider() as oidc:
        print(oidc.issuer, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def answers(issuer: str) -> bool:
    """Tell whether a server is still there."""
    try:
        async with ClientSession() as session, session.get(f"{issuer}/jwks"):
            return True
    except ClientConnectionError:
        return False


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


async def test_a_restart_loses_every_grant() -> None:
    """A server of one's own starts on the port it is told, remembers nothing, and is gone after."""
    async with oidc_provider(access_token_ttl=7) as first:
        [minted] = await first.mint()
        assert minted.expires_in == 7
    port = int(first.issuer.rsplit(":", 1)[1])
    async with oidc_provider(port=port) as second:
        assert second.issuer == first.issuer
        assert not await second.alive(minted.refresh_token)


async def test_a_server_ends_with_who_started_it(tmp_path: Path) -> None:
    """A server whose starter was killed ends by itself."""
    script = tmp_path / "starter.py"
    script.write_text(STARTER)
    starter = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # noqa: TID251 - what it starts needs a path
    )
    assert starter.stdout is not None
    issuer = (await starter.stdout.readline()).decode().strip()
    starter.kill()
    await starter.wait()
    async with asyncio.timeout(10):
        while await answers(issuer):  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.02)
