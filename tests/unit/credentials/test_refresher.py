"""Fetching the next token once, and losing none on the way."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from credentials.errors import (
    CredentialsNotFound,
    EndpointSilent,
    EndpointUnreachable,
    NeedsReauthorization,
    StoreUnavailable,
    TokenEndpointFailed,
    TokenRequestRefused,
    VersionConflict,
)
from credentials.grants import GrantState
from credentials.model import RecordKey, SecretRecord, SpoolEntry, Standing, Versioned
from credentials.stores.memory import MemorySecretStore
from tests.unit.credentials.faulty import ForgetfulStore, SealableStore
from tests.unit.credentials.world import (
    GRANT,
    INSTANCE,
    REQUEST,
    TENANT,
    FakeClock,
    Process,
    World,
    answer,
)

UNREACHABLE = EndpointUnreachable("nobody there", host="auth.example.com")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Answer a configured world with one expired grant."""
    made = World()
    await made.configured()
    await made.granted()
    yield made
    await made.close()


async def fresh(process: Process, refused: int = 0) -> str:
    """Answer a fresh access token from a process."""
    grant = await process.refresher.fresh(TENANT, INSTANCE, refused=refused)
    return grant.access_token


async def bearer(process: Process, refused: int = 0) -> str:
    """Answer the Authorization header that a request gets."""
    connection = await process.parts.connections.connection(TENANT, INSTANCE)
    request = type(REQUEST)("GET", REQUEST.url, refused=refused)
    made = await process.manager.authorize(
        TENANT, INSTANCE, connection.scheme, request, connection.version
    )
    assert made is not None
    return dict(made.headers)["Authorization"]


async def test_one_refresh_for_all(world: World) -> None:
    """Hundreds of callers in several processes make one token call and get one token."""
    world.server.delay = 0.05
    processes = [world.process(f"p{number}") for number in range(4)]
    tokens = await asyncio.gather(*(bearer(process) for process in processes for _ in range(125)))
    assert set(tokens) == {"Bearer access-token-0002"}
    assert world.server.grants == {"refresh_token": 1}
    assert world.server.replays == 0


async def test_chain_of_refreshes(world: World) -> None:
    """Round after round, each refresh token is spent once and the next one is kept."""
    processes = [world.process(f"p{number}") for number in range(3)]
    for number in range(2, 22):
        tokens = await asyncio.gather(*(fresh(p) for p in processes for _ in range(10)))
        assert set(tokens) == {f"access-token-{number:04}"}
        world.clock.pass_(4000)
    assert world.server.grants["refresh_token"] == 20
    assert world.server.replays == 0


class ClaimlessStore(MemorySecretStore):
    """The mutant: compare-and-set holds no more, as with a plain lock per process."""

    async def get(self, key: RecordKey) -> Versioned | None:
        """Read over a network: others run meanwhile."""
        await asyncio.sleep(0.001)
        return await super().get(key)

    async def put(self, key: RecordKey, record: SecretRecord, expected_version: int) -> int:  # noqa: ARG002
        """Write whatever comes."""
        while True:
            found = await self.get(key)
            try:
                return await super().put(key, record, 0 if found is None else found.version)
            except VersionConflict:
                continue


async def test_without_claim_tokens_are_lost() -> None:
    """Without the claim's compare-and-set, the same load replays tokens and loses the grant."""
    world = World()
    world.inner = ClaimlessStore()
    await world.configured()
    await world.granted()
    world.server.delay = 0.05
    processes = [world.process(f"p{number}") for number in range(4)]
    answers = await asyncio.gather(*(fresh(p) for p in processes), return_exceptions=True)
    assert world.server.replays > 0 or world.server.grants["refresh_token"] > 1
    assert any(isinstance(found, NeedsReauthorization) for found in answers)
    await world.close()


async def test_leaving_callers_stop_nothing(world: World) -> None:
    """A caller that gives up during the refresh does not keep the new tokens from being stored."""
    world.server.delay = 0.05
    process = world.process()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await fresh(process)
    await asyncio.sleep(0.1)
    assert (await world.stored()).access_token == "access-token-0002"
    assert world.server.grants["refresh_token"] == 1


async def test_missing_refresh_token_keeps_the_old(world: World) -> None:
    """An answer without a refresh token leaves the one that is there."""
    world.server.faults = [answer({"access_token": "only-access", "expires_in": 60})]
    assert await fresh(world.process()) == "only-access"
    assert (await world.stored()).refresh_token == "refresh-token-0001"


