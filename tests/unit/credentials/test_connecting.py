"""Getting an owner's consent: whom a state is good for, and what becomes of its tokens."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from credentials import flows
from credentials.errors import (
    AuditUnavailable,
    AuthorizationRefused,
    CredentialsError,
    CredentialsNotFound,
    EndpointSilent,
    InvalidState,
    OAuthMisconfigured,
    StoreUnavailable,
    TokenEndpointFailed,
    TokenRequestRefused,
)
from credentials.flows import Begun
from credentials.grants import GrantState, from_record
from credentials.model import Part, RecordKey, SecretRecord, Standing
from credentials.oauth.authorization import challenge
from tests.unit.credentials.faulty import ForgetfulStore, SealableStore
from tests.unit.credentials.world import (
    CONFIG,
    DEVICE,
    FIELDS,
    FLOWS,
    GRANT,
    INSTANCE,
    OAUTH2,
    REDIRECT,
    TENANT,
    LoopClock,
    Process,
    World,
    answer,
    hurried,
)

ACTOR = "user-1"
ISSUER = "https://auth.example.com"
CODE = "authorization_code"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Answer a configured world in which nobody has consented yet."""
    made = World()
    await made.configured()
    yield made
    await made.close()


async def started(process: Process, redirect: str = "", actor: str = ACTOR) -> Begun:
    """Start an authorization."""
    return await process.connecting.start(TENANT, INSTANCE, redirect, actor)


async def complete(process: Process, parameters: Mapping[str, Any], actor: str = ACTOR) -> None:
    """Complete an authorization."""
    await process.connecting.complete(TENANT, INSTANCE, actor, parameters)


def back(begun: Begun, **more: Any) -> dict[str, Any]:
    """Answer the parameters that a browser brings back."""
    return {"state": begun.state, "code": "code-1", **more}


def query(begun: Begun) -> dict[str, str]:
    """Read the query of an authorization URL."""
    return {
        name: values[0]
        for name, values in parse_qs(urlsplit(begun.authorization_url).query).items()
    }


async def test_consent_becomes_tokens(world: World) -> None:
    """A code is exchanged with the verifier of its challenge, and the instance is connected."""
    process = world.process()
    begun = await started(process)
    asked = query(begun)
    assert asked["redirect_uri"] == REDIRECT
    assert asked["state"] == begun.state
    assert asked["code_challenge_method"] == "S256"
    await complete(process, back(begun))
    form = world.server.forms()[0]
    assert challenge(form["code_verifier"]) == asked["code_challenge"]
    assert form["code"] == "code-1"
    assert form["redirect_uri"] == REDIRECT
    grant = await world.stored()
    assert (grant.access_token, grant.generation) == ("access-token-0001", 1)
    assert world.connections.reports[-1].standing is Standing.CONNECTED


async def test_neither_state_nor_printing_tells(world: World) -> None:
    """The state is kept as its hash only, and what is begun is never printed."""
    begun = await started(world.process())
    kept = await world.inner.get(FLOWS)
    assert kept is not None
    assert begun.state not in str(dict(kept.record.fields))
    assert flows.place(begun.state) in kept.record.fields
    assert begun.state not in repr(begun)


async def test_hundred_callbacks_with_one_state(world: World) -> None:
    """Of a hundred callbacks with one state, in two processes, one is exchanged."""
    world.server.delay = 0.02
    first, second = world.process("first"), world.process("second")
    begun = await started(first)
    answers = await asyncio.gather(
        *(complete(process, back(begun)) for process in (first, second) for _ in range(50)),
        return_exceptions=True,
    )
    assert answers.count(None) == 1
    assert sum(isinstance(found, InvalidState) for found in answers) == 99
    assert world.server.grants == {CODE: 1}


async def refused(process: Process, parameters: Mapping[str, Any], **more: Any) -> InvalidState:
    """Answer the error of a callback that must not be exchanged."""
    with pytest.raises(InvalidState) as caught:
        await complete(process, parameters, **more)
    return caught.value


