"""What is said about a config."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.config import completed, config_problems
from registry.model import Problem
from registry.parse import parse

Write = Callable[..., bytes]


@pytest.mark.parametrize(
    ("rule", "value", "message"),
    [
        ({"type": ["integer", "null"]}, "v", "must be of type integer or null"),
        ({"enum": ["a", 1]}, "v", 'must be one of "a", 1'),
        ({"const": "a"}, "v", 'must be "a"'),
        ({"format": "uri"}, "not a uri", "must be a valid uri"),
        ({"format": "email"}, "v", "must be a valid email"),
        ({"pattern": "^x"}, "v", "must match the pattern ^x"),
        (
            {"pattern": "(a*)*\\1(a*)*\\2c"},
            "a" * 40 + "!",
            "takes too long to be matched with its pattern",
        ),
        ({"minLength": 2}, "v", "must have at least 2 characters"),
        ({"maxLength": 0}, "v", "must have at most 0 characters"),
        ({"minimum": 2}, 1, "must be at least 2"),
        ({"maximum": 0}, 1, "must be at most 0"),
        ({"exclusiveMinimum": 1}, 1, "must be more than 1"),
        ({"exclusiveMaximum": 1}, 1, "must be less than 1"),
        ({"multipleOf": 2}, 1, "must be a multiple of 2"),
        ({"minItems": 2}, [1], "must have at least 2 items"),
        ({"maxItems": 0}, [1], "must have at most 0 items"),
        ({"uniqueItems": True}, [1, 1], "must not have the same item twice"),
        ({"minProperties": 2}, {"a": 1}, "must have at least 2 fields"),
        ({"maxProperties": 0}, {"a": 1}, "must have at most 0 fields"),
        ({"additionalProperties": False}, {"a": 1}, "has fields, and none are known"),
        (
            {"properties": {"b": {}}, "additionalProperties": False},
            {"a": 1},
            'has fields that are not known: "a"',
        ),
        (
            {"unevaluatedProperties": False},
            {"a": 1},
            'has fields that are not known: "a"',
        ),
        (
            {"propertyNames": {"maxLength": 0}},
            {"a": 1},
            "has a field whose name is not allowed",
        ),
        ({"anyOf": [False]}, 1, "matches none of the alternatives (anyOf) of configSchema"),
        ({"not": {}}, 1, "matches what configSchema excludes (not)"),
        (False, 1, "must not be given"),
        ({"contains": {"type": "null"}}, [1], "does not satisfy contains of configSchema"),
    ],
)
def test_each_rule_has_its_words(written: Write, rule: Any, value: Any, message: str) -> None:
    """Messages speak of what the schema asks for."""
    schema = {"properties": {"f": rule}}
    definition = parse(written(configSchema=schema)).definition
    (problem,) = config_problems({"f": value}, definition)
    assert (problem.path, problem.message) == ("/config/f", message)


def test_what_no_store_can_keep_is_refused(written: Write) -> None:
    """Depth, half characters and numbers that are none are named before anything else."""
    definition = parse(written(configSchema=None)).definition
    deep: Any = 1
    for _ in range(70):
        deep = [deep]
    for value in (deep, "\ud800", float("nan"), {"\udfff": 1}):
        assert config_problems({"f": value}, definition)


@given(
    st.sampled_from(
        [
            {"type": "integer"},
            {"enum": ["a"]},
            {"pattern": "^$"},
            {"maxLength": 1},
            {"format": "email"},
            {"type": "object", "properties": {"x": {"type": "integer"}}},
            {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            {"oneOf": [{}, {}]},
            {"not": {}},
            {"const": 5},
            {"allOf": [{"type": "integer"}]},
            {"additionalProperties": False},
        ]
    ),
    st.sampled_from(["planted-value", ["planted-value"], {"x": "planted-value"}]),
    st.booleans(),
)
def test_no_message_has_a_value(rule: Any, value: Any, extra: Any) -> None:
    """Whatever is wrong with a config, its values are not repeated."""
    schema = {"properties": {"apiKey": rule}, "additionalProperties": extra}
    text = {
        "name": "n",
        "version": "1.0.0",
        "type": "http",
        "authType": "none",
        "methods": [{"name": "m"}],
        "configSchema": schema,
    }
    definition = parse(json.dumps(text).encode()).definition
    config = completed({"apiKey": value, "extra": value}, definition)
    assert "planted" not in repr(config_problems(config, definition))


BASIC = {"field": "pass", "usernameField": "user"}


@pytest.mark.parametrize("character", ["\r", "\n", "\x00", "\x1f", "\x7f", "\x85"])
@pytest.mark.parametrize(
    ("auth_type", "auth", "field"),
    [
        ("api_key", {}, "apiKey"),
        ("api_key", {"in": "query", "name": "key", "field": "token"}, "token"),
        ("bearer", {"field": "token"}, "token"),
        ("basic", BASIC, "user"),
        ("basic", BASIC, "pass"),
    ],
)
def test_a_secret_that_cannot_be_sent_is_refused(
    written: Write, character: str, auth_type: str, auth: dict[str, str], field: str
) -> None:
    """No request can carry a control character: said at once and by name, without the value."""
    names = {"apiKey", "token", "user", "pass", "note"}
    schema = {"properties": {name: {"type": "string"} for name in names}}
    more = {"auth": auth} if auth else {}
    definition = parse(written(authType=auth_type, configSchema=schema, **more)).definition
    config = {**dict.fromkeys(names, "fine"), "note": "may\nhave them"}
    assert config_problems(config, definition) == ()
    [problem] = config_problems({**config, field: f"planted{character}x"}, definition)
    assert problem == Problem(f"/config/{field}", "must not have control characters")


def test_other_secrets_may_have_any_characters(written: Write) -> None:
    """A private key has lines, and where nothing is shown to an API, nothing is asked."""
    definition = parse(written(configSchema={})).definition
    assert config_problems({"apiKey": "a\nb", "privateKey": "a\nb"}, definition) == ()
