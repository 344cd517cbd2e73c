"""What happens at the same moment, or in an order that nobody expects."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from credentials.errors import NeedsReauthorization
from credentials.grants import Claim, Grant, GrantState, to_record
from credentials.model import (
    Connection,
    OutboundAnswer,
    OutboundRequest,
    OutgoingRequest,
    Part,
    RecordKey,
    Report,
    SpoolEntry,
    Standing,
)
from tests.unit.credentials.world import (
    CONFIG,
    DEVICE,
    GRANT,
    INSTANCE,
    OAUTH2,
    REQUEST,
    TENANT,
    FakeConnections,
    LoopClock,
    RotatingServer,
    World,
    answer,
    hurried,
)

ACTOR = "user-1"
OTHER = RecordKey(TENANT, "int_inst_0", Part.GRANT)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Answer a configured world."""
    made = World()
    await made.configured()
    yield made
    await made.close()


class OnceServer(RotatingServer):
    """Gives the tokens of a device code once, and takes its time; then the code is spent."""

    async def send(self, request: OutboundRequest, timeout: float) -> OutboundAnswer:
        """Answer a request."""
        if not request.url.endswith("/token"):
            return await super().send(request, timeout)
        if self.forms():
            self.requests.append(request)
            return answer({"error": "invalid_grant"}, 400)
        found = await super().send(request, timeout)
        await asyncio.sleep(1)
        return found


def test_device_is_asked_for_one_at_a_time() -> None:
    """Whoever asks while an answer is on its way does not take its tokens' place away."""

    async def scenario() -> None:
        world = World(oauth2=DEVICE, clock=LoopClock())
        world.server = OnceServer()
        await world.configured()
        process = world.process()
        begun = await process.connecting.start(TENANT, INSTANCE, "", ACTOR)
        await asyncio.sleep(5.5)
        caller = process.connecting.complete(TENANT, INSTANCE, ACTOR, {"state": begun.state})
        await asyncio.gather(caller, return_exceptions=True)
        assert (await world.stored()).access_token == "access-token-0001"
        assert [report.standing for report in world.connections.reports] == [Standing.CONNECTED]
        await world.close()

    hurried(scenario())


class ForgottenInstance(FakeConnections):
    """A registry that no longer knows one of two instances."""

    async def connection(self, tenant: str, instance_id: str) -> Connection:
        """Answer the other one."""
        if instance_id == OTHER.instance_id:
            raise LookupError("no such instance")
        return await super().connection(tenant, instance_id)


async def test_one_answer_that_cannot_be_placed_holds_up_no_other(world: World) -> None:
    """Whatever the registry says of one spooled answer, those behind it find their place."""
    world.connections = ForgottenInstance("oauth2", OAUTH2)
    world.connections.version = 1
    await world.granted(claim=Claim("gone", "attempt-1"))
    lost = Grant(
        generation=1, access_token="a", refresh_token="r", claim=Claim("gone", "attempt-0")
    )
    await world.inner.put(OTHER, to_record(lost), 0)
    body = b'{"access_token": "spooled-token", "refresh_token": "spooled-too", "expires_in": 60}'
    for key, attempt in ((OTHER, "attempt-0"), (GRANT, "attempt-1")):
        at = world.clock().timestamp()
        await world.spool.keep(SpoolEntry(key, attempt, at, 200, "application/json", body))
    assert await world.process().refresher.recover() == 1
    assert (await world.stored()).access_token == "spooled-token"


class SlowEars(FakeConnections):
    """A registry that is slow to hear that a grant is over."""

    def __init__(self) -> None:
        super().__init__("oauth2", OAUTH2)
        self.version = 1
        self.told, self.hears = asyncio.Event(), asyncio.Event()

    async def report(self, tenant: str, instance_id: str, report: Report) -> None:
        """Remember the report, an error late."""
        if report.standing is Standing.AUTH_ERROR:
            self.told.set()
            await self.hears.wait()
        await super().report(tenant, instance_id, report)


async def test_late_end_does_not_outlast_a_newer_consent(world: World) -> None:
    """An end that is told after the consent behind it does not keep the instance from work."""
    ears = SlowEars()
    world.connections = ears
    await world.granted(refresh_token="unknown-to-its-server")
    process = world.process()
    ending = asyncio.create_task(process.refresher.fresh(TENANT, INSTANCE))
    await ears.told.wait()
    begun = await process.connecting.start(TENANT, INSTANCE, "", ACTOR)
    back = {"state": begun.state, "code": "code-1"}
    await process.connecting.complete(TENANT, INSTANCE, ACTOR, back)
    ears.hears.set()
    with pytest.raises(NeedsReauthorization):
        await ending
    assert world.connections.standing == Standing.CONNECTED
    assert (await world.stored()).state is GrantState.ACTIVE


async def test_token_that_nothing_replaces_is_used_to_its_end(world: World) -> None:
    """A token without a refresh token that is soon to end is not ended early by its use."""
    now = world.clock().timestamp()
    await world.granted(refresh_token="", received_at=now - 3500, expires_at=now + 100)
    process = world.process()
    connection = await world.connections.connection(TENANT, INSTANCE)
    for _ in range(2):
        made = await process.manager.authorize(
            TENANT, INSTANCE, connection.scheme, REQUEST, connection.version
        )
        assert made is not None
        assert made.generation == 1
        await asyncio.sleep(0.02)
    assert (await world.stored()).state is GrantState.ACTIVE
    assert world.connections.reports == []


async def test_refused_token_is_renewed_before_a_verdict(world: World) -> None:
    """A token that is no longer good, beside a refresh token that is, proves nothing."""
    await world.granted(expires_at=None)
    world.connections.verification = OutgoingRequest("GET", "https://api.example.com/me")
    world.server.faults = [answer({}, 401), None, answer({})]
    proof = await world.process().upkeep.verify(TENANT, INSTANCE)
    assert (proof.accepted, proof.status_code) == (True, 200)
    assert [report.standing for report in world.connections.reports] == [Standing.CONNECTED]


async def test_what_would_bring_the_next_token_is_deleted_too() -> None:
    """An `oauth2` that needs nobody's consent ends with its client's secret, and stays ended."""
    world = World(oauth2={**OAUTH2, "grant": "client_credentials"})
    await world.configured()
    process = world.process()
    await process.refresher.fresh(TENANT, INSTANCE)
    await process.upkeep.revoke(TENANT, INSTANCE, ACTOR)
    assert await world.inner.get(CONFIG) is None
    assert world.connections.standing == Standing.DISCONNECTED
    await world.close()