async def test_every_wrong_state_is_the_same() -> None:
    """Replayed, expired, unknown, missing or somebody else's: one error, and no exchange."""
    world = World(oauth2={**OAUTH2, "issuer": ISSUER})
    metadata = {"issuer": ISSUER, "authorization_response_iss_parameter_supported": True}
    world.server.faults = [answer(metadata)]
    await world.configured()
    process = world.process()
    used = await started(process)
    await complete(process, back(used, iss=ISSUER))
    errors = [await refused(process, back(used, iss=ISSUER))]
    errors.append(await refused(process, back(await started(process), iss=ISSUER), actor="user-2"))
    errors.append(await refused(process, {"state": "unknown", "code": "c", "iss": ISSUER}))
    errors += [await refused(process, {"code": "c", **state}) for state in ({}, {"state": ""})]
    wrongs: list[dict[str, str]] = [{}, {"iss": "https://evil.example.com"}, {"iss": f"{ISSUER}/"}]
    errors += [await refused(process, back(await started(process), **wrong)) for wrong in wrongs]
    for twice in ("code", "iss", "error", "state"):
        begun = await started(process)
        parameters = back(begun, iss=ISSUER)
        doubled = [parameters.get(twice, "x"), "other"]
        errors.append(await refused(process, {**parameters, twice: doubled}))
    late = await started(process)
    world.clock.pass_(flows.LIFETIME)
    errors.append(await refused(process, back(late, iss=ISSUER)))
    await world.inner.put(RecordKey(TENANT, "int_inst_2"), SecretRecord(FIELDS), 0)
    begun = await started(process)
    with pytest.raises(InvalidState) as elsewhere:
        await process.connecting.complete(TENANT, "int_inst_2", ACTOR, back(begun, iss=ISSUER))
    errors.append(elsewhere.value)
    assert {(error.message, str(error.details)) for error in errors} == {(errors[0].message, "{}")}
    assert world.server.grants == {CODE: 1}
    assert [report.standing for report in world.connections.reports] == [Standing.CONNECTED]
    await world.close()


async def test_other_tenants_know_no_state(world: World) -> None:
    """A state of one tenant is nothing to another one's instance of the same id."""
    process = world.process()
    begun = await started(process)
    config = RecordKey("other", INSTANCE)
    await world.inner.put(config, SecretRecord(FIELDS), 0)
    with pytest.raises(InvalidState):
        await process.connecting.complete("other", INSTANCE, ACTOR, back(begun))
    assert world.server.requests == []


async def test_somebody_elses_try_uses_nothing_up(world: World) -> None:
    """A state tried by another actor is still good for its own."""
    process = world.process()
    begun = await started(process)
    await refused(process, back(begun), actor="user-2")
    await complete(process, back(begun))
    assert (await world.stored()).generation == 1


async def test_forged_answers_use_the_state_up() -> None:
    """An answer of another server's uses the state up: the next one, even right, is refused."""
    world = World(oauth2={**OAUTH2, "issuer": ISSUER})
    await world.configured()
    world.server.faults = [answer({"issuer": ISSUER})]
    process = world.process()
    begun = await started(process)
    await refused(process, back(begun, iss="https://evil.example.com"))
    await refused(process, back(begun, iss=ISSUER))
    assert world.server.forms() == []
    await world.close()


@pytest.mark.parametrize(
    "redirect", ["https://evil.example.com/", f"{REDIRECT}/", REDIRECT.upper()]
)
async def test_redirect_must_be_the_instances_own(world: World, redirect: str) -> None:
    """No authorization starts with a redirect URI that is not, letter for letter, configured."""
    with pytest.raises(OAuthMisconfigured):
        await started(world.process(), redirect)
    assert await world.inner.get(FLOWS) is None


async def test_refused_consent(world: World) -> None:
    """A refusal is reported on the instance, and its state is used up."""
    process = world.process()
    begun = await started(process)
    with pytest.raises(AuthorizationRefused) as caught:
        await complete(process, {"state": begun.state, "error": "access_denied"})
    assert caught.value.details["error"] == "access_denied"
    report = world.connections.reports[-1]
    assert (report.standing, report.code) == (Standing.AUTH_ERROR, "AUTHENTICATION_ERROR")
    await refused(process, back(begun))
    assert world.server.requests == []


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (answer({"error": "invalid_grant"}, 400), AuthorizationRefused),
        (answer({"error": "invalid_client"}, 401), TokenRequestRefused),
        (answer({}, 503), TokenEndpointFailed),
        ("lost", EndpointSilent),
    ],
)
async def test_failed_exchange(world: World, given: Any, kind: type[CredentialsError]) -> None:
    """A code that brings no tokens is asked for once, and the state is used up all the same."""
    process = world.process()
    begun = await started(process)
    world.server.faults = [given]
    with pytest.raises(kind):
        await complete(process, back(begun))
    await refused(process, back(begun))
    assert len(world.server.requests) == 1
    assert await world.inner.get(GRANT) is None


