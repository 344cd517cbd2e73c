"""What gRPC clients see of a server: health, reflection, error details, limits, a graceful stop."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from protos.integration.v1 import credentials_service_pb2, registry_service_pb2
from services.runtime.call import Call, Caller
from services.runtime.dispatch import CallFailed
from services.runtime.endpoints import Service, endpoints
from services.runtime.identity import KeyRing
from services.runtime.limits import MESSAGE_LIMIT
from services.runtime.server import GrpcServer, ServerOptions
from tests.journeys.doors import REGISTRY
from tests.journeys.houses import House, one_process

pytestmark = pytest.mark.asyncio(loop_scope="module")

CREDENTIALS = "/integration.v1.CredentialService"
HEALTH = "/grpc.health.v1.Health/Check"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The whole system in this process."""
    async with one_process(tmp_path_factory.mktemp("one")) as system:
        yield system


@pytest_asyncio.fixture(loop_scope="module")
async def channel(house: House) -> AsyncIterator[grpc.aio.Channel]:
    """A channel of somebody else's making."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{house.in_process.grpc_port}") as channel:
        yield channel


async def check(channel: grpc.aio.Channel, service: str) -> int:
    """Ask for a service's health."""
    call: Any = channel.unary_unary(
        HEALTH,
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    answer: Any = await call(health_pb2.HealthCheckRequest(service=service))
    return int(answer.status)


@pytest.mark.parametrize("service", ["", "integration.v1.ExecutorService"])
async def test_health(channel: grpc.aio.Channel, service: str) -> None:
    """The server and each service say that they serve, to anybody who asks."""
    assert await check(channel, service) == health_pb2.HealthCheckResponse.SERVING


async def test_reflection(channel: grpc.aio.Channel) -> None:
    """A client without our contracts can ask which services there are."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    stream = stub.ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    )
    async for answer in stream:
        names = {service.name for service in answer.list_services_response.service}
    assert {"integration.v1.RegistryService", "integration.v1.ExecutorService"} <= names


async def test_an_error_has_standard_details(channel: grpc.aio.Channel, house: House) -> None:
    """A plain gRPC client finds the reason in google.rpc.ErrorInfo behind the usual code."""
    call: Any = channel.unary_unary(
        f"{REGISTRY}/GetInstance",
        request_serializer=registry_service_pb2.GetInstanceRequest.SerializeToString,
    )
    request = registry_service_pb2.GetInstanceRequest(id="int_inst_none")
    metadata = (("authorization", f"Bearer {house.key}"), ("x-request-id", "mine"))
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call(request, metadata=metadata)
    assert failed.value.code() is grpc.StatusCode.NOT_FOUND
    packed = dict(failed.value.trailing_metadata() or ())["grpc-status-details-bin"]
    status, info = Status.FromString(bytes(packed)), ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("INTEGRATION_NOT_FOUND", "integration.v1")
    assert info.metadata["requestId"] == "mine"


async def test_credentials_are_for_services_only(house: House) -> None:
    """An admin's key does not open the service that hands out authorizations."""
    request = credentials_service_pb2.AuthorizeRequest(instance_id="int_inst_x")
    metadata = [("authorization", f"Bearer {house.key}")]
    with pytest.raises(CallFailed) as failed:
        await house.over_grpc(f"{CREDENTIALS}/Authorize", request, metadata, 5)
    assert failed.value.status.code == grpc.StatusCode.PERMISSION_DENIED.value[0]


class SlowRegistry:
    """A servicer whose calls last until they are let go."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.released = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return self.serve

    async def serve(self, _request: Message, _call: Call) -> Message:
        """Answer an instance once released."""
        self.entered.set()
        await self.released.wait()
        return registry_service_pb2.Instance(id="int_inst_slow")


class LargeRegistry:
    """A servicer with more to say than fits into a message."""

    def __getattr__(self, name: str) -> Any:
        return self.serve

    async def serve(self, _request: Message, _call: Call) -> Message:
        """Answer a large instance."""
        return registry_service_pb2.Instance(name="x" * MESSAGE_LIMIT)


def stub(channel: grpc.aio.Channel) -> Any:
    """Make the callable of one rpc, for the key of `serving`."""
    call: Any = channel.unary_unary(
        f"{REGISTRY}/GetInstance",
        request_serializer=registry_service_pb2.GetInstanceRequest.SerializeToString,
        response_deserializer=registry_service_pb2.Instance.FromString,
    )
    request = registry_service_pb2.GetInstanceRequest(id="x")
    return partial(call, request, metadata=(("authorization", "Bearer key"),))


async def serving(servicer: Any, drain_seconds: float = 5) -> GrpcServer:
    """Serve a registry."""
    descriptor = registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"]
    service = Service(descriptor, servicer)
    keys = KeyRing({"key": Caller(tenant="default", subject="admin")})
    options = ServerOptions(address="127.0.0.1:0", drain_seconds=drain_seconds)
    server = GrpcServer([service], endpoints([service], keys), options)
    await server.start()
    return server


async def test_an_answer_that_is_too_large() -> None:
    """The caller learns that the answer does not fit, and not that it should ask again."""
    server = await serving(LargeRegistry())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await stub(channel)()
    assert failed.value.code() is grpc.StatusCode.OUT_OF_RANGE
    await server.stop()


async def test_calls_that_take_too_long_are_told_to_come_back() -> None:
    """What runs when the time is up is cancelled, and answered all the same."""
    servicer = SlowRegistry()
    server = await serving(servicer, drain_seconds=0.1)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        running = asyncio.ensure_future(stub(channel)())
        await servicer.entered.wait()
        await server.stop()
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await running
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "being stopped" in str(ended.value.details())


async def test_watchers_of_health_do_not_hold_a_stop() -> None:
    """Who watches is told at once, and a server without calls does not wait for it to leave."""
    server = await serving(SlowRegistry(), drain_seconds=60)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        watch: Any = channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        stream = watch(health_pb2.HealthCheckRequest())
        assert (await stream.read()).status == health_pb2.HealthCheckResponse.SERVING
        async with asyncio.timeout(20):
            stopping = asyncio.create_task(server.stop())
            assert (await stream.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            await stopping


async def test_running_calls_finish_when_a_server_stops() -> None:
    """A stop lets running calls finish and takes no new ones."""
    servicer = SlowRegistry()
    server = await serving(servicer)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = stub(channel)
        running = asyncio.ensure_future(call())
        await servicer.entered.wait()
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0.2)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(timeout=1)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        servicer.released.set()
        assert (await running).id == "int_inst_slow"
        await stopping