async def test_nothing_sent_is_tried_again(world: World) -> None:
    """Where nothing was sent, the claim is given back and the next try after the pause succeeds."""
    world.server.faults = [UNREACHABLE]
    process = world.process()
    with pytest.raises(EndpointUnreachable):
        await fresh(process)
    stored = await world.stored()
    assert stored.claim is None
    assert stored.doubt == ""
    await asyncio.sleep(0.06)
    assert await fresh(process) == "access-token-0002"


async def test_pause_after_failure(world: World) -> None:
    """An endpoint that failed is left alone for a while: callers get its error, it gets no call."""
    world.server.faults = [answer({"error": "temporarily_unavailable"}, 503)]
    process = world.process()
    with pytest.raises(TokenEndpointFailed):
        await fresh(process)
    with pytest.raises(TokenEndpointFailed):
        await fresh(process)
    assert len(world.server.requests) == 1


async def test_lost_answer_without_grace(world: World) -> None:
    """A lost answer leaves the grant in doubt; one more try is refused, and the owner is told."""
    world.server.faults = ["lost"]
    process = world.process()
    with pytest.raises(EndpointSilent):
        await fresh(process)
    assert (await world.stored()).doubt
    await asyncio.sleep(0.06)
    with pytest.raises(NeedsReauthorization) as caught:
        await fresh(process)
    assert caught.value.details["cause"] == "in_doubt"
    assert world.connections.reports[-1].standing is Standing.AUTH_ERROR
    assert world.server.grants["refresh_token"] == 2
    with pytest.raises(NeedsReauthorization):
        await fresh(process)
    assert world.server.grants["refresh_token"] == 2


async def test_lost_answer_with_grace(world: World) -> None:
    """A server with a grace period answers the second try, and nothing is lost."""
    world.server.grace = True
    world.server.faults = ["lost"]
    process = world.process()
    with pytest.raises(EndpointSilent):
        await fresh(process)
    await asyncio.sleep(0.06)
    assert await fresh(process) == "access-token-0002"
    assert (await world.stored()).doubt == ""


class DyingSpool:
    """A spool after which the process dies, the entry being written."""

    def __init__(self, world: World) -> None:
        self.inner = world.spool

    async def keep(self, entry: SpoolEntry) -> None:
        """Write the entry, and never return."""
        await self.inner.keep(entry)
        await asyncio.Event().wait()

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


async def dies_after_spooling(world: World) -> None:
    """Let a process die between the spool and the store."""
    dying = world.process("dying", spool=DyingSpool(world))
    refresh = asyncio.create_task(fresh(dying))
    async with asyncio.timeout(5):
        while not [entry async for entry in world.spool.entries()]:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    for task in list(dying.refresher._running.values()):  # noqa: SLF001 - a death has no surface
        task.cancel()
    refresh.cancel()
    await asyncio.gather(refresh, return_exceptions=True)


async def test_next_process_recovers_from_the_spool(world: World) -> None:
    """What a dead process has left in the spool is stored by the next one when it starts."""
    await dies_after_spooling(world)
    survivor = world.process("survivor")
    assert await survivor.refresher.recover() == 0
    assert await fresh(survivor) == "access-token-0002"
    assert world.server.grants["refresh_token"] == 1
    assert [entry async for entry in world.spool.entries()] == []


async def test_running_process_recovers_from_the_spool(world: World) -> None:
    """A process that waits behind a dead claim looks into the spool when the claim has run out."""
    survivor = world.process("survivor")
    await dies_after_spooling(world)
    assert await fresh(survivor) == "access-token-0002"
    assert world.server.grants["refresh_token"] == 1


async def test_spool_of_a_finished_refresh_is_dropped(world: World) -> None:
    """An entry whose answer is in the store already, or whose grant is gone, is just dropped."""
    await world.spool.keep(SpoolEntry(GRANT, "old", 0.0, 200, "application/json", b"{}"))
    assert await world.process().refresher.recover() == 0
    assert [entry async for entry in world.spool.entries()] == []


async def test_store_sealed_between_claim_and_store(world: World) -> None:
    """Waiters get the new token while the store is sealed; it is stored when that is over."""
    store = SealableStore(world.inner)
    process = world.process(store=store)
    world.server.delay = 0.02
    waiting = [asyncio.create_task(fresh(process)) for _ in range(5)]
    await asyncio.sleep(0.01)
    store.sealed = True
    assert set(await asyncio.gather(*waiting)) == {"access-token-0002"}
    assert await fresh(process) == "access-token-0002"
    assert world.server.grants["refresh_token"] == 1
    store.sealed = False
    await asyncio.sleep(0.1)
    assert (await world.stored()).access_token == "access-token-0002"
    assert [entry async for entry in world.spool.entries()] == []


