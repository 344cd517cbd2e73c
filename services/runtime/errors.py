"""The one table between our errors and what goes over the wire, read in both directions.

Rows name our own classes only; a row serves the subclasses too (the class's MRO is walked).
Whatever has no row is our fault: the caller gets a fixed text and an error id, the log the cause.
"""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import orjson
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

import credentials.errors as credential_errors
import executor.errors as executor_errors
import registry.errors as registry_errors
import transformer.errors as transformer_errors
from protos.integration.v1.error_reason_pb2 import ErrorDetail
from protos.integration.v1.json_pb2 import Json
from services.runtime import trimming
from services.runtime.identity import PermissionDenied, Unauthenticated
from services.runtime.masking import Mask, masked

DOMAIN = "integration.v1"
Reason = ErrorDetail.Reason


class ServiceError(Exception):
    """An error of the service layer itself."""

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class InvalidRequest(ServiceError):
    """A request that no component should have to look at."""


class PeerUnavailable(ServiceError):
    """Another of our services cannot be reached."""


class PeerOverloaded(ServiceError):
    """Another of our services has no room for one more call."""


class CallTimedOut(ServiceError):
    """The caller's deadline passed."""


class MessageTooLarge(ServiceError):
    """A message is larger than what our services carry. Details: limit, size, in bytes."""


class ServiceStopping(ServiceError):
    """The process ends, and the call took longer than it waits."""


