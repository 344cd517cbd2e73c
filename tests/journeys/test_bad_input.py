"""Whatever comes in, a caller gets the reason of the table and the service goes on."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.journeys.conftest import served
from tests.journeys.doors import Door, Refused
from tests.journeys.scenarios import CONTACT, definition
from tests.journeys.upstreams import rough

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOOP = "function transform(input) { while (true) {} }"
RECURSION = "function transform(input) { function f(n) { return f(n + 1) + 1 } return f(0) }"
ALLOCATION = "function transform(input) { const all = []; while (true) all.push(new Array(1e4)) }"
GETS = {
    "notFound": "/status/404",
    "refuses": "/status/401",
    "limits": "/status/429",
    "isDown": "/status/503",
    "breaks": "/status/500",
    "isSlow": "/slow",
    "speaksHtml": "/html",
    "breaksOff": "/broken",
    "isHuge": "/huge",
    "isABomb": "/bomb",
    "hangsUp": "/hangup",
    "mirrors": "/mirror",
    "isFine": "/fine",
}


def rough_definition(**more: Any) -> bytes:
    """Answer a definition with a method for each way to misbehave."""
    methods: list[dict[str, Any]] = [
        {"name": name, "http": {"method": "GET", "path": path}, "timeoutMs": 1500}
        for name, path in GETS.items()
    ]
    methods += [
        {"name": name, "http": {"method": "GET", "path": "/fine"}, "responseTransform": script}
        for name, script in (("loops", LOOP), ("recurses", RECURSION), ("hoards", ALLOCATION))
    ]
    methods.append(
        {
            "name": "throws",
            "http": {"method": "GET", "path": "/fine"},
            "responseTransform": "function transform(input) {\n  return input.no.such.thing;\n}",
        }
    )
    methods.append({"name": "echo", "http": {"method": "POST", "path": "/echo"}})
    document = {
        "name": "Rough",
        "version": "1.0.0",
        "type": "http",
        "authType": "api_key",
        "methods": methods,
        "configSchema": {
            "type": "object",
            "required": ["baseUrl", "apiKey"],
            "properties": {"baseUrl": {"type": "string"}, "apiKey": {"type": "string"}},
        },
        **more,
    }
    return json.dumps(document).encode()


@dataclass(frozen=True, slots=True)
class Rough:
    """A door, and an instance of the rough definition to go to."""

    door: Door
    instance_id: str

    async def refusal(self, method: str, parameters: bytes = b"{}", **more: Any) -> Refused:
        """Execute a method that must fail; answers how."""
        with pytest.raises(Refused) as refused:
            await self.door.execute(self.instance_id, method, parameters, **more)
        return refused.value


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[str]:
    """The rough upstream's URL."""
    async with served(rough()) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def house(door: Door, upstream: str) -> Rough:
    """An instance that leads to the rough upstream."""
    registered = await door.register(rough_definition())
    config = {"baseUrl": upstream, "apiKey": "planted-key-8d1f"}
    return Rough(door, (await door.connect(registered["id"], config))["id"])


