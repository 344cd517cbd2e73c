"""Calls to services that run elsewhere."""

import logging
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo

from protos.integration.v1 import registry_service_pb2 as rpc
from protos.integration.v1.json_pb2 import Json
from services.runtime.channel import LONGEST_TIMEOUT, LONGEST_WAIT, Remote
from services.runtime.dispatch import CallFailed
from services.runtime.errors import PeerOverloaded, PeerUnavailable, from_status
from services.runtime.limits import MESSAGE_LIMIT

REGISTRY = rpc.DESCRIPTOR.services_by_name["RegistryService"]
GET = "/integration.v1.RegistryService/GetInstance"
NOTHING: Any = grpc.aio.Metadata()


class FakeChannel:
    """Answers every call, or fails as gRPC does, and keeps the deadlines."""

    def __init__(self, failure: grpc.StatusCode | None = None) -> None:
        self.timeouts: list[float | None] = []
        self._failure = failure

    def unary_unary(self, _method: str, **_codecs: Any) -> Any:
        """Make a callable for an rpc."""

        async def call(_request: Any, *, metadata: Any, timeout: float | None) -> Any:
            self.timeouts.append(timeout)
            if self._failure:
                text = "failed to connect to all addresses; last error: ipv4:127.0.0.1:45989"
                raise grpc.aio.AioRpcError(self._failure, NOTHING, NOTHING, details=text)
            return rpc.Instance(id=str(len(metadata)))

        return call


def remote(channel: Any) -> Remote:
    """Answer calls of the registry through a channel."""
    return Remote({REGISTRY: channel})


@pytest.mark.parametrize(
    ("given", "sent"), [(None, LONGEST_WAIT), (5.0, 5.0), (3.6e11, LONGEST_TIMEOUT)]
)
async def test_no_call_waits_for_ever(given: float | None, sent: float) -> None:
    """Every call has a deadline, and one that gRPC can hold."""
    channel = FakeChannel()
    await remote(channel)(GET, rpc.GetInstanceRequest(), [], given)
    assert channel.timeouts == [sent]


async def test_a_message_over_the_limit_is_not_sent() -> None:
    """The caller learns that it is too large, which no second try changes."""
    channel = FakeChannel()
    request = rpc.CreateInstanceRequest(config=Json(utf8=b"x" * MESSAGE_LIMIT))
    with pytest.raises(CallFailed) as failed:
        await remote(channel)("/integration.v1.RegistryService/CreateInstance", request, [], None)
    info = ErrorInfo()
    assert failed.value.status.details[0].Unpack(info)
    assert info.reason == "PAYLOAD_TOO_LARGE"
    assert failed.value.status.code == grpc.StatusCode.OUT_OF_RANGE.value[0]
    assert channel.timeouts == []


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, PeerUnavailable),
        (grpc.StatusCode.CANCELLED, PeerUnavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, PeerOverloaded),
    ],
)
async def test_a_service_that_is_away_is_named_without_its_address(
    code: grpc.StatusCode, kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    """The caller learns which part is missing; where it is sought stands in the log."""
    with caplog.at_level(logging.WARNING), pytest.raises(CallFailed) as failed:
        await remote(FakeChannel(code))(GET, rpc.GetInstanceRequest(), [], 1)
    assert failed.value.status.message.startswith("The registry service ")
    assert "45989" not in str(failed.value.status)
    assert isinstance(from_status(failed.value.status), kind)
    (record,) = caplog.records
    assert "45989" in record.__dict__["cause"]
