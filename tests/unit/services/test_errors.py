"""The table between errors and the wire."""

import inspect
from collections.abc import Iterator
from types import ModuleType

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

import credentials.errors
import executor.errors
import registry.errors
import transformer.errors
from credentials.errors import CredentialsBusy
from executor.errors import UpstreamRateLimited
from protos.integration.v1.error_reason_pb2 import ErrorDetail
from registry.errors import InstanceNotFound
from services.runtime.errors import (
    POLICIES,
    PeerFailed,
    PeerUnavailable,
    from_status,
    is_ours,
    kind_of,
    reason_of,
    to_status,
)
from transformer.errors import ScriptThrew

# Raised while a process starts, or when our own data is damaged: callers see an error id.
NOT_FOR_CALLERS = {
    "MasterKeyMissing",
    "MasterKeyWrong",
    "MasterKeyExists",
    "MasterKeyNotWritable",
    "RotationUnderWay",
    "RecordCorrupt",
    "StoreForbidden",
    "StoreUnfit",
    "LoginFailed",
    "AuditBroken",
    "EngineUnavailable",
}
COMPONENTS = (registry.errors, credentials.errors, transformer.errors, executor.errors)


def leaves(module: ModuleType) -> Iterator[type[Exception]]:
    """Answer the errors of a component that nothing inherits from."""
    for _, cls in inspect.getmembers(module, inspect.isclass):
        if issubclass(cls, Exception) and not cls.__subclasses__():
            yield cls


LEAVES = [cls for module in COMPONENTS for cls in leaves(module)]


def test_every_reason_of_the_contract_has_a_policy() -> None:
    """No reason can be sent that the table does not know."""
    numbers = {value.number for value in ErrorDetail.Reason.DESCRIPTOR.values if value.number}
    assert set(POLICIES) == numbers


@pytest.mark.parametrize("cls", LEAVES, ids=kind_of)
def test_every_error_has_a_reason(cls: type[Exception]) -> None:
    """Each error of each component has a reason, or is none that a call can end with."""
    assert is_ours(cls("text")) != (cls.__name__ in NOT_FOR_CALLERS)


def test_names_of_errors_are_unique() -> None:
    """An error's name on the wire tells the other side which class it is."""
    names = [kind_of(cls) for cls in LEAVES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "cls", [cls for cls in LEAVES if cls.__name__ not in NOT_FOR_CALLERS], ids=kind_of
)
@given(
    message=st.text(max_size=40), details=st.dictionaries(st.text(max_size=8), st.integers(-9, 9))
)
def test_an_error_is_the_same_on_the_other_side(
    cls: type[Exception], message: str, details: dict[str, int]
) -> None:
    """Class, message and details survive the way over the wire."""
    error = cls(message)
    error.details = details  # type: ignore[attr-defined]
    rebuilt = from_status(Status.FromString(to_status(error, "req").SerializeToString()))
    assert type(rebuilt) is cls
    assert (str(rebuilt), rebuilt.details) == (message, details)  # type: ignore[attr-defined]
    assert reason_of(rebuilt) == reason_of(error)


def test_the_wait_survives() -> None:
    """How long to wait is a RetryInfo on the wire, and an attribute again behind it."""
    error = UpstreamRateLimited("slow down", retry_after_ms=1500, statusCode=429)
    rebuilt = from_status(to_status(error))
    assert isinstance(rebuilt, UpstreamRateLimited)
    assert rebuilt.retry_after_ms == 1500
    assert rebuilt.details == {"statusCode": 429, "retryAfterMs": 1500}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InstanceNotFound("x"), grpc.StatusCode.NOT_FOUND),
        (ScriptThrew("x"), grpc.StatusCode.FAILED_PRECONDITION),
        (CredentialsBusy("x"), grpc.StatusCode.ABORTED),
    ],
)
def test_codes_are_those_of_grpc(error: Exception, code: grpc.StatusCode) -> None:
    """A status carries the number that gRPC has for the reason's code."""
    assert to_status(error).code == code.value[0]


def test_an_accident_tells_nothing() -> None:
    """What nobody raised on purpose shows a fixed text and an error id, never its own words."""
    status = to_status(ValueError("dsn=secret"), "req-1")
    assert b"secret" not in status.SerializeToString()
    info = ErrorInfo()
    status.details[0].Unpack(info)
    assert (info.reason, info.metadata["requestId"]) == ("EXECUTION_ERROR", "req-1")


def test_builtin_errors_never_get_a_reason() -> None:
    """A stray KeyError cannot be mistaken for something that was not found."""
    assert reason_of(KeyError("x")) is None


def test_errors_without_a_class_here_pass_on_as_they_are() -> None:
    """A newer service's error keeps its status on the way through an older one."""
    status = to_status(InstanceNotFound("x"))
    info = ErrorInfo()
    status.details[0].Unpack(info)
    info.metadata["kind"] = "SomethingNewer"
    status.details[0].Pack(info)
    error = from_status(status)
    assert isinstance(error, PeerFailed)
    assert to_status(error) == status


def test_a_service_that_is_away() -> None:
    """What gRPC says of a dead connection becomes an error that may be tried again."""
    status = Status(code=grpc.StatusCode.UNAVAILABLE.value[0], message="connection refused")
    error = from_status(status)
    assert isinstance(error, PeerUnavailable)
    assert POLICIES[reason_of(error) or 0].retryable