async def test_sealed_store_spends_nothing(world: World) -> None:
    """No refresh token is spent while the claim cannot be written."""
    process = world.process(store=SealableStore(world.inner, sealed=True))
    with pytest.raises(StoreUnavailable):
        await fresh(process)
    assert world.server.requests == []


async def test_done_but_reported_as_failed(world: World) -> None:
    """Writes that happen and are reported as failed lose no token and replay none."""
    store = ForgetfulStore(world.inner, 0.2)
    processes = [world.process(f"p{number}", store=store) for number in range(2)]
    for _ in range(60):
        for _ in range(50):
            try:
                await asyncio.gather(*(fresh(process) for process in processes))
                break
            except (StoreUnavailable, TokenEndpointFailed):
                await asyncio.sleep(0.02)
        world.clock.pass_(4000)
    assert store.lied > 5
    assert world.server.replays == 0
    assert (await world.stored()).state is GrantState.ACTIVE


async def test_refused_token_is_renewed_once(world: World) -> None:
    """A storm of refused calls makes one refresh per generation, and none for a young token."""
    process = world.process()
    assert await bearer(process) == "Bearer access-token-0002"
    world.clock.pass_(100)
    renewed = await asyncio.gather(*(bearer(process, refused=2) for _ in range(200)))
    assert set(renewed) == {"Bearer access-token-0003"}
    again = await asyncio.gather(*(bearer(process, refused=3) for _ in range(200)))
    assert set(again) == {"Bearer access-token-0003"}
    assert world.server.grants["refresh_token"] == 2


async def test_clocks_need_not_agree(world: World) -> None:
    """Processes whose clocks are minutes apart let each other's claims stand."""
    world.server.delay = 0.1
    early, late = FakeClock(), FakeClock()
    early.pass_(-120)
    late.pass_(120)
    await world.inner.delete(GRANT)
    await world.granted(expires_at=world.clock().timestamp() - 500)
    processes = [world.process("early", clock=early), world.process("late", clock=late)]
    tokens = await asyncio.gather(*(fresh(p) for p in processes for _ in range(20)))
    assert len(set(tokens)) == 1
    assert world.server.replays == 0
    assert world.server.grants["refresh_token"] == 1


async def test_delete_during_refresh(world: World) -> None:
    """What is deleted during a refresh stays deleted, and the token that comes is revoked."""
    world.server.delay = 0.05
    process = world.process()
    refresh = asyncio.create_task(fresh(process))
    await asyncio.sleep(0.02)
    await process.manager.delete(TENANT, INSTANCE)
    with pytest.raises(CredentialsNotFound):
        await refresh
    assert await world.inner.get(GRANT) is None
    await asyncio.sleep(0.12)
    assert "refresh-token-0002" in world.server.revoked


async def test_refused_client_is_no_lost_grant(world: World) -> None:
    """A refused client is the definition's trouble: the grant stays, its owner is not bothered."""
    world.server.faults = [answer({"error": "invalid_client"}, 401)]
    process = world.process()
    with pytest.raises(TokenRequestRefused):
        await fresh(process)
    assert (await world.stored()).state is GrantState.ACTIVE
    assert world.connections.reports == []
    await asyncio.sleep(0.06)
    assert await fresh(process) == "access-token-0002"


async def test_expired_without_refresh_token() -> None:
    """A token that has ended and cannot be renewed asks its owner to consent again."""
    world = World()
    await world.configured()
    await world.granted(refresh_token="")
    with pytest.raises(NeedsReauthorization):
        await fresh(world.process())
    assert world.connections.reports[-1].standing is Standing.AUTH_ERROR
    await world.close()


async def test_unauthorized_instance() -> None:
    """An instance whose owner never consented has no credentials."""
    world = World()
    await world.configured()
    with pytest.raises(CredentialsNotFound):
        await fresh(world.process())
    await world.close()


async def test_due_token_is_used_while_the_next_comes(world: World) -> None:
    """A token near its end is answered at once, and the next one is fetched beside it."""
    process = world.process()
    await fresh(process)
    world.clock.pass_(3600 * 0.9)
    assert await bearer(process) == "Bearer access-token-0002"
    await asyncio.sleep(0.05)
    assert (await world.stored()).access_token == "access-token-0003"


@pytest.mark.parametrize("type_", ["oauth2_client_credentials"])
async def test_tokens_without_consent(type_: str) -> None:
    """Grants that need nobody's consent are fetched at the first use, once for all."""
    world = World(type_)
    await world.configured()
    processes = [world.process(f"p{number}") for number in range(2)]
    tokens = await asyncio.gather(*(bearer(p) for p in processes for _ in range(20)))
    assert set(tokens) == {"Bearer access-token-0001"}
    assert world.server.grants == {"client_credentials": 1}
    await world.close()
