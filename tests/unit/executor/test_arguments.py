"""What callers send, completed and checked."""

import json
from contextlib import suppress
from typing import Any

import pytest

from executor.errors import InvalidParameters, RequestTooLarge
from tests.unit.executor.binding import LIMIT, bound, prepared
from tests.unit.executor.world import method


@pytest.mark.parametrize(
    "text", [b"[]", b"1", b"null", b'"a"', b"{", b"\xff", b"NaN", b"\xef\xbb\xbf{}"]
)
def test_parameters_must_be_a_json_object(text: bytes) -> None:
    """Anything but a JSON object is refused at `/parameters`, or at `/metadata`."""
    for sent, path in (((text, b""), "/parameters"), ((b"{}", text), "/metadata")):
        with pytest.raises(InvalidParameters) as caught:
            prepared(method(), *sent)
        problems: Any = caught.value.details["problems"]
        assert [problem["path"] for problem in problems] == [path]


def test_absent_parameters_are_an_empty_object() -> None:
    """No text at all means `{}`."""
    assert bound(method(), b"").body == b"{}"


def test_every_problem_is_named() -> None:
    """A refusal lists all problems with their paths."""
    schema = {
        "properties": {"email": {"format": "email"}, "n": {"type": "integer"}},
        "required": ["id"],
    }
    with pytest.raises(InvalidParameters) as caught:
        prepared(method(param_schema=schema), b'{"email":"x","n":"1"}')
    problems: Any = caught.value.details["problems"]
    assert {problem["path"] for problem in problems} == {
        "/parameters",
        "/parameters/email",
        "/parameters/n",
    }
    json.dumps(caught.value.details)


def test_a_request_over_its_limit_is_refused() -> None:
    """Size is looked at before anything is parsed."""
    with pytest.raises(RequestTooLarge) as caught:
        prepared(method(), b"{" * (LIMIT + 1))
    assert caught.value.details == {"limit": LIMIT, "size": LIMIT + 1}


def test_endless_depth_is_refused() -> None:
    """Nesting beyond what can be parsed is a problem of the parameters, in a body and a query."""
    for depth in (1100, 3000):
        deep = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
        with pytest.raises(InvalidParameters):
            bound(method(verb="GET"), deep)


def test_depth_that_only_some_interpreters_can_take() -> None:
    """Near the limits of the parsers a value is bound whole or is a problem, never an accident."""
    deep = b'{"a":' + b"[" * 990 + b"]" * 990 + b"}"
    with suppress(InvalidParameters):
        assert bound(method(), deep).body == deep


@pytest.mark.parametrize(
    "schema",
    [{}, {"properties": {"a": {"properties": {"x": {"default": 1}}}}}],
    ids=["", "default"],
)
def test_endless_depth_is_refused_in_a_body(schema: Any) -> None:
    """What cannot be looked through is not sent: where keys may stand twice, or defaults miss."""
    deep = b'{"a":{"b":' + b"[" * 1023 + b'":"' + b"]" * 1023 + b"}}"
    deep = deep.replace(b'":"', b'"\\":"')
    with pytest.raises(InvalidParameters):
        bound(method(param_schema=schema), deep)
