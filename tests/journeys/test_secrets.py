"""A marked API key goes in, and is looked for wherever it must not come out."""

import base64
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.journeys.conftest import served
from tests.journeys.doors import Door, Refused, RestDoor
from tests.journeys.houses import House, one_process, split
from tests.journeys.test_bad_input import rough_definition
from tests.journeys.upstreams import rough

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLANTED = "planted+key/4f6c=1b9e77d0"
FORMS = (
    PLANTED.encode(),
    base64.b64encode(PLANTED.encode()),
    quote(PLANTED, safe="").encode(),
    json.dumps(PLANTED).encode()[1:-1],
)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[one_process, split])
async def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """The whole system, either way to run it, with everything logged."""
    async with request.param(tmp_path_factory.mktemp("house"), log_level="debug") as system:
        yield system


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[str]:
    """An upstream that, among other things, quotes credentials in its errors."""
    async with served(rough()) as url:
        yield url


async def test_a_key_is_nowhere_but_in_the_request(
    house: House, upstream: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No answer, no log line and no file ever holds an instance's API key."""
    caplog.set_level(logging.DEBUG)
    answers = [answer async for answer in _answers(house, upstream)]

    assert len(answers) > 10
    for form in FORMS:
        assert not [answer for answer in answers if form in answer]
        assert form.decode() not in caplog.text
        assert not [path for path in _files(house.data_dir) if form in path.read_bytes()]


async def _answers(house: House, upstream: str) -> AsyncIterator[bytes]:
    door = RestDoor(house.session, house.rest, house.key)
    definition = json.loads(await door.send("POST", "/integration-definitions", rough_definition()))
    body = {
        "integrationDefinitionId": definition["id"],
        "name": "Secretive",
        "config": {"baseUrl": upstream, "apiKey": PLANTED},
    }
    created = await door.send("POST", "/integration-instances", json.dumps(body).encode())
    yield created
    instance = f"/integration-instances/{json.loads(created)['id']}"
    wrong = {**body, "config": {"baseUrl": 5, "apiKey": {"nested": PLANTED}, "token": PLANTED}}
    change = {"config": {"apiKey": PLANTED, "baseUrl": upstream}}
    yield await _attempt(door, "POST", "/integration-instances", wrong)
    yield await _attempt(door, "PATCH", instance, {"config": {"apiKey": [PLANTED]}})
    yield await _attempt(door, "PATCH", instance, {"config": {"apiKey": f"{PLANTED}\n"}})
    yield await _attempt(door, "POST", f"{instance}/methods/isFine/execute", {})
    yield await door.send("PATCH", instance, json.dumps(change).encode())
    yield await door.send("GET", instance)
    yield await door.send("GET", "/integration-instances?search=Secretive")
    over_grpc = house.door("grpc")
    for method in ("isFine", "mirrors", "notFound", "refuses", "hangsUp", "throws", "speaksHtml"):
        yield await _attempt(door, "POST", f"{instance}/methods/{method}/execute", {})
        yield await _execution(over_grpc, json.loads(created)["id"], method)


async def _attempt(door: RestDoor, verb: str, path: str, body: object) -> bytes:
    try:
        return await door.send(verb, path, json.dumps(body).encode())
    except Refused as refused:
        return json.dumps([refused.message, refused.details]).encode()


async def _execution(door: Door, instance_id: str, method: str) -> bytes:
    try:
        return (await door.execute(instance_id, method)).data
    except Refused as refused:
        return json.dumps([refused.message, refused.details]).encode()


def _files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]
