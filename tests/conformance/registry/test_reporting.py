"""Reports on instances, the same in process and over gRPC, and as everybody sees them."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest
from google.protobuf.message import Message

from protos.integration.v1 import registry_service_pb2 as rpc
from registry.definitions import Definitions
from registry.errors import InstanceNotFound, InvalidInstance
from registry.instances import Instances
from registry.model import Instance, InstanceError, InstanceStatus, Problem, Target
from registry.stores.memory import MemoryDefinitionStore, MemoryInstanceStore
from services.gateway.encode import Encoders
from services.registry.client import RegistryClient
from services.registry.server import RegistryServicer
from services.runtime.call import Call, Caller
from services.runtime.channel import Peer
from services.runtime.errors import from_status, to_status

DEFINITION = {
    "name": "CRM",
    "version": "1.0.0",
    "type": "http",
    "authType": "oauth2",
    "methods": [{"name": "getIt"}],
    "configSchema": {"properties": {"clientId": {"type": "string"}}},
    "oauth2Config": {
        "issuer": "https://login.example.com",
        "captureFromToken": {"instanceUrl": "instance_url"},
    },
}
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
SERVICE = Caller(tenant="acme", subject="credentials", is_service=True)


class Reported(Protocol):
    """Knows instances, and is told how they stand."""

    async def resolve(self, tenant: str, instance_id: str) -> Target:
        """Answer an instance with its definition."""
        ...

    async def report(
        self,
        tenant: str,
        instance_id: str,
        status: InstanceStatus,
        error: InstanceError | None = None,
        captured: Mapping[str, str] = ...,
    ) -> Instance:
        """Say how an instance stands."""
        ...

    async def connected(self, after: tuple[str, str], limit: int) -> Sequence[tuple[str, str]]:
        """Answer who is connected."""
        ...


class NoScripts:
    """A checker to whom every script is right."""

    async def check(self, source: str) -> tuple[Problem, ...]:
        """Answer no problem."""
        assert source
        return ()


class OneVault:
    """A vault that only counts."""

    async def update(
        self, tenant: str, instance_id: str, fields: Mapping[str, Any], removed: Collection[str]
    ) -> int:
        """Answer the first version."""
        assert (tenant, bool(instance_id), removed) == ("acme", True, ())
        return len(fields)

    async def delete(self, tenant: str, instance_id: str) -> None:
        """Forget nothing."""


class Wire(Peer):
    """Carries messages as bytes to a servicer, and its errors as a status."""

    def __init__(self, servicer: RegistryServicer) -> None:
        self._servicer = servicer

    async def call(self, method: str, request: Message, answer: Any, tenant: str) -> Any:
        """Call what is served under this name."""
        assert tenant == ("default" if method.endswith("ListConnected") else SERVICE.tenant)
        name = method.rpartition("/")[2]
        sent = type(request).FromString(request.SerializeToString())
        try:
            response = await getattr(self._servicer, name)(sent, Call(method, caller=SERVICE))
        except Exception as error:
            raise from_status(to_status(error)) from error
        return answer.FromString(response.SerializeToString())


@dataclass(frozen=True)
class House:
    """A registry with one instance, and who may report on it."""

    servicer: RegistryServicer
    instance: Instance
    registry: Reported


@pytest.fixture(params=["in process", "over gRPC"])
async def house(request: pytest.FixtureRequest) -> House:
    """Connect an instance; the registry is here or at the other end of a channel."""
    definitions = Definitions(MemoryDefinitionStore(), NoScripts(), lambda: NOON)
    instances = Instances(MemoryInstanceStore(), definitions, OneVault(), lambda: NOON)
    servicer = RegistryServicer(definitions, instances)
    entry = await definitions.create("acme", json.dumps(DEFINITION).encode())
    instance = await instances.create("acme", entry.id, "Mine", {"clientId": "i"})
    there = RegistryClient(Wire(servicer))
    return House(servicer, instance, instances if request.param == "in process" else there)


async def shown(house: House) -> Any:
    """Answer what everybody sees of the instance, as JSON."""
    call = Call("GetInstance", caller=Caller("acme", "somebody"))
    answer = await house.servicer.GetInstance(rpc.GetInstanceRequest(id=house.instance.id), call)
    return json.loads(Encoders().message(rpc.Instance.DESCRIPTOR)(answer))


async def test_a_report_is_answered_with_the_instance(house: House) -> None:
    """Status, reason and captured fields arrive, and who reports sees what became of them."""
    error = InstanceError("AUTHENTICATION_ERROR", "The refresh token was refused")
    told = {"instanceUrl": "https://eu1.example.com/ü"}
    failed = await house.registry.report(
        "acme", house.instance.id, InstanceStatus.AUTH_ERROR, error, told
    )
    assert (failed.status, failed.error) == (InstanceStatus.AUTH_ERROR, error)
    assert failed.config == {"clientId": "i", **told}
    assert (await house.registry.resolve("acme", house.instance.id)).instance == failed
    cured = await house.registry.report("acme", house.instance.id, InstanceStatus.CONNECTED)
    assert (cured.status, cured.error, cured.last_connected_at) == ("CONNECTED", None, NOON)
    assert cured.credentials_version == house.instance.credentials_version == 1


@pytest.mark.parametrize("status", list(InstanceStatus))
async def test_every_status_can_be_reported(house: House, status: InstanceStatus) -> None:
    """No status is lost on the way."""
    reported = await house.registry.report("acme", house.instance.id, status)
    assert reported.status is status


async def test_an_error_is_the_same_here_and_there(house: House) -> None:
    """An instance that is gone, and what does not fit a config, are told as the registry does."""
    with pytest.raises(InstanceNotFound):
        await house.registry.report("acme", "int_inst_none", InstanceStatus.CONNECTED)
    told = {"instanceUrl": "a\nb"}
    with pytest.raises(InvalidInstance) as caught:
        await house.registry.report("acme", house.instance.id, InstanceStatus.CONNECTED, None, told)
    found = caught.value.details["problems"]
    assert isinstance(found, list)
    assert [item["path"] for item in found] == ["/config/instanceUrl"]


async def test_everybody_sees_why_an_instance_is_not_connected(house: House) -> None:
    """REST shows status and reason, until all is well again."""
    error = InstanceError("AUTHENTICATION_ERROR", "The refresh token was refused")
    await house.registry.report("acme", house.instance.id, InstanceStatus.AUTH_ERROR, error)
    answer = await shown(house)
    assert (answer["status"], answer["updatedAt"]) == ("AUTH_ERROR", "2026-01-02T12:00:00Z")
    assert answer["error"] == {
        "code": "AUTHENTICATION_ERROR",
        "message": "The refresh token was refused",
        "details": {},
    }
    told = {"instanceUrl": "https://eu1.example.com"}
    await house.registry.report("acme", house.instance.id, InstanceStatus.CONNECTED, None, told)
    answer = await shown(house)
    assert "error" not in answer
    assert (answer["status"], answer["lastConnectedAt"]) == ("CONNECTED", "2026-01-02T12:00:00Z")
    assert answer["config"] == {"clientId": "i", **told}


@pytest.mark.parametrize("number", [0, 99])
async def test_a_status_that_is_none_is_refused(house: House, number: int) -> None:
    """Any number may come over the wire."""
    request = rpc.ReportInstanceRequest(id=house.instance.id)
    request.MergeFromString(bytes([0x10, number]))
    with pytest.raises(InvalidInstance) as caught:
        await house.servicer.ReportInstance(request, Call("ReportInstance", caller=SERVICE))
    found = caught.value.details["problems"]
    assert isinstance(found, list)
    assert [item["path"] for item in found] == ["/status"]


def test_reports_are_for_our_own_services() -> None:
    """No user of a tenant can say that an instance is connected."""
    assert "ReportInstance" in RegistryServicer.service_only


async def test_who_is_connected(house: House) -> None:
    """Who has reported as connected is named with its tenant, once."""
    assert list(await house.registry.connected(("", ""), 10)) == []
    await house.registry.report("acme", house.instance.id, InstanceStatus.CONNECTED)
    [who] = await house.registry.connected(("", ""), 10)
    assert who == ("acme", house.instance.id)
    assert list(await house.registry.connected(who, 10)) == []
