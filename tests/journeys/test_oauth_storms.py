"""Many at once, leaving early, deleting meanwhile: one token call where one is due, none lost."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from tests.journeys.conftest import served
from tests.journeys.doors import Door, Refused, RestDoor, RpcDoor
from tests.journeys.houses import House
from tests.journeys.oauth import Connected, config, definition, guarded, imported, made, urls
from tests.journeys.upstreams import Gate
from tests.servers.browser import consent
from tests.servers.oauth import OidcProvider

pytest_plugins = ["tests.servers.fixtures"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

ONE_DOOR = pytest.mark.parametrize("door", ["REST, one process"], indirect=True)
TWO_DOORS = pytest.mark.parametrize("door", ["in process", "REST, split"], indirect=True)
SPLIT = pytest.mark.parametrize("door", ["gRPC, split"], indirect=True)
ROUNDS = 20
CALLS = 200


@pytest_asyncio.fixture(loop_scope="module")
async def api(oidc: OidcProvider) -> AsyncIterator[tuple[Gate, str]]:
    """An API that opens to living access tokens."""
    async with guarded(oidc) as served_:
        yield served_


async def waiting(door: Door, oidc: OidcProvider) -> tuple[Connected, dict[str, str]]:
    """Make an instance whose user has consented, and nobody has taken the callback yet."""
    document = definition("oauth2", "http://127.0.0.1:1", oauth2Config=urls(oidc))
    instance = await made(door, document, config(oidc.clients["basic"], oidc.redirect_uri))
    begun = await instance.credentials("StartOAuth2")
    back = await consent(begun["authorizationUrl"])
    return instance, {"code": back["code"], "state": back["state"]}


@TWO_DOORS
async def test_one_state_is_good_for_one_exchange(door: Door, oidc: OidcProvider) -> None:
    """Of a hundred callbacks with one state, one is exchanged; all others get one and the same."""
    instance, callback = await waiting(door, oidc)
    answers = await asyncio.gather(
        *(instance.credentials("CompleteOAuth2", **callback) for _ in range(100)),
        return_exceptions=True,
    )
    won = [answer for answer in answers if isinstance(answer, dict)]
    assert won == [{"status": "SUCCESS", "integrationInstanceId": instance.id}]
    lost = {(a.code, a.message, str(a.details)) for a in answers if isinstance(a, Refused)}
    assert len(lost) == 1
    assert (await oidc.counts()).requests == {"authorization_code": 1}
    assert (await instance.standing())["status"] == "CONNECTED"


async def test_every_bad_state_gets_the_same_answer(
    houses: dict[str, House], oidc: OidcProvider
) -> None:
    """Replayed, unknown, of another instance, of another caller: nothing tells which it was."""
    for house in houses.values():
        door = RestDoor(house.session, house.rest, house.key)
        instance, callback = await waiting(door, oidc)
        other, others = await waiting(door, oidc)
        service = RpcDoor(house.over_grpc, house.in_process.keys.service)
        begun = await service.credentials("StartOAuth2", instance.id)
        bad = {
            "of another instance": {**callback, "state": others["state"]},
            "of another caller": {**callback, "state": begun["state"]},
            "unknown": {**callback, "state": "unknown"},
            "missing": {"code": callback["code"]},
            "almost": {**callback, "state": callback["state"][:-1]},
            "odd": {**callback, "state": "\u0000'\"\U0001f511" * 100},
        }
        bodies = {name: await failed(door, instance.id, body) for name, body in bad.items()}
        await instance.credentials("CompleteOAuth2", **callback)
        bodies["replayed"] = await failed(door, instance.id, callback)
        assert set(bodies.values()) == {bodies["unknown"]}, bodies
        assert json.loads(bodies["unknown"])["code"] == "INVALID_STATE"
        await other.credentials("CompleteOAuth2", **others)
    assert (await oidc.counts()).requests == {"authorization_code": 4}


async def failed(door: RestDoor, instance_id: str, callback: Mapping[str, Any]) -> str:
    """Answer the error body of a callback, without what differs for every request."""
    path = f"/integration-instances/{instance_id}/auth/oauth2/callback"
    with pytest.raises(Refused) as refused:
        await door.send("POST", path, json.dumps(callback).encode())
    error = refused.value
    return json.dumps(
        {"code": error.code, "message": error.message, "details": error.details}
        | {"retryable": error.retryable}
    )


async def test_forged_callbacks(houses: dict[str, House], oidc: OidcProvider) -> None:
    """Repeated parameters or another issuer spend the state: nothing is exchanged, nothing told."""
    for house in houses.values():
        door = RestDoor(house.session, house.rest, house.key)
        document = definition("oauth2", "http://127.0.0.1:1", oauth2Config={"issuer": oidc.issuer})
        given = config(oidc.clients["basic"], oidc.redirect_uri)
        instance = await made(door, document, given)
        unknown = await failed(door, instance.id, {"code": "a", "state": "unknown"})
        for forged in (
            {"parameters": {"code": ["a", "another"]}, "iss": oidc.issuer},
            {"parameters": {"iss": [oidc.issuer, "https://elsewhere.example"]}, "code": "a"},
            {"code": "a", "iss": "https://elsewhere.example"},
            {"code": "a"},
        ):
            state = (await instance.credentials("StartOAuth2"))["state"]
            assert await failed(door, instance.id, {"state": state, **forged}) == unknown
            whole = {"state": state, "code": "a", "iss": oidc.issuer}
            assert await failed(door, instance.id, whole) == unknown
    assert (await oidc.counts()).requests == {}


@TWO_DOORS
async def test_a_storm_of_refusals(door: Door, oidc: OidcProvider, api: tuple[Gate, str]) -> None:
    """An API that refuses a token to 200 calls at once causes one refresh, and no call fails."""
    gate, url = api
    instance = await imported(door, oidc, url, access_token="revoked-over-there")
    answers = await asyncio.gather(*(instance.look() for _ in range(CALLS)))
    assert answers == [{"fine": True}] * CALLS
    assert (await oidc.counts()).requests == {"refresh_token": 1}
    shown = Counter(gate.tokens)
    assert shown.pop("revoked-over-there") <= CALLS
    assert list(shown.values()) == [CALLS]


@TWO_DOORS
async def test_an_api_that_refuses_every_token(door: Door, oidc: OidcProvider) -> None:
    """Where the next token is refused too, calls are AUTHENTICATION_ERROR, and that is all."""

    async def nobody(_: object) -> bool:
        return False

    gate = Gate(nobody)
    async with served(gate.app()) as url:
        instance = await imported(door, oidc, url)
        for _ in range(2):
            answers: list[Any] = await asyncio.gather(
                *(instance.look() for _ in range(CALLS)), return_exceptions=True
            )
            assert {answer.code for answer in answers} == {"AUTHENTICATION_ERROR"}
    assert {answer.details["statusCode"] for answer in answers} == {401}
    assert (await oidc.counts()).requests == {"refresh_token": 1}


@SPLIT
async def test_callers_that_leave_stop_no_refresh(
    door: Door, oidc: OidcProvider, api: tuple[Gate, str]
) -> None:
    """A deadline of 50 ms during a refresh ends the call alone: the token is fetched and kept."""
    _, url = api
    instances = [await imported(door, oidc, url, expires_in=0) for _ in range(ROUNDS)]
    await oidc.behave(delay_after_ms=300)
    for number, instance in enumerate(instances):
        while len(await oidc.token_requests()) <= number:  # else it left before anything began
            with pytest.raises(Refused) as refused:
                await instance.look(timeout=0.05)
            assert refused.value.code == "TIMEOUT_ERROR"
    await asyncio.sleep(0.5)
    assert [await instance.look() for instance in instances] == [{"fine": True}] * ROUNDS
    counts = await oidc.counts()
    assert (counts.requests, counts.replays) == ({"refresh_token": ROUNDS}, 0)


@TWO_DOORS
async def test_deleting_during_a_refresh(
    door: Door, oidc: OidcProvider, api: tuple[Gate, str]
) -> None:
    """What is deleted while its next token is on the way stays deleted, that token included."""
    gate, url = api
    minted = await oidc.mint(count=ROUNDS)
    instances = [await imported(door, oidc, url, tokens, expires_in=0) for tokens in minted]
    await oidc.behave(delay_before_ms=50, delay_after_ms=150)
    calls = [asyncio.create_task(instance.look()) for instance in instances]
    await oidc.arrived(ROUNDS)

    async def delete(number: int, instance: Connected) -> None:
        await asyncio.sleep(number * 0.015)  # before the answer, while it comes, and after it
        if number % 2:
            await instance.credentials("RevokeCredentials")
        else:
            await door.disconnect(instance.id)

    await asyncio.gather(*(delete(*pair) for pair in enumerate(instances)))
    await asyncio.wait(calls)
    assert {type(call.exception()) for call in calls} <= {type(None), Refused}
    issued = [request.issued for request in await oidc.token_requests() if request.issued]
    # A grant that is revoked before its refresh is looked at over there gets no token at all.
    assert len(issued) > ROUNDS // 2
    # Whoever ends a grant by its last refresh token ends all that came from it.
    ended = {*gate.tokens, *(tokens.access_token for tokens in minted)}
    async with asyncio.timeout(15):
        while any([await oidc.alive(token) for token in ended]):  # noqa: ASYNC110 - over there
            await asyncio.sleep(0.05)
    for number, instance in enumerate(instances):
        if number % 2:
            status = await instance.credentials("GetCredentialsStatus")
            assert status["status"] == "missing"
            assert (await instance.standing())["status"] == "PENDING_AUTHENTICATION"
        else:
            with pytest.raises(Refused) as refused:
                await instance.standing()
            assert refused.value.code == "INTEGRATION_NOT_FOUND"