class PeerFailed(ServiceError):
    """Another of our services failed with an error that has no class here; keeps its status."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Policy:
    """What a reason means to gRPC, and whether the same call may succeed when sent again."""

    code: grpc.StatusCode
    retryable: bool = False


POLICIES: dict[int, Policy] = {
    Reason.VALIDATION_ERROR: Policy(grpc.StatusCode.INVALID_ARGUMENT),
    Reason.INVALID_STATE: Policy(grpc.StatusCode.INVALID_ARGUMENT),
    Reason.SIGNATURE_UNVERIFIABLE: Policy(grpc.StatusCode.INVALID_ARGUMENT),
    Reason.UNAUTHENTICATED: Policy(grpc.StatusCode.UNAUTHENTICATED),
    Reason.PERMISSION_DENIED: Policy(grpc.StatusCode.PERMISSION_DENIED),
    Reason.SIGNATURE_INVALID: Policy(grpc.StatusCode.UNAUTHENTICATED),
    Reason.EGRESS_DENIED: Policy(grpc.StatusCode.PERMISSION_DENIED),
    Reason.INTEGRATION_NOT_FOUND: Policy(grpc.StatusCode.NOT_FOUND),
    Reason.METHOD_NOT_FOUND: Policy(grpc.StatusCode.NOT_FOUND),
    Reason.ALREADY_EXISTS: Policy(grpc.StatusCode.ALREADY_EXISTS),
    Reason.CONFLICT: Policy(grpc.StatusCode.ABORTED),
    Reason.NOT_CONNECTED: Policy(grpc.StatusCode.FAILED_PRECONDITION),
    Reason.CONFIGURATION_ERROR: Policy(grpc.StatusCode.FAILED_PRECONDITION),
    Reason.TRANSFORM_ERROR: Policy(grpc.StatusCode.FAILED_PRECONDITION),
    Reason.AUTHENTICATION_ERROR: Policy(grpc.StatusCode.FAILED_PRECONDITION),
    Reason.INTEGRATION_ERROR: Policy(grpc.StatusCode.UNKNOWN),
    Reason.RATE_LIMIT_EXCEEDED: Policy(grpc.StatusCode.RESOURCE_EXHAUSTED, retryable=True),
    Reason.TEMPORARY_ERROR: Policy(grpc.StatusCode.UNAVAILABLE, retryable=True),
    Reason.CIRCUIT_OPEN: Policy(grpc.StatusCode.UNAVAILABLE, retryable=True),
    Reason.TIMEOUT_ERROR: Policy(grpc.StatusCode.DEADLINE_EXCEEDED, retryable=True),
    Reason.PAYLOAD_TOO_LARGE: Policy(grpc.StatusCode.OUT_OF_RANGE),
    Reason.EXECUTION_ERROR: Policy(grpc.StatusCode.INTERNAL),
}

TABLE: dict[type[Exception], int] = {
    InvalidRequest: Reason.VALIDATION_ERROR,
    PeerUnavailable: Reason.TEMPORARY_ERROR,
    PeerOverloaded: Reason.RATE_LIMIT_EXCEEDED,
    CallTimedOut: Reason.TIMEOUT_ERROR,
    MessageTooLarge: Reason.PAYLOAD_TOO_LARGE,
    ServiceStopping: Reason.TEMPORARY_ERROR,
    Unauthenticated: Reason.UNAUTHENTICATED,
    PermissionDenied: Reason.PERMISSION_DENIED,
    registry_errors.InvalidDefinition: Reason.VALIDATION_ERROR,
    registry_errors.InvalidInstance: Reason.VALIDATION_ERROR,
    registry_errors.InvalidPageRequest: Reason.VALIDATION_ERROR,
    registry_errors.DefinitionNotFound: Reason.INTEGRATION_NOT_FOUND,
    registry_errors.InstanceNotFound: Reason.INTEGRATION_NOT_FOUND,
    registry_errors.DefinitionExists: Reason.ALREADY_EXISTS,
    registry_errors.StaleEtag: Reason.CONFLICT,
    registry_errors.DefinitionNotOffered: Reason.CONFIGURATION_ERROR,
    registry_errors.StatusNotReachable: Reason.CONFIGURATION_ERROR,
    registry_errors.StoreUnavailable: Reason.TEMPORARY_ERROR,
    credential_errors.InvalidId: Reason.VALIDATION_ERROR,
    credential_errors.InvalidCredentials: Reason.CONFIGURATION_ERROR,
    credential_errors.SchemeInvalid: Reason.CONFIGURATION_ERROR,
    credential_errors.CredentialsNotFound: Reason.NOT_CONNECTED,
    credential_errors.CredentialsIncomplete: Reason.CONFIGURATION_ERROR,
    credential_errors.SchemeNotAvailable: Reason.CONFIGURATION_ERROR,
    credential_errors.VersionConflict: Reason.CONFLICT,
    credential_errors.CredentialsBusy: Reason.CONFLICT,
    credential_errors.StoreUnavailable: Reason.TEMPORARY_ERROR,
    credential_errors.InvalidState: Reason.INVALID_STATE,
    credential_errors.AuthorizationRefused: Reason.AUTHENTICATION_ERROR,
    credential_errors.NeedsReauthorization: Reason.AUTHENTICATION_ERROR,
    credential_errors.TokenRequestRefused: Reason.CONFIGURATION_ERROR,
    credential_errors.TokenEndpointFailed: Reason.TEMPORARY_ERROR,
    credential_errors.EndpointForbidden: Reason.EGRESS_DENIED,
    credential_errors.OAuthMisconfigured: Reason.CONFIGURATION_ERROR,
    transformer_errors.TransformFailed: Reason.TRANSFORM_ERROR,
    executor_errors.InvalidParameters: Reason.VALIDATION_ERROR,
    executor_errors.MethodNotFound: Reason.METHOD_NOT_FOUND,
    executor_errors.InstanceNotConnected: Reason.NOT_CONNECTED,
    executor_errors.MethodNotCallable: Reason.CONFIGURATION_ERROR,
    executor_errors.EgressDenied: Reason.EGRESS_DENIED,
    executor_errors.CredentialsRefused: Reason.AUTHENTICATION_ERROR,
    executor_errors.UpstreamFailed: Reason.INTEGRATION_ERROR,
    executor_errors.ResultMismatch: Reason.INTEGRATION_ERROR,
    executor_errors.InstanceChanging: Reason.TEMPORARY_ERROR,
    executor_errors.UpstreamRateLimited: Reason.RATE_LIMIT_EXCEEDED,
    executor_errors.UpstreamUnavailable: Reason.TEMPORARY_ERROR,
    executor_errors.DeadlinePassed: Reason.TIMEOUT_ERROR,
    executor_errors.RequestTooLarge: Reason.PAYLOAD_TOO_LARGE,
    executor_errors.ResponseTooLarge: Reason.PAYLOAD_TOO_LARGE,
}

# Trouble of ours that callers can only wait out: the log keeps the cause.
OUR_TROUBLE = (
    registry_errors.StoreUnavailable,
    credential_errors.StoreUnavailable,
    credential_errors.RecordCorrupt,
    credential_errors.StoreForbidden,
    credential_errors.LoginFailed,
)

# What gRPC itself answers when no servicer of ours got to speak.
TRANSPORT: dict[int, type[ServiceError]] = {
    grpc.StatusCode.CANCELLED.value[0]: PeerUnavailable,
    grpc.StatusCode.UNAVAILABLE.value[0]: PeerUnavailable,
    grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]: PeerOverloaded,
    grpc.StatusCode.DEADLINE_EXCEEDED.value[0]: CallTimedOut,
}
# In our words: those of gRPC name the addresses that we have inside.
TRANSPORT_TEXTS: dict[type[ServiceError], str] = {
    PeerUnavailable: "The {peer} cannot be reached for the moment.",
    PeerOverloaded: "The {peer} has no room for one more call at the moment.",
    CallTimedOut: "The {peer} did not answer in time.",
}


def reason_of(error: BaseException) -> int | None:
    """Answer the `ErrorDetail.Reason` of an error; None when it is not one of ours."""
    return next((TABLE[cls] for cls in type(error).__mro__ if cls in TABLE), None)


def kind_of(cls: type[Exception]) -> str:
    """Name an error's class on the wire: `registry.InstanceNotFound`."""
    return f"{cls.__module__.partition('.')[0]}.{cls.__name__}"


