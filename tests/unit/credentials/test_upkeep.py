"""Looking after credentials: store, status, refresh, verify and revoke."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any

import pytest

from credentials.errors import (
    AuditUnavailable,
    CredentialsNotFound,
    InvalidCredentials,
    NeedsReauthorization,
    OAuthMisconfigured,
    SchemeNotAvailable,
    TokenEndpointFailed,
    VersionConflict,
)
from credentials.grants import Claim, GrantState
from credentials.model import AuthScheme, OutgoingRequest, Part, RecordKey, Report, Standing
from credentials.upkeep import CredentialsStatus
from tests.unit.credentials.faulty import ForgetfulStore
from tests.unit.credentials.world import (
    CONFIG,
    GRANT,
    INSTANCE,
    OAUTH2,
    TENANT,
    Process,
    World,
    answer,
)

ACTOR = "user-1"
PROBE = OutgoingRequest("GET", "https://api.example.com/me?full=1", (("Accept", "text/plain"),))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Answer a configured world without a grant."""
    made = World()
    await made.configured()
    yield made
    await made.close()


async def stored(
    process: Process, data: Mapping[str, Any], type_: str = "oauth2"
) -> CredentialsStatus:
    """Store credentials."""
    return await process.upkeep.store(TENANT, INSTANCE, type_, data, ACTOR)


async def status(process: Process) -> CredentialsStatus:
    """Answer how the credentials stand."""
    return await process.upkeep.status(TENANT, INSTANCE)


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        ({"expires_at": "2026-01-01T01:00:00Z"}, 3600),
        ({"expires_at": "2026-01-01T03:00:00+02:00"}, 3600),
        ({"expires_at": "2026-01-01T01:00:00"}, 3600),
        ({"expires_at": 1767229200}, 3600),
        ({"expires_at": 1767229200.5, "expires_in": 7}, 3600.5),
        ({"expires_in": 60}, 60),
        ({"expires_in": "60"}, 60),
        ({"expires_at": "9999-12-31T23:59:59Z"}, 315360000),
        ({"expires_at": 1767229200000}, 315360000),
        ({}, None),
        ({"expires_at": None, "expires_in": None}, None),
    ],
)
async def test_brought_tokens(
    world: World, times: Mapping[str, Any], seconds: float | None
) -> None:
    """Tokens from elsewhere are kept as they are, with their end however it is written."""
    process = world.process()
    found = await stored(process, {"access_token": "a-1", "refresh_token": "r-1", **times})
    grant = await world.stored()
    assert (grant.access_token, grant.refresh_token, grant.generation) == ("a-1", "r-1", 1)
    expected = None if seconds is None else world.clock().timestamp() + seconds
    assert grant.expires_at == expected
    assert (found.status, found.refreshable) == ("connected", True)
    assert world.connections.reports == [Report(Standing.CONNECTED)]


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "access_token"),
        ({"access_token": ""}, "access_token"),
        ({"access_token": 7}, "access_token"),
        ({"access_token": "a\r\nX-Evil: 1"}, "access_token"),
        ({"access_token": "a b"}, "access_token"),
        ({"access_token": "a", "refresh_token": ["r"]}, "refresh_token"),
        ({"access_token": "a", "refresh_token": "r\n"}, "refresh_token"),
        ({"access_token": "a", "expires_at": "tomorrow"}, "expires_at"),
        ({"access_token": "a", "expires_at": True}, "expires_at"),
        ({"access_token": "a", "expires_at": [1]}, "expires_at"),
        ({"access_token": "a", "expires_at": float("nan")}, "expires_at"),
        ({"access_token": "a", "expires_at": 10**400}, "expires_at"),
        ({"access_token": "a", "expires_in": "soon"}, "expires_in"),
        ({"access_token": "a", "expires_in": float("inf")}, "expires_in"),
    ],
)
async def test_junk_is_refused(world: World, data: Mapping[str, Any], field: str) -> None:
    """What could never be used is refused by the name of its field, and nothing changes."""
    with pytest.raises(InvalidCredentials) as caught:
        await stored(world.process(), data)
    assert caught.value.details == {"field": field}
    assert await world.inner.get(GRANT) is None
    assert world.connections.reports == []