async def test_at_most_twenty_at_once(world: World) -> None:
    """Of more than twenty authorizations under way the oldest give way."""
    process = world.process()
    begun = []
    for _ in range(flows.MOST + 3):
        begun.append(await started(process))
        world.clock.pass_(1)
    kept = await world.inner.get(FLOWS)
    assert kept is not None
    assert len(kept.record.fields) == flows.MOST
    for gone in begun[:3]:
        await refused(process, back(gone))
    await complete(process, back(begun[3]))


async def test_many_start_at_once(world: World) -> None:
    """Authorizations that start at the same time all count."""
    process = world.process()
    begun = await asyncio.gather(*(started(process) for _ in range(5)))
    for one in begun:
        await complete(process, back(one))
    assert world.server.grants == {CODE: 5}


async def test_leaving_callers_stop_no_exchange(world: World) -> None:
    """A caller that gives up during the exchange does not keep the tokens from being stored."""
    world.server.delay = 0.05
    process = world.process()
    begun = await started(process)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await complete(process, back(begun))
    await asyncio.sleep(0.1)
    assert (await world.stored()).access_token == "access-token-0001"
    assert world.connections.reports[-1].standing is Standing.CONNECTED


async def test_store_down_after_the_exchange(world: World) -> None:
    """Tokens wait for a store that is away for a moment."""
    store = SealableStore(world.inner)
    world.server.delay = 0.02
    process = world.process(store=store)
    begun = await started(process)
    completing = asyncio.create_task(complete(process, back(begun)))
    await asyncio.sleep(0.01)
    store.sealed = True
    await asyncio.sleep(0.04)
    assert store.refused > 0
    store.sealed = False
    await completing
    assert (await world.stored()).access_token == "access-token-0001"


async def test_store_down_for_good(world: World) -> None:
    """A store that stays away is what the caller is told of."""
    store = SealableStore(world.inner)
    world.server.delay = 0.02
    process = world.process(store=store)
    begun = await started(process)
    completing = asyncio.create_task(complete(process, back(begun)))
    await asyncio.sleep(0.01)
    store.sealed = True
    with pytest.raises(StoreUnavailable):
        await completing


async def test_writes_that_only_seem_to_fail(world: World) -> None:
    """Through a store whose writes are done and reported as failed, every consent succeeds once."""
    store = ForgetfulStore(world.inner, 0.5)
    process = world.process(store=store)
    for number in range(1, 11):
        await complete(process, back(await started(process)))
        assert (await world.stored()).generation == number
    assert store.lied > 5
    assert world.server.grants == {CODE: 10}


async def test_registry_away_for_a_moment(world: World) -> None:
    """The report that an instance is connected is repeated until it is heard."""
    process = world.process()
    begun = await started(process)
    world.connections.deaf = 3
    await complete(process, back(begun))
    assert world.connections.reports[-1].standing is Standing.CONNECTED


async def test_captured_fields_are_reported() -> None:
    """What callback and token answer tell of the account is reported for the config."""
    captures = {"captureFromCallback": {"realm": "realmId"}, "captureFromToken": {"host": "host"}}
    world = World(oauth2={**OAUTH2, **captures})
    await world.configured()
    process = world.process()
    begun = await started(process)
    world.server.faults = [answer({"access_token": "a-token", "host": "na1.example.com"})]
    await complete(process, back(begun, realmId="4711"))
    assert world.connections.reports[-1].captured == {"realm": "4711", "host": "na1.example.com"}
    await world.close()


async def test_new_consent_replaces_the_old(world: World) -> None:
    """A new consent ends a grant that was over, and takes nothing of the old one along."""
    await world.granted(state=GrantState.NEEDS_REAUTHORIZATION, cause="invalid_grant", doubt="x")
    process = world.process()
    begun = await started(process)
    world.server.faults = [answer({"access_token": "new-token"})]
    await complete(process, back(begun))
    grant = await world.stored()
    assert (grant.generation, grant.access_token, grant.refresh_token) == (2, "new-token", "")
    assert (grant.state, grant.doubt, grant.cause) == (GrantState.ACTIVE, "", "")