def is_ours(error: BaseException) -> bool:
    """Tell errors that we raise on purpose from accidents."""
    return isinstance(error, PeerFailed) or reason_of(error) is not None


def to_status(error: Exception, request_id: str = "", mask: Mask = str) -> Status:
    """Turn an error into what goes over the wire; an accident shows nothing but an error id.

    Message and details are masked, and cut where they would be too long for a client to receive.
    """
    if isinstance(error, PeerFailed):
        return error.status
    reason = reason_of(error)
    if reason is None:
        return _accident(request_id)
    details = masked(getattr(error, "details", {}), mask)
    status = _status(reason, kind_of(type(error)), mask(str(error)), request_id)
    _add(status, _detail(reason, details))
    wait = getattr(error, "retry_after_ms", None)
    if wait is not None:
        _add(
            status, RetryInfo(retry_delay=Duration(nanos=wait % 1000 * 10**6, seconds=wait // 1000))
        )
    return status


def from_status(status: Status) -> Exception:
    """Turn what came over the wire into the error it was on the other side."""
    info, detail, retry = ErrorInfo(), ErrorDetail(), RetryInfo()
    for packed in status.details:
        for message in (info, detail, retry):
            packed.Unpack(message)
    if not info.reason:
        return unreached(status.code, "service behind this one") or PeerFailed(status)
    kind = _kinds().get(info.metadata.get("kind", ""))
    if kind is None:
        return PeerFailed(status)
    error = _rebuilt(kind, status.message, _facts(detail))
    if retry.HasField("retry_delay"):
        error.retry_after_ms = retry.retry_delay.ToMilliseconds()
    rebuilt: Exception = error
    return rebuilt


def unreached(code: int, peer: str) -> ServiceError | None:
    """Answer the error that gRPC's own code stands for; None when it tells of something else."""
    kind = TRANSPORT.get(code)
    return None if kind is None else kind(TRANSPORT_TEXTS[kind].format(peer=peer))


def _rebuilt(kind: type[Any], message: str, facts: dict[str, Any]) -> Any:
    # Constructors may work details out; these are worked out already.
    error: Any = kind.__new__(kind, message)
    error.args = (message,)
    error.message, error.details = message, facts
    return error


def _facts(detail: ErrorDetail) -> dict[str, Any]:
    facts: dict[str, Any] = orjson.loads(detail.details.utf8 or b"{}")
    return facts


def _kinds() -> dict[str, type[Any]]:
    return {kind_of(kind): kind for root in TABLE for kind in _tree(root)}


def _tree(root: type[Exception]) -> Iterator[type[Exception]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


def _accident(request_id: str) -> Status:
    error_id = secrets.token_hex(8)
    text = f"The service failed to do this; its log knows more under error id {error_id}."
    status = _status(Reason.EXECUTION_ERROR, "services.Accident", text, request_id)
    _add(status, _detail(Reason.EXECUTION_ERROR, {"errorId": error_id}))
    return status


def _status(reason: int, kind: str, message: str, request_id: str) -> Status:
    status = Status(code=POLICIES[reason].code.value[0], message=trimming.message(message))
    info = ErrorInfo(reason=_name(reason), domain=DOMAIN, metadata={"kind": kind})
    if request_id:
        info.metadata["requestId"] = request_id
    _add(status, info)
    return status


def _name(reason: int) -> str:
    return ErrorDetail.Reason.DESCRIPTOR.values_by_number[reason].name


def _detail(reason: int, details: Mapping[str, object]) -> ErrorDetail:
    detail = ErrorDetail(retryable=POLICIES[reason].retryable)
    if details:
        detail.details.CopyFrom(Json(utf8=trimming.details(details)))
    return detail


def _add(status: Status, message: Message) -> None:
    packed = Packed()
    packed.Pack(message)
    status.details.append(packed)
