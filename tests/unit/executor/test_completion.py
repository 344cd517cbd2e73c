"""Defaults of schemas."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.completion import defaults_of

SCHEMA: dict[str, Any] = {
    "properties": {
        "page": {"type": "integer", "default": 1},
        "tags": {"default": []},
        "none": {"default": None},
        "open": True,
        "where": {
            "properties": {
                "country": {"default": "DE"},
                "geo": {"properties": {"precise": {"default": False}}},
            }
        },
    }
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"{}", b'{"page":1,"tags":[],"none":null}'),
        (b'{"page":2, "tags":[1.0],"none":0}', b'{"page":2, "tags":[1.0],"none":0}'),
        (b'{"page":1e1 } ', b'{"page":1e1,"tags":[],"none":null}'),
        (
            b'{"page":1,"tags":1,"none":1,"where":{"n": 1.0}}',
            b'{"page":1,"tags":1,"none":1,"where":{"n": 1.0,"country":"DE"}}',
        ),
        (
            b'{"page":1,"tags":1,"none":1,"where":{"country":"FR", "geo":{}}}',
            b'{"page":1,"tags":1,"none":1,"where":{"country":"FR","geo":{"precise":false}}}',
        ),
        (
            b'{"page":1,"tags":1,"none":1,"where":[]}',
            b'{"page":1,"tags":1,"none":1,"where":[]}',
        ),
    ],
)
def test_adds_what_is_missing(text: bytes, expected: bytes) -> None:
    """Missing members are added at every depth that is there; what is there stays as written."""
    defaults = defaults_of(SCHEMA)
    assert defaults is not None
    value = orjson.loads(text)
    assert defaults.complete(text, value) == expected
    assert value == orjson.loads(expected)


@given(
    st.dictionaries(
        st.sampled_from(["page", "tags", "none", "where", "x"]),
        st.one_of(
            st.integers(0, 9), st.dictionaries(st.sampled_from(["country", "geo"]), st.none())
        ),
    )
)
def test_text_and_value_never_part(value: dict[str, Any]) -> None:
    """The completed text says exactly what the completed value says, and nothing is left to do."""
    defaults = defaults_of(SCHEMA)
    assert defaults is not None
    text = defaults.complete(orjson.dumps(value), value)
    assert orjson.loads(text) == value
    assert not defaults.lacking(value)
    assert defaults.complete(text, value) == text


@pytest.mark.parametrize(
    "schema", [True, False, {}, {"properties": {"a": {"type": "string"}, "b": True}}, {"allOf": []}]
)
def test_a_schema_without_defaults_has_none(schema: Any) -> None:
    """Nothing is done per call when there is nothing to add."""
    assert defaults_of(schema) is None


def test_a_default_of_many_digits_is_written_out() -> None:
    """Integers beyond 64 bits keep their digits."""
    defaults = defaults_of({"properties": {"n": {"default": 2**80}}})
    assert defaults is not None
    assert defaults.complete(b"{}", {}) == b'{"n":%d}' % 2**80
