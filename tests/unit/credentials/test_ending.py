"""Ending grants: whatever is under way, what is deleted stays deleted."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from credentials.errors import CredentialsError, EndpointUnreachable, RecordCorrupt, StoreSealed
from credentials.grants import Claim
from credentials.model import Part, RecordKey, SpoolEntry, Versioned
from credentials.stores.memory import MemorySecretStore
from tests.unit.credentials.faulty import ForgetfulStore, Gate, Gated, SealableStore
from tests.unit.credentials.world import (
    CONFIG,
    GRANT,
    INSTANCE,
    OAUTH2,
    TENANT,
    LoopClock,
    Process,
    World,
    answer,
    hurried,
)

AWAY = EndpointUnreachable("nobody there", host="auth.example.com")
CLIENT = "oauth2_client_credentials"
Work = Callable[[Process], Awaitable[Any]]


async def delete(process: Process) -> None:
    """Delete all credentials of the instance."""
    await process.manager.delete(TENANT, INSTANCE)


async def revoke(process: Process) -> None:
    """Delete the consent of the instance."""
    await process.upkeep.revoke(TENANT, INSTANCE, "user-1")


async def fresh(process: Process) -> None:
    """Fetch the next token."""
    await process.refresher.fresh(TENANT, INSTANCE)


def gated(world: World, gate: Gate) -> Process:
    """Start a process that stops at a gate."""
    store, spool, server = (Gated(each, gate) for each in (world.inner, world.spool, world.server))
    return world.process("gated", store=store, spool=spool, server=server)


async def crossed(type_: str, stopped: Work, whole: Work, number: int, *, same: bool) -> bool:
    """Stop one at its n-th call, do the other in between, and look; tell whether it got there."""
    world = World(type_, clock=LoopClock())
    await world.configured()
    if type_ == "oauth2":
        await world.granted()
    gate = Gate(number)
    process = gated(world, gate)
    other = process if same else world.process("other")
    work = asyncio.ensure_future(stopped(process))
    reached = asyncio.ensure_future(gate.reached.wait())
    await asyncio.wait((work, reached), return_when=asyncio.FIRST_COMPLETED)
    got_there = gate.reached.is_set()
    if not got_there:
        gate.opened.set()
    await asyncio.gather(whole(other), return_exceptions=True)
    gate.opened.set()
    reached.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await asyncio.sleep(300)
    assert await world.inner.get(GRANT) is None
    with pytest.raises(CredentialsError):
        await fresh(other)
    assert await world.inner.get(GRANT) is None
    assert [entry async for entry in world.spool.entries()] == []
    assert world.server.live == set()
    await world.close()
    return got_there


async def at_every_point(type_: str, stopped: Work, whole: Work, *, same: bool = False) -> int:
    """Do so at every call there is; answer how many."""
    number = 0
    while await crossed(type_, stopped, whole, number, same=same):
        number += 1
    return number


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize(
    ("type_", "end"), [("oauth2", delete), ("oauth2", revoke), (CLIENT, delete), (CLIENT, revoke)]
)
def test_deleted_at_any_point_of_a_refresh(type_: str, end: Work, same: bool) -> None:  # noqa: FBT001
    """Wherever in a refresh the deletion falls: all is gone, and the fresh token is revoked."""

    async def scenario() -> None:
        assert await at_every_point(type_, fresh, end, same=same) >= 14

    hurried(scenario())


@pytest.mark.parametrize(
    ("type_", "end"), [("oauth2", delete), ("oauth2", revoke), (CLIENT, delete)]
)
def test_refreshed_at_any_point_of_a_deletion(type_: str, end: Work) -> None:
    """Wherever in a deletion a whole refresh falls: all is gone, and the fresh token is revoked."""

    async def scenario() -> None:
        assert await at_every_point(type_, end, fresh) >= 6

    hurried(scenario())


async def spooled_by_the_dead(world: World) -> None:
    """Leave a claim, and its answer in the spool, of a process that is no more."""
    await world.granted(claim=Claim("dead", "c-1"))
    tokens = answer(world.server.issue())
    world.server.live.discard("refresh-token-0001")
    entry = SpoolEntry(GRANT, "c-1", 0.0, 200, "application/json", tokens.body)
    await world.spool.keep(entry)


def test_spooled_tokens_are_revoked_too() -> None:
    """What a dead process has left in the spool ends with the grant it was for."""

    async def scenario() -> None:
        world = World(clock=LoopClock())
        await world.configured()
        await spooled_by_the_dead(world)
        process = world.process()
        await delete(process)
        await asyncio.sleep(1)
        assert world.server.live == set()
        assert await process.refresher.recover() == 0
        assert [entry async for entry in world.spool.entries()] == []
        assert await world.inner.get(GRANT) is None
        await world.close()

    hurried(scenario())


def test_revocation_is_tried_again() -> None:
    """A server that does not listen is told again, only what it does not know yet."""

    async def scenario() -> None:
        world = World(clock=LoopClock())
        await world.configured()
        await world.granted()
        process = world.process()
        world.server.faults = [AWAY, answer({}), answer({}, 503), answer({}, 503)]
        await delete(process)
        assert await world.inner.get(GRANT) is None
        await asyncio.sleep(100)
        assert world.server.revoked == ["refresh-token-0001"]
        assert len(world.server.requests) == 5
        last = process.audit.entries[-1]
        assert (last.action, last.outcome) == ("token.revoked", "ok")
        await world.close()

    hurried(scenario())


def test_revocation_that_never_succeeds() -> None:
    """After some tries the revocation is given up, and that is written down."""

    async def scenario() -> None:
        world = World(clock=LoopClock())
        await world.configured()
        await world.granted()
        process = world.process()
        world.server.faults = [AWAY] * 100
        await delete(process)
        await asyncio.sleep(3600)
        assert len(world.server.requests) == 8
        last = process.audit.entries[-1]
        assert (last.action, last.outcome) == ("token.revoked", "failed")
        await world.close()

    hurried(scenario())


async def test_nothing_to_revoke_at() -> None:
    """A server without a revocation endpoint is not asked."""
    without = {name: url for name, url in OAUTH2.items() if name != "revocationUrl"}
    world = World(oauth2=without)
    await world.configured()
    await world.granted()
    await delete(world.process())
    await asyncio.sleep(0.02)
    assert world.server.requests == []
    await delete(world.process())


async def test_without_config_all_is_forgotten() -> None:
    """Tokens whose server cannot be known are forgotten all the same."""
    world = World()
    await world.granted()
    await delete(world.process())
    assert await world.inner.get(GRANT) is None


class CorruptStore(MemorySecretStore):
    """A store in which the grant cannot be opened."""

    async def get(self, key: RecordKey) -> Versioned | None:
        """Answer what can be opened."""
        if key.part is Part.GRANT and await super().get(key) is not None:
            raise RecordCorrupt("changed", what="record")
        return await super().get(key)


async def test_corrupt_grant_can_be_deleted() -> None:
    """A record that does not open is no reason to keep it."""
    world = World()
    world.inner = CorruptStore()
    await world.configured()
    await world.granted()
    await delete(world.process())
    assert await world.inner.get(GRANT) is None
    assert await world.inner.get(CONFIG) is None


async def test_sealed_store_deletes_nothing() -> None:
    """A deletion that cannot be done says so, can be done again, and then revokes."""
    world = World()
    await world.configured()
    await world.granted()
    store = SealableStore(world.inner, sealed=True)
    process = world.process(store=store)
    with pytest.raises(StoreSealed):
        await delete(process)
    assert (await world.stored()).generation == 1
    store.sealed = False
    await delete(process)
    await asyncio.sleep(0.02)
    assert world.server.live == set()


async def test_delete_through_writes_that_seem_to_fail() -> None:
    """A deletion succeeds through a store that reports writes as failed that are done."""
    for _ in range(10):
        world = World()
        await world.configured()
        await world.granted()
        await delete(world.process(store=ForgetfulStore(world.inner, 1.0)))
        await asyncio.sleep(0.01)
        assert await world.inner.get(GRANT) is None
        assert world.server.live == set()
