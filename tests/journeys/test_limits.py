"""Large errors and large messages are told alike by every way in."""

import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from protos.integration.v1.executor_service_pb2 import ExecuteMethodRequest
from services.process import running
from services.settings import parse
from tests.journeys.conftest import served
from tests.journeys.doors import EXECUTOR, Door, Refused
from tests.journeys.houses import BASICS, House
from tests.journeys.upstreams import rough

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOUD = """function transform(i) {
  for (let k = 0; k < 400; k++) console.log('y'.repeat(200));
  throw new Error('z');
}"""
DEFINITION = {
    "name": "Large",
    "version": "1.0.0",
    "type": "http",
    "authType": "none",
    "configSchema": {"type": "object", "properties": {"baseUrl": {"type": "string"}}},
    "methods": [
        {
            "name": "loud",
            "http": {"method": "POST", "path": "/echo"},
            "requestTransform": LOUD,
        },
        {"name": "echo", "http": {"method": "POST", "path": "/echo"}},
    ],
}
BODY_LIMIT = 16 * 1024 * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def instances(houses: dict[str, House]) -> AsyncIterator[dict[str, str]]:
    """An instance in each house, by the house's name."""
    made = {}
    async with served(rough()) as url:
        for name, house in houses.items():
            door = house.door("rest")
            definition = await door.register(json.dumps(DEFINITION).encode())
            made[name] = (await door.connect(definition["id"], {"baseUrl": url}))["id"]
        yield made


@pytest.fixture
def instance(request: pytest.FixtureRequest, instances: dict[str, str]) -> str:
    """The instance in the house of the door that the test comes through."""
    return instances["split" if "split" in request.node.callspec.id else "one"]


async def test_a_script_that_says_much(door: Door, instance: str) -> None:
    """What a failing script wrote is cut; that it failed, and where, is not."""
    with pytest.raises(Refused) as refused:
        await door.execute(instance, "loud")
    error = refused.value
    assert (error.code, error.retryable) == ("TRANSFORM_ERROR", False)
    assert error.details["truncated"] is True
    assert error.details["line"] == 3
    assert error.details["console"][0]["text"].startswith("y" * 100)


async def test_an_error_fits_a_client_with_default_limits(
    houses: dict[str, House], instances: dict[str, str]
) -> None:
    """A client that takes 8 KiB of metadata, as most do, finds the reason every time."""
    house = houses["one"]
    address = f"127.0.0.1:{house.in_process.grpc_port}"
    request = ExecuteMethodRequest(instance_id=instances["one"], method="loud")
    async with grpc.aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(
            f"{EXECUTOR}/ExecuteMethod", request_serializer=ExecuteMethodRequest.SerializeToString
        )
        for _ in range(10):
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await call(request, metadata=(("authorization", f"Bearer {house.key}"),))
            packed = dict(failed.value.trailing_metadata() or ())["grpc-status-details-bin"]
            info = ErrorInfo()
            assert Status.FromString(bytes(packed)).details[0].Unpack(info)
            assert info.reason == "TRANSFORM_ERROR"


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_the_largest_body_is_judged_by_the_executor(door: Door, instance: str) -> None:
    """What REST takes gets through to the part that knows the limit of requests."""
    parameters = b'{"a":"' + b"x" * (BODY_LIMIT - 100) + b'"}'
    with pytest.raises(Refused) as refused:
        await door.execute(instance, "echo", parameters)
    assert (refused.value.code, refused.value.retryable) == ("PAYLOAD_TOO_LARGE", False)
    assert refused.value.details["limit"] == 10 * 1024 * 1024


async def test_a_message_that_no_service_carries(
    houses: dict[str, House], instances: dict[str, str]
) -> None:
    """A call over gRPC that is larger still is refused for good."""
    parameters = b'"' + b"x" * (BODY_LIMIT * 2) + b'"'
    with pytest.raises(Refused) as refused:
        await houses["split"].door("grpc").execute(instances["split"], "echo", parameters)
    assert (refused.value.code, refused.value.retryable) == ("PAYLOAD_TOO_LARGE", False)


@pytest.mark.parametrize("name", ["one", "split"])
async def test_a_deadline_far_away(houses: dict[str, House], name: str) -> None:
    """The longest deadline that can be written is not one that has passed."""
    house = houses[name]
    headers = {"Authorization": f"Bearer {house.key}", "Grpc-Timeout": "99999999H"}
    url = f"{house.rest}/api/v1/integration-definitions"
    async with house.session.get(url, headers=headers) as response:
        assert response.status == 200


async def test_a_part_that_is_down(
    houses: dict[str, House], tmp_path_factory: pytest.TempPathFactory, unused_tcp_port: int
) -> None:
    """The answer names the part, and not where the gateway looked for it."""
    address = f"127.0.0.1:{unused_tcp_port}"
    flags = {
        **BASICS,
        "data_dir": str(tmp_path_factory.mktemp("gateway")),
        "registry_address": address,
        "credentials_address": address,
        "executor_address": address,
    }
    async with running(parse({}, {}, flags), ["gateway"]) as gateway:
        url = f"http://127.0.0.1:{gateway.rest_port}/api/v1/integration-definitions"
        headers = {"Authorization": "Bearer any"}
        async with houses["one"].session.get(url, headers=headers) as response:
            error = (await response.json())["error"]
    assert (response.status, error["code"], error["retryable"]) == (503, "TEMPORARY_ERROR", True)
    assert error["message"] == "The registry service cannot be reached for the moment."