async def test_new_consent_during_a_refresh(world: World) -> None:
    """A consent that completes during a refresh wins, and what the refresh brings is let go."""
    await world.granted()
    process = world.process()
    begun = await started(process)
    world.server.delay = 0.05
    refresh = asyncio.create_task(process.refresher.fresh(TENANT, INSTANCE))
    await asyncio.sleep(0.02)
    world.server.delay = 0
    await complete(process, back(begun))
    consented = await world.stored()
    assert (await refresh).attempt == consented.attempt
    assert (await world.stored()).attempt == consented.attempt
    assert [entry async for entry in world.spool.entries()] == []


async def test_deleted_during_the_exchange(world: World) -> None:
    """An instance that is deleted during the exchange stays deleted; its tokens are revoked."""
    world.server.delay = 0.02
    process = world.process()
    begun = await started(process)
    completing = asyncio.create_task(complete(process, back(begun)))
    await asyncio.sleep(0.01)
    await process.manager.delete(TENANT, INSTANCE)
    with pytest.raises(CredentialsNotFound):
        await completing
    assert await world.inner.get(GRANT) is None
    await asyncio.sleep(0.1)
    assert world.server.revoked == ["refresh-token-0001", "access-token-0001"]


async def test_what_cannot_be_written_down_does_not_happen(world: World) -> None:
    """Without an audit log nothing starts and nothing is exchanged."""
    process = world.process()
    begun = await started(process)
    process.audit.is_available = False
    with pytest.raises(AuditUnavailable):
        await started(process)
    with pytest.raises(AuditUnavailable):
        await complete(process, back(begun))
    process.audit.is_available = True
    await complete(process, back(begun))
    assert world.server.grants == {CODE: 1}


async def test_audit_of_a_consent(world: World) -> None:
    """Start and end are written down with their actor, and so is a state that is no good."""
    process = world.process()
    begun = await started(process)
    await complete(process, back(begun))
    await refused(process, back(begun))
    found = [(entry.action, entry.actor, entry.outcome) for entry in process.audit.entries]
    assert found == [
        ("authorization.started", ACTOR, "begins"),
        ("authorization.completed", ACTOR, "begins"),
        ("authorization.completed", "one", "ok"),
        ("authorization.completed", ACTOR, "begins"),
        ("authorization.completed", "one", "INVALID_STATE"),
    ]


PENDING = answer({"error": "authorization_pending"}, 400)
SLOW_DOWN = answer({"error": "slow_down"}, 400)


async def device(**options: Any) -> tuple[World, Process, Begun]:
    """Start a device flow, by a clock that goes with the loop."""
    world = World(oauth2=DEVICE, clock=LoopClock())
    await world.configured()
    process = world.process(**options)
    return world, process, await started(process)


def polls(world: World) -> int:
    """Count how often the token endpoint was asked."""
    return len(world.server.forms())


def test_device_flow_completes_by_itself() -> None:
    """The owner gets a code to type in, and once that is done the instance is connected."""

    async def scenario() -> None:
        world, _, begun = await device()
        assert (begun.user_code, begun.verification_url) == (
            "WXYZ-1234",
            "https://auth.example.com/activate",
        )
        world.server.faults = [PENDING, PENDING]
        await asyncio.sleep(14.9)
        assert polls(world) == 2
        await asyncio.sleep(0.2)
        assert (await world.stored()).access_token == "access-token-0001"
        assert world.connections.reports[-1].standing is Standing.CONNECTED
        await asyncio.sleep(60)
        assert polls(world) == 3
        assert world.server.forms()[0]["device_code"] == "device-code-0001"
        await world.close()

    hurried(scenario())


def test_device_flow_slows_down() -> None:
    """A server that says slow_down is asked five seconds less often from then on."""

    async def scenario() -> None:
        world, _, _ = await device()
        world.server.faults = [SLOW_DOWN, SLOW_DOWN]
        for seconds, asked in ((5.1, 1), (9.8, 1), (0.2, 2), (14.8, 2), (0.2, 3)):
            await asyncio.sleep(seconds)
            assert polls(world) == asked
        assert (await world.stored()).generation == 1
        await world.close()

    hurried(scenario())


