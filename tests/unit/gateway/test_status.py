"""Failures as HTTP."""

import json
from typing import Any

import pytest
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from protos.integration.v1.error_reason_pb2 import ErrorDetail
from services.gateway import status
from services.gateway.errors import (
    FieldsInvalid,
    InvalidRequest,
    MalformedJson,
    MethodNotAllowed,
    PayloadTooLarge,
    Problem,
    RequestRefused,
    RouteNotFound,
)

REASONS = [
    name for name in ErrorDetail.Reason.DESCRIPTOR.values_by_name if name != "REASON_UNSPECIFIED"
]


def failed(code: int, *details: Message, message: str = "It failed") -> Status:
    """A status with details."""
    result = Status(code=code, message=message)
    for detail in details:
        result.details.add().Pack(detail)
    return result


def info(reason: str) -> ErrorInfo:
    """Our word for a reason."""
    return ErrorInfo(reason=reason, domain="integration.v1", metadata={"kind": "Kind"})


def error_of(failure: status.Failure) -> dict[str, Any]:
    """The error in the answer's body."""
    body = json.loads(failure.body("r-1"))
    assert body["status"] == "ERROR"
    error: dict[str, Any] = body["error"]
    return error


def test_every_reason_has_an_http_status():
    """No reason of the contract is missing from the table, and none is made up."""
    assert sorted(status.HTTP_STATUS) == sorted(REASONS)


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_decides_the_status_whatever_the_code(reason: str):
    """`ErrorInfo` says more than the code it comes with."""
    failure = status.from_status(failed(code_pb2.UNKNOWN, info(reason)))
    assert failure.http_status == status.HTTP_STATUS[reason]
    assert error_of(failure)["code"] == reason


def test_shows_all_that_a_status_carries():
    """Details are spliced in as they are; waiting time is in the body and in a header."""
    details = b'{"z":1.0,"a":9007199254740993}'
    failure = status.from_status(
        failed(
            code_pb2.RESOURCE_EXHAUSTED,
            RetryInfo(retry_delay=Duration(seconds=1, nanos=200_000_001)),
            ErrorDetail(details={"utf8": details}, retryable=True),
            info("RATE_LIMIT_EXCEEDED"),
        )
    )
    assert failure.body("r-1") == (
        b'{"status":"ERROR","error":{"code":"RATE_LIMIT_EXCEEDED","message":"It failed",'
        b'"retryable":true,"retryAfterMs":1201,"details":' + details + b',"requestId":"r-1"}}'
    )
    assert failure.http_status == 429
    assert failure.headers() == {"Retry-After": "2"}


def test_what_a_status_does_not_carry_is_left_out():
    """An error has no empty details and no waiting time that nobody set."""
    failure = status.from_status(failed(code_pb2.NOT_FOUND, info("METHOD_NOT_FOUND")))
    assert error_of(failure) == {
        "code": "METHOD_NOT_FOUND",
        "message": "It failed",
        "retryable": False,
        "requestId": "r-1",
    }
    assert failure.headers() == {}


def test_retryable_is_what_the_server_says_before_what_the_reason_says():
    """The detail overrules the habit of a reason."""
    retried = info("TEMPORARY_ERROR")
    assert status.from_status(failed(code_pb2.UNAVAILABLE, retried)).retryable
    spoken = ErrorDetail(retryable=False)
    assert not status.from_status(failed(code_pb2.UNAVAILABLE, retried, spoken)).retryable