async def test_brought_tokens_replace_what_is_there(world: World) -> None:
    """A store over a grant that is over makes the next generation, which is used and refreshed."""
    await world.granted(state=GrantState.NEEDS_REAUTHORIZATION, cause="invalid_grant")
    process = world.process()
    issued = world.server.issue()
    found = await stored(process, {**issued, "expires_in": 0})
    assert (found.status, found.generation) == ("expired", 2)
    grant = await process.refresher.fresh(TENANT, INSTANCE)
    assert (grant.access_token, grant.generation) == ("access-token-0003", 3)


async def test_store_through_writes_that_seem_to_fail(world: World) -> None:
    """Storing succeeds through a store that reports writes as failed that are done."""
    process = world.process(store=ForgetfulStore(world.inner, 0.5))
    for number in range(1, 11):
        assert (await stored(process, {"access_token": f"a-{number}"})).generation == number


async def test_manual_strategy_holds_for_brought_tokens() -> None:
    """By a manual strategy, tokens from elsewhere are not refreshed before their end either."""
    world = World(oauth2={**OAUTH2, "refreshTokenConfig": {"strategy": "manual"}})
    await world.configured()
    process = world.process()
    await stored(process, {**world.server.issue(), "expires_in": 100})
    world.clock.pass_(99)
    assert (await process.refresher.fresh(TENANT, INSTANCE)).generation == 1
    world.clock.pass_(2)
    assert (await process.refresher.fresh(TENANT, INSTANCE)).generation == 2
    await world.close()


async def test_store_fields_of_the_config() -> None:
    """Types without tokens get the fields of their config, through whoever owns that."""
    world = World("api_key")
    process = world.process()
    await stored(process, {"apiKey": "k-1"}, "api_key")
    assert world.connections.configured == [{"apiKey": "k-1"}]
    assert world.connections.reports == [Report(Standing.CONNECTED)]


async def test_store_of_another_type(world: World) -> None:
    """Credentials of another type than the definition's are refused."""
    with pytest.raises(SchemeNotAvailable) as caught:
        await stored(world.process(), {"apiKey": "k-1"}, "api_key")
    assert caught.value.details == {"type": "api_key", "available": ["oauth2"]}
    assert world.connections.configured == []


async def test_what_cannot_be_written_down_does_not_happen(world: World) -> None:
    """Without an audit log nothing is stored, refreshed or revoked."""
    await world.granted()
    process = world.process()
    process.audit.is_available = False
    for verb in (
        stored(process, {"access_token": "a"}),
        process.upkeep.refresh(TENANT, INSTANCE, ACTOR),
        process.upkeep.revoke(TENANT, INSTANCE, ACTOR),
    ):
        with pytest.raises(AuditUnavailable):
            await verb
    assert (await world.stored()).generation == 1
    assert world.server.requests == []


async def test_revoke(world: World) -> None:
    """Revoked tokens are gone at once and told to their server; the config stays."""
    await world.granted()
    process = world.process()
    await process.upkeep.revoke(TENANT, INSTANCE, ACTOR)
    assert await world.inner.get(GRANT) is None
    assert await world.inner.get(CONFIG) is not None
    await asyncio.sleep(0.02)
    assert world.server.revoked == ["refresh-token-0001", "access-token-0001"]
    report = world.connections.reports[-1]
    assert (report.standing, report.code) == (Standing.PENDING_AUTHENTICATION, "NOT_CONNECTED")
    assert (await status(process)).status == "missing"
    outcomes = [(entry.action, entry.outcome) for entry in process.audit.entries]
    assert outcomes == [
        ("credentials.deleted", "begins"),
        ("credentials.deleted", "ok"),
        ("token.revoked", "ok"),
    ]


