"""What a hostile or careless config, server or caller must not bring about."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from credentials.errors import (
    CredentialsIncomplete,
    CredentialsNotFound,
    EndpointSilent,
    InvalidState,
    OAuthMisconfigured,
)
from credentials.grants import GrantState
from credentials.model import AuthScheme, OutgoingRequest, Report, Standing
from credentials.oauth.urls import split
from tests.unit.credentials.world import (
    CONFIG,
    GRANT,
    INSTANCE,
    OAUTH2,
    REQUEST,
    TENANT,
    TIMING,
    World,
    answer,
)

ACTOR = "user-1"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Answer a configured world."""
    made = World()
    await made.configured()
    yield made
    await made.close()


async def test_code_goes_to_the_server_it_was_meant_for(world: World) -> None:
    """A config that moves the token URL after the start gets no code and no client secret."""
    process = world.process()
    begun = await process.connecting.start(TENANT, INSTANCE, "", ACTOR)
    world.connections.oauth2 = {**OAUTH2, "tokenUrl": "https://evil.example.net/token"}
    parameters = {"state": begun.state, "code": "code-1"}
    with pytest.raises(InvalidState):
        await process.connecting.complete(TENANT, INSTANCE, ACTOR, parameters)
    assert world.server.requests == []


async def test_declined_again(world: World) -> None:
    """An owner who says no to a second authorization keeps the first one."""
    now = world.clock().timestamp()
    await world.granted(received_at=now, expires_at=now + 3600)
    process = world.process()
    begun = await process.connecting.start(TENANT, INSTANCE, "", ACTOR)
    parameters = {"state": begun.state, "error": "access_denied"}
    with pytest.raises(Exception, match="access_denied"):
        await process.connecting.complete(TENANT, INSTANCE, ACTOR, parameters)
    assert world.connections.reports == []
    assert (await world.stored()).state is GrantState.ACTIVE


async def test_refused_token_that_nothing_replaces(world: World) -> None:
    """A 401 alone does not end a grant that has no refresh token: its token stays as it is."""
    now = world.clock().timestamp()
    await world.granted(refresh_token="", received_at=now - 100, expires_at=now + 3600)
    process = world.process()
    refused = OutgoingRequest("GET", REQUEST.url, refused=1)
    scheme = world.connections.scheme
    made = await process.manager.authorize(TENANT, INSTANCE, scheme, refused, 1)
    assert made is not None
    assert made.generation == 1
    assert (await world.stored()).state is GrantState.ACTIVE
    assert world.connections.reports == []
    with pytest.raises(OAuthMisconfigured):
        await process.upkeep.refresh(TENANT, INSTANCE, ACTOR)


async def test_import_for_a_deleted_instance(world: World) -> None:
    """Tokens that are brought while their instance is deleted do not stay behind."""
    await world.inner.delete(CONFIG)
    data = {"access_token": "access-token-of-mine"}
    with pytest.raises(CredentialsNotFound):
        await world.process().upkeep.store(TENANT, INSTANCE, "oauth2", data, ACTOR)
    assert await world.inner.get(GRANT) is None


async def test_store_of_too_little() -> None:
    """Credentials that lack what the scheme needs are refused before anything is changed."""
    world = World("basic")
    world.connections.scheme = AuthScheme("basic", field="password")
    await world.configured({"username": "jo"})
    process = world.process()
    with pytest.raises(CredentialsIncomplete) as refused:
        await process.upkeep.store(TENANT, INSTANCE, "basic", {"username": "joe"}, ACTOR)
    assert refused.value.details["fields"] == ["password"]
    assert world.connections.configured == []
    assert world.connections.reports == []
    status = await process.upkeep.status(TENANT, INSTANCE)
    assert (status.status, status.reason) == ("missing", "no password")


