"""Errors as HTTP: a `google.rpc.Status` or a refusal of our own as status, headers and body."""

import logging
import math
from dataclasses import dataclass
from secrets import token_hex
from typing import TypeVar

import orjson
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from protos.integration.v1.error_reason_pb2 import ErrorDetail
from services.gateway.errors import (
    Interrupted,
    InvalidRequest,
    MethodNotAllowed,
    PayloadTooLarge,
    RequestRefused,
    RouteNotFound,
    Unauthenticated,
)

M = TypeVar("M", bound=Message)

DOMAIN = "integration.v1"
HTTP_STATUS = {
    "VALIDATION_ERROR": 400,
    "INVALID_STATE": 400,
    "SIGNATURE_UNVERIFIABLE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "SIGNATURE_INVALID": 401,
    "EGRESS_DENIED": 403,
    "INTEGRATION_NOT_FOUND": 404,
    "METHOD_NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "CONFLICT": 409,
    "NOT_CONNECTED": 409,
    "CONFIGURATION_ERROR": 422,
    "TRANSFORM_ERROR": 422,
    "AUTHENTICATION_ERROR": 424,
    "INTEGRATION_ERROR": 502,
    "RATE_LIMIT_EXCEEDED": 429,
    "TEMPORARY_ERROR": 503,
    "CIRCUIT_OPEN": 503,
    "TIMEOUT_ERROR": 504,
    "PAYLOAD_TOO_LARGE": 413,
    "EXECUTION_ERROR": 500,
}
# For a status without our `ErrorInfo`: a server in between, or a newer one.
_BY_CODE = {
    code_pb2.CANCELLED: ("TEMPORARY_ERROR", 499),
    code_pb2.INVALID_ARGUMENT: ("VALIDATION_ERROR", 400),
    code_pb2.DEADLINE_EXCEEDED: ("TIMEOUT_ERROR", 504),
    code_pb2.NOT_FOUND: ("INTEGRATION_NOT_FOUND", 404),
    code_pb2.ALREADY_EXISTS: ("ALREADY_EXISTS", 409),
    code_pb2.PERMISSION_DENIED: ("PERMISSION_DENIED", 403),
    code_pb2.UNAUTHENTICATED: ("UNAUTHENTICATED", 401),
    code_pb2.RESOURCE_EXHAUSTED: ("RATE_LIMIT_EXCEEDED", 429),
    code_pb2.FAILED_PRECONDITION: ("CONFIGURATION_ERROR", 422),
    code_pb2.ABORTED: ("CONFLICT", 409),
    code_pb2.OUT_OF_RANGE: ("VALIDATION_ERROR", 400),
    code_pb2.UNIMPLEMENTED: ("EXECUTION_ERROR", 501),
    code_pb2.UNAVAILABLE: ("TEMPORARY_ERROR", 503),
}
_OUR_FAULT = ("EXECUTION_ERROR", 500)
_RETRYABLE = frozenset({"RATE_LIMIT_EXCEEDED", "TEMPORARY_ERROR", "CIRCUIT_OPEN", "TIMEOUT_ERROR"})
_REFUSED: dict[type[RequestRefused], tuple[str, int]] = {
    RouteNotFound: ("ROUTE_NOT_FOUND", 404),
    MethodNotAllowed: ("METHOD_NOT_ALLOWED", 405),
    Unauthenticated: ("UNAUTHENTICATED", 401),
    Interrupted: ("TEMPORARY_ERROR", 503),
    PayloadTooLarge: ("PAYLOAD_TOO_LARGE", 413),
    InvalidRequest: ("VALIDATION_ERROR", 400),
}
_UNAUTHORIZED = 401
_CHALLENGE = 'Bearer realm="integration-service"'


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure as REST shows it; `details` is raw JSON, `retry_after` in seconds."""

    http_status: int
    code: str
    message: str
    retryable: bool = False
    details: bytes = b""
    retry_after: float | None = None
    allow: tuple[str, ...] = ()

    def body(self, request_id: str) -> bytes:
        """The JSON of the answer."""
        members = [
            b'"code":' + orjson.dumps(self.code),
            b'"message":' + orjson.dumps(self.message),
            b'"retryable":' + orjson.dumps(self.retryable),
        ]
        if self.retry_after is not None:
            members.append(b'"retryAfterMs":%d' % math.ceil(self.retry_after * 1000))
        if self.details:
            members.append(b'"details":' + self.details)
        members.append(b'"requestId":' + orjson.dumps(request_id))
        return b'{"status":"ERROR","error":{%b}}' % b",".join(members)

    def headers(self) -> dict[str, str]:
        """What HTTP asks for beside the body (RFC 9110 §10.2.1, §10.2.3, §11.6.1)."""
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(math.ceil(self.retry_after))
        if self.http_status == _UNAUTHORIZED:
            headers["WWW-Authenticate"] = _CHALLENGE
        if self.allow:
            headers["Allow"] = ", ".join(self.allow)
        return headers


def is_explained(status: Status) -> bool:
    """Tell whether a status speaks our words: it has an `ErrorInfo` of our domain."""
    info = _detail(status, ErrorInfo)
    return info is not None and info.domain == DOMAIN


def from_status(status: Status) -> Failure:
    """What a failed rpc is in HTTP; without our `ErrorInfo`, by its code alone.

    A reason that this version does not know is passed on, with the HTTP status of its code.
    """
    reason, http_status = _BY_CODE.get(status.code, _OUR_FAULT)
    info = _detail(status, ErrorInfo)
    if info is not None and info.domain == DOMAIN and info.reason:
        reason, http_status = info.reason, HTTP_STATUS.get(info.reason, http_status)
    extra = _detail(status, ErrorDetail)
    retry = _detail(status, RetryInfo)
    return Failure(
        http_status,
        reason,
        status.message,
        retryable=extra.retryable if extra else reason in _RETRYABLE,
        details=extra.details.utf8 if extra else b"",
        retry_after=_seconds(retry) if retry else None,
    )


def from_refusal(error: RequestRefused) -> Failure:
    """What a request that reached no service is answered with."""
    code, http_status = next(_REFUSED[cls] for cls in type(error).__mro__ if cls in _REFUSED)
    details = orjson.dumps(error.details) if error.details else b""
    allow = tuple(error.details.get("allow", ()))
    return Failure(
        http_status,
        code,
        error.message,
        retryable=code in _RETRYABLE,
        details=details,
        allow=allow,
    )


def our_fault(log: logging.Logger, error: BaseException | None, request_id: str) -> Failure:
    """The answer to what must not happen: a fixed text and an id; the log has id and cause."""
    error_id = f"err_{token_hex(8)}"
    log.error("%s: request %s failed", error_id, request_id, exc_info=error)
    return Failure(
        500,
        "EXECUTION_ERROR",
        f"The service failed at this request. Its log has the cause under {error_id}",
        details=orjson.dumps({"errorId": error_id}),
    )


def _detail(status: Status, wanted: type[M]) -> M | None:
    for packed in status.details:
        found = wanted()
        if packed.Is(found.DESCRIPTOR):
            try:
                packed.Unpack(found)
            except DecodeError:
                return None
            return found
    return None


def _seconds(retry: RetryInfo) -> float:
    return float(retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9)
