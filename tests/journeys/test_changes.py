"""An instance that moves from one host to another while it is called: no host sees other's keys."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from aiohttp import web
from grpc import StatusCode

from protos.integration.v1.registry_service_pb2 import ResolveInstanceRequest
from services.runtime.dispatch import CallFailed
from tests.journeys.conftest import served
from tests.journeys.doors import REGISTRY, Door, Refused, RestDoor
from tests.journeys.houses import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOVES = 12
CALLERS = 8
DEFINITION = {
    "name": "Mover",
    "version": "1.0.0",
    "type": "http",
    "authType": "api_key",
    "methods": [
        {"name": "go", "http": {"method": "GET", "path": "/go"}},
        {
            "name": "goSlowly",
            "http": {"method": "POST", "path": "/go"},
            "requestTransform": "function transform(input) { "
            "let sum = 0; for (let i = 0; i < 100000; i++) sum += i; return { sum } }",
        },
    ],
    "configSchema": {
        "type": "object",
        "required": ["baseUrl", "apiKey"],
        "properties": {"baseUrl": {"type": "string"}, "apiKey": {"type": "string"}},
    },
}


@dataclass(slots=True)
class Host:
    """An upstream that remembers by which keys it was called."""

    name: str
    url: str = ""
    seen: set[str | None] = field(default_factory=set)

    @property
    def config(self) -> dict[str, str]:
        """What an instance needs to be of this host."""
        return {"baseUrl": self.url, "apiKey": f"key-of-{self.name}"}

    def app(self) -> web.Application:
        """Answer the application to serve."""
        app = web.Application()
        app.router.add_route("*", "/go", self._go)
        return app

    async def _go(self, request: web.Request) -> web.Response:
        self.seen.add(request.headers.get("Authorization"))
        return web.json_response({"host": self.name})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hosts() -> AsyncIterator[tuple[Host, Host]]:
    """Two upstreams."""
    first, second = Host("a"), Host("b")
    async with served(first.app()) as first.url, served(second.app()) as second.url:
        yield first, second


async def moved(door: Door, hosts: tuple[Host, Host]) -> tuple[str, list[str], list[Refused]]:
    """Call an instance all the while it goes back and forth; answer what calls ended with."""
    registered = await door.register(json.dumps(DEFINITION).encode())
    instance = (await door.connect(registered["id"], hosts[0].config))["id"]
    answers: list[str] = []
    refusals: list[Refused] = []
    moving = True

    async def call(method: str) -> None:
        while moving:
            try:
                answers.append((await door.execute(instance, method)).value["host"])
            except Refused as refused:
                refusals.append(refused)
                await asyncio.sleep(0.005)

    callers = [
        asyncio.create_task(call("goSlowly" if number % 2 else "go")) for number in range(CALLERS)
    ]
    try:
        for move in range(1, MOVES + 1):
            await asyncio.sleep(0.03)
            await door.reconfigure(instance, hosts[move % 2].config)
    finally:
        moving = False
        await asyncio.gather(*callers)
    return instance, answers, refusals


async def test_no_host_sees_the_key_of_another(door: Door, hosts: tuple[Host, Host]) -> None:
    """A key goes to its own host, whatever happens meanwhile; no call fails for good."""
    for host in hosts:
        host.seen.clear()
    instance, answers, refusals = await moved(door, hosts)
    assert {name: host.seen for name, host in zip("ab", hosts, strict=True)} == {
        name: {f"Bearer key-of-{name}"} for name in "ab"
    }
    assert set(answers) == {"a", "b"}
    assert {(refused.code, refused.retryable) for refused in refusals} <= {
        ("TEMPORARY_ERROR", True)
    }
    assert all(refused.retry_after_ms for refused in refusals)
    result = await door.execute(instance, "go")
    assert result.value == {"host": hosts[MOVES % 2].name}


async def test_the_first_call_after_a_change_goes_to_the_new_host(
    door: Door, hosts: tuple[Host, Host]
) -> None:
    """What was remembered of the instance a moment ago sends no call to the old host."""
    registered = await door.register(json.dumps(DEFINITION).encode())
    instance = (await door.connect(registered["id"], hosts[0].config))["id"]
    for move in range(6):
        assert (await door.execute(instance, "go")).value == {"host": hosts[move % 2].name}
        await door.reconfigure(instance, hosts[1 - move % 2].config)


async def test_the_version_is_between_the_services(
    houses: dict[str, House], hosts: tuple[Host, Host]
) -> None:
    """No answer shows a version of credentials, and none but a service may ask for it."""
    for house in houses.values():
        door = RestDoor(house.session, house.rest, house.key)
        registered = await door.register(json.dumps(DEFINITION).encode())
        instance = await door.connect(registered["id"], hosts[0].config)
        read = json.loads(await door.send("GET", f"/integration-instances/{instance['id']}"))
        assert [name for shown in (instance, read) for name in shown if "ersion" in name] == []
        with pytest.raises(CallFailed) as refused:
            await house.over_grpc(
                f"{REGISTRY}/ResolveInstance",
                ResolveInstanceRequest(id=instance["id"]),
                [("authorization", f"Bearer {house.key}")],
                10,
            )
        assert refused.value.status.code == StatusCode.PERMISSION_DENIED.value[0]
