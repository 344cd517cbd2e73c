"""Ids of other tenants are ids of nothing, and ids that are paths lead nowhere."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from yarl import URL

from tests.journeys.conftest import served
from tests.journeys.doors import CREDENTIAL_ROUTES, Door, Refused, RpcDoor
from tests.journeys.houses import House
from tests.journeys.oauth import Connected, config, definition, made, urls
from tests.journeys.upstreams import Gate
from tests.servers.oauth import OidcProvider

pytest_plugins = ["tests.servers.fixtures"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

ABSENT = "int_inst_00000000000000000000000000"
FIELDS: dict[str, dict[str, Any]] = {
    "CompleteOAuth2": {"code": "a", "state": "b"},
    "StoreCredentials": {"type": "oauth2", "data": {"access_token": "planted"}},
}
RPCS = (*CREDENTIAL_ROUTES, "instance", "execute", "reconfigure", "disconnect")
NOT_FOUND = "INTEGRATION_NOT_FOUND"
BAD_IDS = (NOT_FOUND, "VALIDATION_ERROR")


@dataclass(frozen=True, slots=True)
class Theirs:
    """An instance of another tenant with a token, and the API that it leads to."""

    house: House
    instance: Connected
    gate: Gate

    def doors(self) -> Iterator[Door]:
        """Answer the doors of the admin, who is of another tenant, and of a third tenant."""
        for name in ("rest", "grpc", "in_process"):
            yield self.house.door(name)
        yield RpcDoor(self.house.over_grpc, self.house.in_process.keys.service, "third")

    async def is_untouched(self) -> None:
        """Check that the other tenant's instance is as it was."""
        status = await self.instance.credentials("GetCredentialsStatus")
        assert (status["status"], status["generation"]) == ("connected", "1")
        assert (await self.instance.standing())["status"] == "CONNECTED"
        assert await self.instance.look() == {"fine": True}
        assert set(self.gate.tokens) == {"a-token-of-theirs"}


@pytest_asyncio.fixture(params=["one", "split"], scope="module", loop_scope="module")
async def theirs(
    request: pytest.FixtureRequest, houses: dict[str, House], oidc_server: OidcProvider
) -> AsyncIterator[Theirs]:
    """Another tenant's instance."""

    async def everybody(_: object) -> bool:
        return True

    house = houses[request.param]
    gate = Gate(everybody)
    async with served(gate.app()) as url:
        door = RpcDoor(house.over_grpc, house.in_process.keys.service, "other")
        document = definition(
            "oauth2", url, oauth2Config=urls(oidc_server), verification={"path": "/verify"}
        )
        given = config(oidc_server.clients["basic"], oidc_server.redirect_uri)
        instance = await made(door, document, given)
        data = {"access_token": "a-token-of-theirs", "refresh_token": "another-of-theirs"}
        await instance.credentials("StoreCredentials", type="oauth2", data=data)
        yield Theirs(house, instance, gate)


async def do(door: Door, rpc: str, instance_id: str) -> Any:
    """Do something with an instance."""
    match rpc:
        case "instance":
            return await door.instance(instance_id)
        case "execute":
            return await door.execute(instance_id, "look")
        case "reconfigure":
            return await door.reconfigure(instance_id, {"scope": "all"})
        case "disconnect":
            return await door.disconnect(instance_id)
        case _:
            return await door.credentials(rpc, instance_id, **FIELDS.get(rpc, {}))


async def told(door: Door, rpc: str, instance_id: str) -> tuple[str, str]:
    """Do what must fail; answers the code, and all that the caller is told beside it."""
    with pytest.raises(Refused) as refused:
        await do(door, rpc, instance_id)
    error = refused.value
    facts = (error.message, error.retryable, error.details, error.retry_after_ms)
    return error.code, json.dumps(facts)


@pytest.mark.parametrize("rpc", RPCS)
async def test_ids_of_another_tenant(theirs: Theirs, rpc: str) -> None:
    """What is another tenant's is answered as what does not exist, word for word."""
    for door in theirs.doors():
        code, text = await told(door, rpc, theirs.instance.id)
        assert code == NOT_FOUND
        text = text.replace(theirs.instance.id, ABSENT)
        assert (code, text) == await told(door, rpc, ABSENT)
    await theirs.is_untouched()


