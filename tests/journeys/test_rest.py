"""What only REST callers see: paths, bodies and bytes that no rpc client could send."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.journeys.doors import Refused, RestDoor
from tests.journeys.houses import House, one_process
from tests.journeys.scenarios import definition

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The whole system in this process."""
    async with one_process(tmp_path_factory.mktemp("one")) as system:
        yield system


@pytest.fixture
def rest(house: House) -> RestDoor:
    """REST as the admin."""
    return RestDoor(house.session, house.rest, house.key)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"name": ', "JSON"),
        (b'{"integrationDefinitionId": 5}', "integrationDefinitionId"),
        (b'{"integrationDefinition": "x"}', "integrationDefinitionId"),
        (b'{"name": "a", "name": "b"}', "name"),
        (b"[]", "object"),
        (b"\xff\xfe", "UTF-8"),
        (b'{"config": ' + b"[" * 200 + b"]" * 200 + b"}", "deep"),
    ],
)
async def test_a_body_that_cannot_be_read(rest: RestDoor, body: bytes, words: str) -> None:
    """A body that is no JSON or of another form is refused and told what is wrong with it."""
    with pytest.raises(Refused) as refused:
        await rest.send("POST", "/integration-instances", body)
    assert refused.value.code == "VALIDATION_ERROR"
    assert words in f"{refused.value.message} {refused.value.details}"


async def test_an_unknown_route(rest: RestDoor) -> None:
    """A path that is not served is not found, with the error body of everything else."""
    with pytest.raises(Refused) as refused:
        await rest.send("POST", "/integration-instances/int_inst_x/auth/oauth1/start", b"{}")
    assert "route" in refused.value.message.lower()


async def test_the_life_of_a_definition(rest: RestDoor) -> None:
    """A definition is listed, read, deprecated, published again and archived."""
    created = json.loads(await rest.send("POST", "/integration-definitions", definition("crm")))
    path = f"/integration-definitions/{created['id']}"
    assert "methods" not in created
    whole = json.loads(await rest.send("GET", path))
    assert [method["name"] for method in whole["methods"]] == ["createContact"]
    assert whole["configSchema"] == json.loads(definition("crm"))["configSchema"]
    [row] = json.loads(await rest.send("GET", "/integration-definitions?search=CRM"))["items"]
    assert (row["id"], row["methodCount"]) == (created["id"], 1)
    methods = json.loads(await rest.send("GET", f"{path}/methods"))
    assert methods["items"][0]["paramSchema"]["required"] == ["firstName", "lastName", "email"]
    schema = json.loads(await rest.send("GET", f"{path}/schema"))
    assert schema["secretFields"] == ["apiKey"]
    for action, status in (
        ("deprecate", "DEPRECATED"),
        ("publish", "PUBLISHED"),
        ("archive", "ARCHIVED"),
    ):
        assert json.loads(await rest.send("POST", f"{path}:{action}"))["status"] == status
    with pytest.raises(Refused) as refused:
        await rest.send("POST", f"{path}:publish")
    assert refused.value.code == "CONFIGURATION_ERROR"


async def test_a_definition_in_yaml(rest: RestDoor) -> None:
    """A definition may be written in YAML, transforms as block scalars."""
    text = b"""
name: Written in YAML
version: 1.0.0
type: http
authType: none
methods:
  - name: getThing
    responseTransform: |
      function transform(input) {
        return input.thing;
      }
"""
    headers = {"Content-Type": "application/yaml"}
    created = json.loads(await rest.send("POST", "/integration-definitions", text, headers))
    whole = json.loads(await rest.send("GET", f"/integration-definitions/{created['id']}"))
    assert whole["methods"][0]["responseTransform"].startswith("function transform")


async def test_checking_a_definition(rest: RestDoor) -> None:
    """A definition can be checked without being registered; all problems come at once."""
    body = b'{"name": "x", "version": "nope", "type": "http", "authType": "nun", "methods": []}'
    verdict = json.loads(await rest.send("POST", "/integration-definitions:validate", body))
    assert verdict["valid"] is False
    paths = {problem["path"] for problem in verdict["problems"]}
    assert {"/version", "/authType"} <= paths
    verdict = json.loads(
        await rest.send("POST", "/integration-definitions:validate", definition("users"))
    )
    assert verdict["valid"] is True
    assert verdict["warnings"]


async def test_lists_come_in_pages(rest: RestDoor) -> None:
    """A list tells how much there is, and its token leads to the next page."""
    for number in range(5):
        body = json.loads(definition("users"))
        body["name"] = f"Paged {number}"
        await rest.send("POST", "/integration-definitions", json.dumps(body).encode())
    path = "/integration-definitions?search=Paged&limit=2"
    first = json.loads(await rest.send("GET", f"{path}&page=1"))
    assert [item["name"] for item in first["items"]] == ["Paged 4", "Paged 3"]
    token = first["pagination"].pop("nextPageToken")
    assert first["pagination"] == {"page": 1, "limit": 2, "total": 5, "pages": 3}
    second = json.loads(await rest.send("GET", f"{path}&pageToken={token}"))
    assert [item["name"] for item in second["items"]] == ["Paged 2", "Paged 1"]


async def test_changing_an_instance(rest: RestDoor) -> None:
    """A PATCH changes what it names, keeps the secret, and refuses a stale etag."""
    registered = await rest.register(definition("crm"))
    with pytest.raises(Refused) as refused:
        await rest.connect(registered["id"], {})
    assert refused.value.code in {"CONFIGURATION_ERROR", "VALIDATION_ERROR"}
    body = json.loads(definition("crm"))
    body["version"] = "1.1.0"
    registered = await rest.register(json.dumps(body).encode())
    instance = await rest.connect(registered["id"], {"baseUrl": "https://a.example", "apiKey": "k"})
    path = f"/integration-instances/{instance['id']}"
    change = {"name": "Renamed", "config": {"baseUrl": "https://b.example"}}
    changed = json.loads(await rest.send("PATCH", path, json.dumps(change).encode()))
    assert changed["name"] == "Renamed"
    assert changed["config"] == {"baseUrl": "https://b.example"}
    assert changed["secretFields"] == ["apiKey"]
    stale = {"name": "Again", "etag": instance["etag"]}
    with pytest.raises(Refused) as refused:
        await rest.send("PATCH", path, json.dumps(stale).encode())
    assert refused.value.code == "CONFLICT"


async def test_health(house: House) -> None:
    """The service tells that it lives and that it is ready, without a key."""
    async with house.session.get(f"{house.rest}/healthz") as response:
        assert response.status == 200
    async with house.session.get(f"{house.rest}/readyz") as response:
        assert response.status == 200