@pytest.mark.parametrize(
    ("method", "code", "retryable"),
    [
        ("notFound", "INTEGRATION_ERROR", False),
        ("breaks", "INTEGRATION_ERROR", False),
        ("refuses", "AUTHENTICATION_ERROR", False),
        ("limits", "RATE_LIMIT_EXCEEDED", True),
        ("isDown", "TEMPORARY_ERROR", True),
        ("hangsUp", "TEMPORARY_ERROR", True),
        ("isSlow", "TIMEOUT_ERROR", True),
        ("speaksHtml", "INTEGRATION_ERROR", False),
        ("breaksOff", "INTEGRATION_ERROR", False),
        ("isHuge", "PAYLOAD_TOO_LARGE", False),
        ("isABomb", "PAYLOAD_TOO_LARGE", False),
        ("loops", "TRANSFORM_ERROR", False),
        ("recurses", "TRANSFORM_ERROR", False),
        ("hoards", "TRANSFORM_ERROR", False),
        ("throws", "TRANSFORM_ERROR", False),
        ("noSuchMethod", "METHOD_NOT_FOUND", False),
    ],
)
async def test_each_failure_has_its_reason(
    house: Rough,
    method: str,
    code: str,
    retryable: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """A failing call gives its reason through every door, and the next call works."""
    refused = await house.refusal(method)
    assert (refused.code, refused.retryable) == (code, retryable)
    assert refused.message
    assert (await house.door.execute(house.instance_id, "isFine")).value == {"fine": True}


async def test_an_upstream_error_shows_its_status_and_answer(house: Rough) -> None:
    """An upstream's error comes with its status code and what it said."""
    refused = await house.refusal("notFound")
    assert refused.details == {"statusCode": 404, "response": {"message": "no"}}


async def test_a_limit_says_how_long_to_wait(house: Rough) -> None:
    """The upstream's Retry-After reaches the caller in milliseconds."""
    assert (await house.refusal("limits")).retry_after_ms == 7000


async def test_a_timeout_says_in_which_phase(house: Rough) -> None:
    """A deadline that passes while the upstream is silent names the sending."""
    refused = await house.refusal("isSlow")
    assert refused.details["phase"] == "send"
    assert refused.details["timeoutMs"] == 1500


async def test_a_caller_may_set_a_shorter_deadline(house: Rough) -> None:
    """The caller's own deadline ends a call before the method's."""
    async with asyncio.timeout(1.4):
        refused = await house.refusal("isSlow", timeout=0.3)
    assert refused.code in {"TIMEOUT_ERROR", ""}, "over gRPC the client itself stops waiting"


async def test_a_thrown_error_says_where(house: Rough) -> None:
    """An exception in a transform comes with its line and the lines around it."""
    refused = await house.refusal("throws")
    assert refused.details["line"] == 2
    assert "input.no.such.thing" in refused.details["codeFrame"]


@pytest.mark.parametrize("method", ["loops", "recurses", "hoards"])
async def test_a_hostile_transform_does_not_hold_up_others(house: Rough, method: str) -> None:
    """While one caller's transforms run until they are stopped, other calls are answered."""
    done = asyncio.Event()

    async def attack() -> None:
        while not done.is_set():
            assert (await house.refusal(method)).code == "TRANSFORM_ERROR"

    attacker = asyncio.create_task(attack())
    for _ in range(10):
        await house.door.execute(house.instance_id, "isFine")
        assert not attacker.done()
    done.set()
    await attacker


async def test_numbers_and_order_arrive_as_written(house: Rough) -> None:
    """Without a transform every digit and the order of the keys reach the upstream and back."""
    parameters = (
        b'{"z": 9007199254740993, "a":1.0,"m":{"y":1e2,"b":-0.10}, '
        b'"big":123456789012345678901234567890}'
    )
    result = await house.door.execute(house.instance_id, "echo", parameters)
    assert result.data == parameters


@pytest.mark.parametrize("parameters", [b"[1]", b'"text"', b"17"])
async def test_parameters_are_an_object(house: Rough, parameters: bytes) -> None:
    """Parameters that are no object are refused with their path."""
    refused = await house.refusal("echo", parameters)
    assert refused.code == "VALIDATION_ERROR"
    assert refused.details["problems"][0]["path"] == "/parameters"


async def test_wrong_parameters_name_each_path(door: Door) -> None:
    """Every parameter that is missing or wrong is named."""
    registered = await door.register(definition("crm"))
    config = {"baseUrl": "http://127.0.0.1:9", "apiKey": "k"}
    instance = await door.connect(registered["id"], config)
    wrong = json.dumps({**CONTACT, "email": "nobody", "phone": 5, "lastName": None}).encode()
    with pytest.raises(Refused) as refused:
        await door.execute(instance["id"], "createContact", wrong)
    assert refused.value.code == "VALIDATION_ERROR"
    paths = {found["path"] for found in refused.value.details["problems"]}
    assert paths == {"/parameters/email", "/parameters/phone", "/parameters/lastName"}


async def test_an_upstream_that_is_down(door: Door) -> None:
    """A refused connection is a temporary error that may be tried again."""
    registered = await door.register(rough_definition())
    instance = await door.connect(
        registered["id"], {"baseUrl": "http://127.0.0.1:9", "apiKey": "k"}
    )
    with pytest.raises(Refused) as refused:
        await door.execute(instance["id"], "isFine")
    assert (refused.value.code, refused.value.retryable) == ("TEMPORARY_ERROR", True)


async def test_private_targets_are_denied(door: Door) -> None:
    """An address that the operator did not open is never called."""
    registered = await door.register(rough_definition())
    instance = await door.connect(registered["id"], {"baseUrl": "http://10.0.0.7", "apiKey": "k"})
    with pytest.raises(Refused) as refused:
        await door.execute(instance["id"], "isFine")
    assert refused.value.code == "EGRESS_DENIED"


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        ({"metods": []}, "/metods", "methods"),
        ({"name": 5}, "/name", "text"),
        ({"version": "one"}, "/version", "version"),
        ({"configSchema": {"type": "objekt"}}, "/configSchema/type", "did you mean object"),
        ({"methods": []}, "/methods", ""),
        (
            {
                "methods": [
                    {"name": "m", "requestTransform": "function transform(x) {\n  return x +;\n}"}
                ]
            },
            "/methods/0/requestTransform",
            "expression",
        ),
        ({"methods": [{"name": "m", "htp": {}}]}, "/methods/0/htp", "http"),
    ],
)
async def test_a_wrong_definition_names_each_place(
    door: Door, change: dict[str, Any], path: str, words: str
) -> None:
    """What is wrong in a definition is named with its path and with what to do."""
    with pytest.raises(Refused) as refused:
        await door.register(rough_definition(**change))
    assert refused.value.code == "VALIDATION_ERROR"
    found = {problem["path"]: problem for problem in refused.value.details["problems"]}
    assert path in found
    assert words in found[path]["message"]
    if path.endswith("requestTransform"):
        assert (found[path]["line"], found[path]["column"] > 0) == (2, True)