@pytest.mark.parametrize("type_", ["api_key", "oauth2_client_credentials"])
async def test_revoke_without_consent(type_: str) -> None:
    """Where no owner's consent is behind it, the config's secrets go, and no token comes again."""
    world = World(type_)
    await world.configured()
    process = world.process()
    if type_ != "api_key":
        await process.refresher.fresh(TENANT, INSTANCE)
    await process.upkeep.revoke(TENANT, INSTANCE, ACTOR)
    for part in Part:
        assert await world.inner.get(RecordKey(TENANT, INSTANCE, part)) is None
    assert world.connections.reports[-1].standing is Standing.DISCONNECTED
    assert (await status(process)).status == "missing"
    with pytest.raises(CredentialsNotFound):
        await process.refresher.fresh(TENANT, INSTANCE)
    await world.close()


@pytest.mark.parametrize(
    ("changes", "shown", "reason"),
    [
        ({"expires_at": None}, "connected", ""),
        ({}, "expired", ""),
        ({"claim": Claim("other", "c-1")}, "refreshing", ""),
        ({"claim": Claim("other", "c-1"), "expires_at": None}, "connected", ""),
        ({"claim": Claim("other", "c-1"), "generation": 0}, "missing", "not authorized yet"),
        ({"doubt": "c-1"}, "expired", "in_doubt"),
        (
            {"state": GrantState.NEEDS_REAUTHORIZATION, "cause": "invalid_grant", "doubt": "c-1"},
            "needs_reauthorization",
            "invalid_grant",
        ),
    ],
)
async def test_status(world: World, changes: dict[str, Any], shown: str, reason: str) -> None:
    """The status tells how a grant stands and why, and nothing of its tokens."""
    await world.granted(**changes)
    found = await status(world.process())
    assert (found.type, found.status, found.reason) == ("oauth2", shown, reason)
    assert "token-0001" not in repr(found)


async def test_status_without_tokens() -> None:
    """Other types are connected when there is a record, and `none` always is."""
    world = World("api_key")
    process = world.process()
    assert (await status(process)).status == "missing"
    await world.configured({"apiKey": "k-1"})
    assert (await status(process)).status == "connected"
    world.connections.scheme = AuthScheme("none")
    assert (await status(process)).status == "connected"


async def test_status_tells_what_was_not_heard(world: World) -> None:
    """An instance that is not shown as its grant is, is reported again."""
    await world.granted(expires_at=None)
    process = world.process()
    world.connections.standing = "PENDING_AUTHENTICATION"
    await status(process)
    await status(process)
    assert world.connections.reports == [Report(Standing.CONNECTED)]
    await world.inner.delete(GRANT)
    await world.granted(state=GrantState.NEEDS_REAUTHORIZATION, cause="invalid_grant")
    await status(process)
    await status(process)
    assert [report.standing for report in world.connections.reports[1:]] == [Standing.AUTH_ERROR]


async def test_asked_for_refresh_really_refreshes(world: World) -> None:
    """Whoever asks for a refresh gets one, however young the token is, each time."""
    await world.granted()
    process = world.process()
    for generation in (2, 3, 4):
        found = await process.upkeep.refresh(TENANT, INSTANCE, ACTOR)
        assert (found.status, found.generation) == ("connected", generation)
    assert world.server.grants == {"refresh_token": 3}
    actions = [(e.action, e.actor, e.outcome) for e in process.audit.entries if e.actor == ACTOR]
    assert actions[:2] == [
        ("credentials.refreshed", ACTOR, "begins"),
        ("credentials.refreshed", ACTOR, "ok"),
    ]


async def test_refreshes_asked_for_together(world: World) -> None:
    """Refreshes that are asked for at the same time are one."""
    await world.granted()
    world.server.delay = 0.02
    processes = [world.process("first"), world.process("second")]
    verbs = (process.upkeep.refresh(TENANT, INSTANCE, ACTOR) for process in processes * 5)
    found = await asyncio.gather(*verbs)
    assert {each.generation for each in found} == {2}
    assert world.server.grants == {"refresh_token": 1}


