"""Scripts that write the request themselves."""

from typing import Any

import orjson
import pytest

from executor.configuration import configure
from executor.errors import InvalidParameters, MethodNotCallable
from executor.plan import make_plan
from executor.request import bind
from registry.model import Target
from tests.unit.executor.binding import bound, prepared
from tests.unit.executor.world import AGENT, definition, instance, method


@pytest.mark.parametrize(
    "result",
    [
        {"$request": 1},
        {"$request": None},
        {"$request": {}, "more": 1},
        {"$request": {"url": "https://evil.example"}},
        {"$request": {"method": "TRACE"}},
        {"$request": {"method": 1}},
        {"$request": {"path": "no-slash"}},
        {"$request": {"path": "/a/../b"}},
        {"$request": {"path": "/a/%2e%2e/b"}},
        {"$request": {"path": "/a\\..\\b"}},
        {"$request": {"path": "/a?b=1"}},
        {"$request": {"path": "/a#b"}},
        {"$request": {"path": ["a"]}},
        {"$request": {"query": []}},
        {"$request": {"headers": {"Host": "evil.example"}}},
        {"$request": {"headers": {"X": "a\r\nb"}}},
        {"$request": {"headers": {"X": ["a"]}}},
        {"$request": {"headers": []}},
    ],
)
def test_a_takeover_that_is_not_understood_is_refused(result: Any) -> None:
    """Scripts take over as described, or the call fails before it is sent."""
    with pytest.raises(MethodNotCallable):
        bound(method(), b"{}", orjson.dumps(result))


@pytest.mark.parametrize(
    ("parameters", "metadata"),
    [
        (b'{"$request":{"path":"/admin"}}', b""),
        (b'{"\\u0024request":{}}', b""),
        (b'{"a":[{"$request":{}}]}', b""),
        (b'{"key":"$request","value":{}}', b""),
        (b"{}", b'{"a":{"$request":{}}}'),
    ],
)
def test_a_caller_cannot_take_over_through_a_script(parameters: bytes, metadata: bytes) -> None:
    """A script that hands its input through does not let callers choose another request."""
    of = method()
    target = Target(instance(), definition(of))
    plan = make_plan(target.definition, of, AGENT)
    arguments = prepared(of, parameters, metadata)
    with pytest.raises(InvalidParameters, match="reserved"):
        bind(plan, configure(target, plan.server), arguments, b'{"$request":{"path":"/admin"}}')


@pytest.mark.parametrize("result", [b'["$request"]', b'{"a":{"$request":1}}', b'"$request"'])
def test_only_a_result_that_is_a_takeover_is_one(result: bytes) -> None:
    """The word elsewhere in a result means nothing."""
    assert bound(method(), b"{}", result).body == result


def test_a_takeover_may_send_a_body_where_the_binding_has_none() -> None:
    """GET with a body is possible, and says that it is JSON."""
    request = bound(method(verb="GET"), b"{}", b'{"$request":{"body":{"q":1.0}}}')
    assert request.body == b'{"q":1.0}'
    assert dict(request.headers)["Content-Type"] == "application/json"


def test_a_takeover_of_a_form_writes_a_form() -> None:
    """The body's kind stays the binding's."""
    request = bound(method(body="form"), b"{}", b'{"$request":{"body":{"q":"a b"}}}')
    assert request.body == b"q=a+b"
    with pytest.raises(MethodNotCallable):
        bound(method(body="form"), b"{}", b'{"$request":{"body":[1]}}')