async def test_the_same_version_with_other_content(door: Door) -> None:
    """A definition's content never changes under its name and version."""
    await door.register(rough_definition())
    with pytest.raises(Refused) as refused:
        await door.register(rough_definition(description="other"))
    assert refused.value.code == "ALREADY_EXISTS"


async def test_unknown_ids(door: Door) -> None:
    """Unknown and malformed ids of definitions and instances are simply not found."""
    for instance_id in ("int_inst_01hzy", "x" * 64):
        with pytest.raises(Refused) as refused:
            await door.execute(instance_id, "anything")
        assert refused.value.code == "INTEGRATION_NOT_FOUND"
    with pytest.raises(Refused) as refused:
        await door.connect("int_def_01hzy", {})
    assert refused.value.code == "INTEGRATION_NOT_FOUND"


@pytest.mark.parametrize("key", ["", "wrong", "is_live_admin_nearly"])
async def test_a_missing_or_wrong_key(make_door: Callable[[str | None], Door], key: str) -> None:
    """Without a valid key nothing is done and nothing is told."""
    with pytest.raises(Refused) as refused:
        await make_door(key).register(definition("crm"))
    assert (refused.value.code, refused.value.details) == ("UNAUTHENTICATED", {})


async def test_a_deleted_instance_is_gone_at_once(house: Rough) -> None:
    """After a deletion the very next call is refused.

    An executor that runs elsewhere may know the instance for one more second, without credentials.
    """
    await house.door.execute(house.instance_id, "isFine")
    await house.door.disconnect(house.instance_id)
    refused = await house.refusal("isFine")
    assert refused.code in {"INTEGRATION_NOT_FOUND", "NOT_CONNECTED"}