async def test_captured_values_are_no_tokens() -> None:
    """Whatever path leads to a token, it is not captured: the config is no secret."""
    capture = {"captureFromToken": {"host": "instance_url", "leak": "copy"}}
    world = World(oauth2={**OAUTH2, **capture})
    await world.configured()
    process = world.process()
    begun = await process.connecting.start(TENANT, INSTANCE, "", ACTOR)
    tokens = {**world.server.issue(), "instance_url": "https://eu1.example.com"}
    tokens["copy"] = tokens["access_token"]
    world.server.faults = [answer(tokens)]
    parameters = {"state": begun.state, "code": "code-1"}
    await process.connecting.complete(TENANT, INSTANCE, ACTOR, parameters)
    [report] = world.connections.reports
    assert report.standing is Standing.CONNECTED
    assert report.captured == {"host": "https://eu1.example.com"}
    await world.close()


async def test_stop_during_an_exchange(world: World) -> None:
    """A process that stops while a code is exchanged keeps what comes: it does not come again."""
    world.server.delay = 0.1
    process = world.process()
    begun = await process.connecting.start(TENANT, INSTANCE, "", ACTOR)
    parameters = {"state": begun.state, "code": "code-1"}
    call = asyncio.create_task(process.connecting.complete(TENANT, INSTANCE, ACTOR, parameters))
    while not world.server.requests:  # noqa: ASYNC110 - another task does it
        await asyncio.sleep(0.001)
    await process.close()
    await call
    assert (await world.stored()).access_token == "access-token-0001"


async def test_accident_on_the_way_gives_the_claim_back(world: World) -> None:
    """Whatever goes wrong in sending leaves no claim that others would wait behind."""
    await world.granted()
    process = world.process()
    world.server.faults = [UnicodeError("label too long")]
    with pytest.raises(EndpointSilent):
        await process.refresher.fresh(TENANT, INSTANCE)
    assert (await world.stored()).claim is None


async def test_captured_values_that_do_not_fit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the registry refuses of what was captured is told at once, and the instance shows it."""
    told = world.connections.report

    async def report(tenant: str, instance_id: str, report: Report) -> None:
        if report.standing is Standing.CONNECTED:
            raise OAuthMisconfigured("does not fit", field="captureFromToken")
        await told(tenant, instance_id, report)

    monkeypatch.setattr(world.connections, "report", report)
    process = world.process()
    begun = await process.connecting.start(TENANT, INSTANCE, "", ACTOR)
    with pytest.raises(OAuthMisconfigured):
        await process.connecting.complete(
            TENANT, INSTANCE, ACTOR, {"state": begun.state, "code": "code-1"}
        )
    assert [report.standing for report in world.connections.reports] == [Standing.CONFIG_ERROR]


async def test_lost_answer_of_a_server_that_never_rotates() -> None:
    """Where a refresh spends nothing, a lost answer leaves no doubt, and the next try succeeds."""
    world = World(oauth2={**OAUTH2, "refreshRotation": "never"})
    await world.configured()
    await world.granted()
    world.server.grace = True
    world.server.faults = ["lost"]
    process = world.process()
    with pytest.raises(EndpointSilent):
        await process.refresher.fresh(TENANT, INSTANCE)
    assert (await world.stored()).doubt == ""
    await world.close()


async def test_next_try_comes_within_the_grace() -> None:
    """After a lost answer the pause is shorter than the time that a spent token still works."""
    world = World(oauth2={**OAUTH2, "graceSeconds": 0.02})
    await world.configured()
    await world.granted()
    world.server.grace = True
    world.server.faults = ["lost"]
    process = world.process(timing=replace(TIMING, cooldown_first=60.0, cooldown_most=60.0))
    with pytest.raises(EndpointSilent):
        await process.refresher.fresh(TENANT, INSTANCE)
    await asyncio.sleep(0.02)
    grant = await process.refresher.fresh(TENANT, INSTANCE)
    assert grant.access_token == "access-token-0002"
    await world.close()


def test_hosts_that_no_resolver_takes() -> None:
    """A label of more than 63 characters makes no host, and no accident further on."""
    assert split(f"https://{'a' * 63}.example.com/") is not None
    assert split(f"https://{'a' * 64}.example.com/") is None