async def test_asked_for_refresh_does_not_pause(world: World) -> None:
    """A failure before does not keep a refresh that is asked for from being tried."""
    await world.granted(expires_at=None)
    process = world.process()
    world.server.faults = [answer({}, 503)]
    with pytest.raises(TokenEndpointFailed):
        await process.upkeep.refresh(TENANT, INSTANCE, ACTOR)
    assert (await process.upkeep.refresh(TENANT, INSTANCE, ACTOR)).generation == 2


async def test_refresh_without_tokens(world: World) -> None:
    """Types without tokens, and grants without a refresh token, say that there is nothing to do."""
    process = world.process()
    world.connections.scheme = AuthScheme("api_key")
    with pytest.raises(OAuthMisconfigured):
        await process.upkeep.refresh(TENANT, INSTANCE, ACTOR)
    world.connections.scheme = AuthScheme("oauth2")
    with pytest.raises(CredentialsNotFound):
        await process.upkeep.refresh(TENANT, INSTANCE, ACTOR)
    assert world.server.requests == []


async def test_refresh_of_a_grant_that_is_over(world: World) -> None:
    """A grant that is over is not tried again."""
    await world.granted(
        state=GrantState.NEEDS_REAUTHORIZATION, cause="invalid_grant", expires_at=None
    )
    with pytest.raises(NeedsReauthorization):
        await world.process().upkeep.refresh(TENANT, INSTANCE, ACTOR)
    assert world.server.requests == []


@pytest.mark.parametrize(
    ("code", "accepted", "standing"),
    [
        (200, True, Standing.CONNECTED),
        (204, True, Standing.CONNECTED),
        (302, False, None),
        (401, False, Standing.AUTH_ERROR),
        (403, False, Standing.AUTH_ERROR),
        (404, False, None),
        (503, False, None),
    ],
)
async def test_verify(world: World, code: int, accepted: bool, standing: Standing | None) -> None:  # noqa: FBT001
    """The API's answer to the probe says whether it lets us in; only a clear one is reported."""
    await world.granted(expires_at=None)
    world.connections.verification = PROBE
    world.server.faults = [answer({}, code)]
    if code == HTTPStatus.UNAUTHORIZED:  # a refused token is renewed once, and tried again
        world.server.faults += [answer(world.server.issue()), answer({}, code)]
    proof = await world.process().upkeep.verify(TENANT, INSTANCE)
    assert (proof.accepted, proof.status_code) == (accepted, code)
    assert [report.standing for report in world.connections.reports] == [standing] * bool(standing)
    sent = world.server.requests[0]
    assert (sent.method, sent.url) == (PROBE.method, PROBE.url)
    assert sent.headers == (*PROBE.headers, ("Authorization", "Bearer access-token-0001"))


async def test_verify_with_a_key_in_the_query() -> None:
    """What belongs in the query is put there, encoded, behind what is there."""
    world = World("api_key")
    await world.configured({"apiKey": "k&1"})
    world.connections.scheme = AuthScheme("api_key", location="query", name="key")
    world.connections.verification = PROBE
    world.server.faults = [answer({})]
    await world.process().upkeep.verify(TENANT, INSTANCE)
    assert world.server.requests[0].url == f"{PROBE.url}&key=k%261"


async def test_verify_what_cannot_be_verified(world: World) -> None:
    """Without a probe, and during a change of the config, nothing is sent."""
    await world.granted(expires_at=None)
    process = world.process()
    with pytest.raises(OAuthMisconfigured):
        await process.upkeep.verify(TENANT, INSTANCE)
    world.connections.verification = PROBE
    world.connections.version += 1
    with pytest.raises(VersionConflict):
        await process.upkeep.verify(TENANT, INSTANCE)
    assert world.server.requests == []