@pytest.mark.parametrize("error", ["access_denied", "expired_token"])
def test_device_flow_ends_with_a_refusal(error: str) -> None:
    """A denied or expired code is reported, ends the flow, and is asked for no more."""

    async def scenario() -> None:
        world, process, begun = await device()
        world.server.faults = [answer({"error": error}, 400)]
        await asyncio.sleep(60)
        assert polls(world) == 1
        assert world.connections.reports[-1].standing is Standing.AUTH_ERROR
        await refused(process, {"state": begun.state})
        assert await world.inner.get(GRANT) is None
        await world.close()

    hurried(scenario())


def test_device_flow_ends_with_its_time() -> None:
    """When the time of a code is over, nobody asks for it any more."""

    async def scenario() -> None:
        world, process, begun = await device()
        world.server.faults = [PENDING] * 200
        await asyncio.sleep(700)
        asked = polls(world)
        assert 118 <= asked <= 120
        await refused(process, {"state": begun.state})
        assert polls(world) == asked
        await world.close()

    hurried(scenario())


def test_device_flow_goes_on_after_a_restart() -> None:
    """Another process completes a flow whose own has ended: while it is pending, it says so."""

    async def scenario() -> None:
        world, process, begun = await device()
        await process.close()
        other = world.process("other")
        world.server.faults = [PENDING]
        with pytest.raises(TokenEndpointFailed) as caught:
            await complete(other, {"state": begun.state})
        assert caught.value.retry_after_ms == 5000
        await complete(other, {"state": begun.state})
        assert (await world.stored()).generation == 1
        await refused(other, {"state": begun.state})
        await world.close()

    hurried(scenario())


def test_device_flow_outlives_faults() -> None:
    """Neither a lost answer, nor a server in trouble, nor a sealed store ends the asking."""

    async def scenario() -> None:
        world, process, _ = await device()
        store = SealableStore(world.inner)
        await process.close()
        process = world.process("other", store=store)
        await started(process)
        world.server.faults = [answer({}, 503), answer("<html>", 502)]
        await asyncio.sleep(11)
        store.sealed = True
        await asyncio.sleep(20)
        store.sealed = False
        await asyncio.sleep(6)
        assert (await world.stored()).generation == 1
        await world.close()

    hurried(scenario())


def test_device_tokens_wait_for_the_store() -> None:
    """Tokens that come while the store is sealed are stored when that is over."""

    async def scenario() -> None:
        world = World(oauth2=DEVICE, clock=LoopClock())
        await world.configured()
        store = SealableStore(world.inner)
        process = world.process(store=store)
        await started(process)
        world.server.delay = 1.0
        await asyncio.sleep(5.5)
        store.sealed = True
        await asyncio.sleep(0.53)
        store.sealed = False
        await asyncio.sleep(1)
        assert polls(world) == 1
        assert (await world.stored()).generation == 1
        await world.close()

    hurried(scenario())


def test_device_flow_of_a_deleted_instance_ends() -> None:
    """A flow whose instance is deleted brings nothing back."""

    async def scenario() -> None:
        world, process, _ = await device()
        await process.manager.delete(TENANT, INSTANCE)
        await asyncio.sleep(60)
        assert polls(world) == 0
        for part in Part:
            assert await world.inner.get(RecordKey(TENANT, INSTANCE, part)) is None
        await world.close()

    hurried(scenario())


def test_refused_device_request() -> None:
    """A server that gives no device code is told of, and nothing is remembered."""

    async def scenario() -> None:
        world = World(oauth2=DEVICE, clock=LoopClock())
        await world.configured()
        world.server.faults = [answer({"error": "invalid_client"}, 401)]
        with pytest.raises(TokenRequestRefused):
            await started(world.process())
        assert await world.inner.get(FLOWS) is None
        await world.close()

    hurried(scenario())


async def test_grant_of_a_consent_is_watched_for_secrets(world: World) -> None:
    """Every secret that comes up is made known, so that no log line can hold it."""
    known: list[str] = []
    process = world.process()
    object.__setattr__(process.parts, "known", lambda *values: known.extend(values))
    await complete(process, back(await started(process)))
    found = await world.inner.get(GRANT)
    config = await world.inner.get(CONFIG)
    assert found is not None
    assert config is not None
    grant = from_record(found.record)
    secrets = {grant.access_token, grant.refresh_token, config.record.fields["clientSecret"]}
    assert secrets <= set(known)