@pytest.mark.parametrize("reason", ["UNAUTHENTICATED", "SIGNATURE_INVALID"])
def test_401_comes_with_a_challenge(reason: str):
    """HTTP demands a challenge; ours names the scheme, not the error's text."""
    failure = status.from_status(failed(code_pb2.UNAUTHENTICATED, info(reason)))
    assert failure.headers()["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("code", "reason", "http_status", "retryable"),
    [
        (code_pb2.CANCELLED, "TEMPORARY_ERROR", 499, True),
        (code_pb2.UNKNOWN, "EXECUTION_ERROR", 500, False),
        (code_pb2.INVALID_ARGUMENT, "VALIDATION_ERROR", 400, False),
        (code_pb2.DEADLINE_EXCEEDED, "TIMEOUT_ERROR", 504, True),
        (code_pb2.NOT_FOUND, "INTEGRATION_NOT_FOUND", 404, False),
        (code_pb2.ALREADY_EXISTS, "ALREADY_EXISTS", 409, False),
        (code_pb2.PERMISSION_DENIED, "PERMISSION_DENIED", 403, False),
        (code_pb2.UNAUTHENTICATED, "UNAUTHENTICATED", 401, False),
        (code_pb2.RESOURCE_EXHAUSTED, "RATE_LIMIT_EXCEEDED", 429, True),
        (code_pb2.FAILED_PRECONDITION, "CONFIGURATION_ERROR", 422, False),
        (code_pb2.ABORTED, "CONFLICT", 409, False),
        (code_pb2.OUT_OF_RANGE, "VALIDATION_ERROR", 400, False),
        (code_pb2.UNIMPLEMENTED, "EXECUTION_ERROR", 501, False),
        (code_pb2.INTERNAL, "EXECUTION_ERROR", 500, False),
        (code_pb2.UNAVAILABLE, "TEMPORARY_ERROR", 503, True),
        (code_pb2.DATA_LOSS, "EXECUTION_ERROR", 500, False),
        (99, "EXECUTION_ERROR", 500, False),
    ],
)
@pytest.mark.parametrize(
    "details", [(), (ErrorInfo(reason="quota", domain="googleapis.com"),), (BadRequest(),)]
)
def test_a_foreign_status_falls_back_to_its_code(
    code: int, reason: str, http_status: int, *, retryable: bool, details: tuple[Message, ...]
):
    """Without our `ErrorInfo` the gRPC code has to do."""
    failure = status.from_status(failed(code, *details))
    found = (failure.code, failure.http_status, failure.retryable)
    assert found == (reason, http_status, retryable)
    assert not status.is_explained(failed(code, *details))


def test_a_newer_reason_is_passed_on():
    """A reason we do not know keeps its word and takes the HTTP status of its code."""
    failure = status.from_status(failed(code_pb2.ABORTED, info("BRAND_NEW")))
    assert (failure.code, failure.http_status) == ("BRAND_NEW", 409)


def test_details_that_cannot_be_read_do_no_harm():
    """Unknown types and broken bytes among the details are passed over."""
    broken = failed(code_pb2.NOT_FOUND)
    broken.details.add(type_url="type.googleapis.com/no.such.Type", value=b"\xff")
    broken.details.add(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff")
    broken.details.append(any_pb2.Any())
    assert status.from_status(broken).code == "INTEGRATION_NOT_FOUND"


@pytest.mark.parametrize(
    ("error", "code", "http_status"),
    [
        (RouteNotFound("m"), "ROUTE_NOT_FOUND", 404),
        (MethodNotAllowed("m", allow=["GET"]), "METHOD_NOT_ALLOWED", 405),
        (PayloadTooLarge("m", limit=5), "PAYLOAD_TOO_LARGE", 413),
        (InvalidRequest("m"), "VALIDATION_ERROR", 400),
        (MalformedJson("m", line=1), "VALIDATION_ERROR", 400),
        (FieldsInvalid([Problem("/a", "m")]), "VALIDATION_ERROR", 400),
    ],
)
def test_a_refusal_has_its_place_in_the_table(error: RequestRefused, code: str, http_status: int):
    """Everything the gateway refuses itself looks like every other error."""
    failure = status.from_refusal(error)
    assert (failure.code, failure.http_status, failure.retryable) == (code, http_status, False)
    assert error_of(failure)["message"] == error.message
    assert error_of(failure).get("details", {}) == error.details


def test_a_method_that_is_not_allowed_lists_those_that_are():
    """405 comes with `Allow`."""
    failure = status.from_refusal(MethodNotAllowed("m", allow=["GET", "POST"]))
    assert failure.headers() == {"Allow": "GET, POST"}