def odd_ids(theirs: str) -> Iterator[str]:
    """Answer ids that are none: paths, escapes, other alphabets, too long or too short."""
    yield from ("", " ", ".", "..", "/", "//", "\u0000", "%", "*", "~", "-", "\u00e9", "\U0001f511")
    yield from (f"../other/{theirs}", f"x/../../other/{theirs}", f"./{theirs}", f"/{theirs}")
    yield from (f"t/other/i/{theirs}", f"..%2Fother%2F{theirs}", f"%2e%2e/other/{theirs}")
    yield from (f"{theirs}\u0000", f"{theirs}/", f"{theirs}%00", f" {theirs}", f"{theirs}\n")
    yield from (theirs.upper(), f"{theirs}/../{theirs}", f"{theirs};x", f"{theirs}?a=b", "a" * 65)
    yield from ("a" * 10_240, "../" * 3_000, "\uff0e\uff0e/other", "' OR 1=1 --", f"{theirs}'")


@pytest.mark.parametrize("rpc", RPCS)
async def test_ids_that_are_none(theirs: Theirs, rpc: str) -> None:
    """An id of another form is refused before it reaches a path, a key or a query."""
    for door in [door for door in theirs.doors() if isinstance(door, RpcDoor)]:
        for odd in odd_ids(theirs.instance.id):
            code, text = await told(door, rpc, odd)
            assert code in BAD_IDS, odd[:80]
            assert len(text) < 2000
    await theirs.is_untouched()


@pytest.mark.parametrize("tenant", ["other/../third", "../other", "OTHER", "", "a" * 65, "o ther"])
async def test_tenants_that_are_none(theirs: Theirs, tenant: str) -> None:
    """A service that names a tenant of another form gets nobody's data."""
    door = RpcDoor(theirs.house.over_grpc, theirs.house.in_process.keys.service, tenant)
    for rpc in RPCS:
        assert (await told(door, rpc, theirs.instance.id))[0] in BAD_IDS
    await theirs.is_untouched()


async def raw(session: ClientSession, house: House, verb: str, path: str) -> tuple[int, str]:
    """Send a path as it is written; answers the status and the error's code."""
    headers = {"Authorization": f"Bearer {house.key}", "Content-Type": "application/json"}
    url = URL(f"{house.rest}{path}", encoded=True)
    body = b'{"code":"a","state":"b"}' if path.endswith("callback") else b"{}"
    async with session.request(
        verb, url, headers=headers, data=body if verb == "POST" else None
    ) as response:
        text = await response.text()
        return response.status, json.loads(text).get("error", {}).get("code", "") if text else ""


def odd_segments(theirs: str) -> Iterator[str]:
    """Answer what may stand in a path where an id should."""
    yield from (quote(odd, safe="") for odd in odd_ids(theirs) if len(odd) < 7_000)
    yield from ("..", "%2e%2e", "..;", "%2E%2E%2F" + theirs, f"%2e%2e/other/{theirs}", "%00", "%ff")
    yield from (f"{theirs}%2f..", f"{theirs}%5c..%5c", f"{theirs}%0d%0aX-Evil:%201", "%c0%ae%c0%ae")


async def test_paths_over_rest(theirs: Theirs) -> None:
    """Whatever stands in the place of an id, no route leads to another tenant's instance."""
    house = theirs.house
    for verb, route in CREDENTIAL_ROUTES.values():
        for segment in odd_segments(theirs.instance.id):
            path = f"/api/v1/integration-instances/{segment}/{route}"
            status, code = await raw(house.session, house, verb, path)
            assert (status, code) in {
                (404, NOT_FOUND),
                (404, "ROUTE_NOT_FOUND"),
                (400, "VALIDATION_ERROR"),
            }, segment[:80]
    await theirs.is_untouched()


async def test_a_body_names_no_tenant(theirs: Theirs) -> None:
    """A tenant in a header or in a body of REST changes nothing: it is that of the key."""
    house = theirs.house
    path = f"{house.rest}/api/v1/integration-instances/{theirs.instance.id}"
    headers = {"Authorization": f"Bearer {house.key}", "X-Integration-Tenant": "other"}
    async with house.session.get(f"{path}/credentials/status", headers=headers) as response:
        assert response.status == 404
    async with house.session.get(f"{path}?tenant=other", headers=headers) as response:
        assert response.status in {400, 404}
    own = RpcDoor(house.over_grpc, house.key, "other")
    with pytest.raises(Refused) as refused:
        await own.instance(theirs.instance.id)
    assert refused.value.code == NOT_FOUND
