"""A caller's parameters, completed by the schema's defaults and found valid."""

from typing import Any

import orjson
from msgspec import Struct

from executor.errors import InvalidParameters, RequestTooLarge
from executor.model import MethodCall
from executor.plan import Plan

EMPTY = b"{}"


class Arguments(Struct, frozen=True):
    """Parameters, completed and found valid, and metadata: their texts and the values in them."""

    text: bytes
    values: dict[str, Any]
    metadata: bytes
    metadata_values: dict[str, Any]


def prepare(plan: Plan, call: MethodCall, limit: int) -> Arguments:
    """Complete and check what the caller sent.

    Raises `InvalidParameters` with every problem, and `RequestTooLarge` above `limit` bytes.
    """
    for given in (call.parameters, call.metadata):
        if len(given) > limit:
            raise too_large(len(given), limit)
    text = call.parameters or EMPTY
    values = parse_object(text, "/parameters")
    if plan.defaults is not None:
        try:
            text = plan.defaults.complete(text, values)
        except ValueError as error:
            raise invalid("/parameters", str(error)) from None
    problems = plan.parameters.problems(values) if plan.parameters else ()
    if problems:
        raise InvalidParameters(
            f"the parameters do not match the paramSchema of {plan.method}: "
            f"{problems[0].path}: {problems[0].message}",
            problems=[{"path": p.path, "message": p.message} for p in problems],
        )
    if not call.metadata:
        return Arguments(text, values, EMPTY, {})
    return Arguments(text, values, call.metadata, parse_object(call.metadata, "/metadata"))


def parse_object(text: bytes, path: str) -> dict[str, Any]:
    """Parse what must be an object; raises `InvalidParameters` naming `path`."""
    try:
        values = orjson.loads(text)
    except ValueError as error:
        raise invalid(path, f"is no JSON: {error}") from None
    if not isinstance(values, dict):
        raise invalid(path, "must be an object")
    return values


def too_large(size: int, limit: int) -> RequestTooLarge:
    """Answer the error for `size` bytes where `limit` are allowed."""
    return RequestTooLarge(
        f"the request has {size} bytes where {limit} are allowed", limit=limit, size=size
    )


def invalid(path: str, reason: str) -> InvalidParameters:
    """Answer the error for one problem at a path."""
    return InvalidParameters(f"{path} {reason}", problems=[{"path": path, "message": reason}])
