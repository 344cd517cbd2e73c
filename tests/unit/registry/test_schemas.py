"""Which JSON Schemas are taken."""

from typing import Any

import jsonschema_rs
import pytest

from registry.schemas import schema_problems


def found(schema: Any) -> dict[str, str]:
    """Answer the message at each path."""
    return {item.path: item.message for item in schema_problems(schema, "/s")}


@pytest.mark.parametrize(
    "schema",
    [
        *(True, False, {}),
        {"type": ["string", "null"], "pattern": "^a+$", "format": "whatever", "x-note": 1},
        {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{}], "definitions": {}},
        {
            "$schema": "http://json-schema.org/draft-04/schema",
            "maximum": 5,
            "exclusiveMaximum": True,
        },
        {"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveRef": "#"},
        {"$defs": {"a b": {"type": "string"}}, "properties": {"x": {"$ref": "#/$defs/a%20b"}}},
        {"$defs": {"n": {"$anchor": "node"}}, "items": {"$ref": "#node"}},
        {"properties": {"$ref": {"type": "string"}}},
        {"default": {"$ref": "http://elsewhere/"}, "enum": [{"$ref": "x"}], "const": {"$ref": "y"}},
        {"maximum": 9007199254740993, "multipleOf": 0.1},
    ],
)
def test_a_schema_is_taken(schema: Any) -> None:
    """Everything the known dialects have is a schema, and can be compiled."""
    assert found(schema) == {}
    jsonschema_rs.validator_for(schema, offline=True)


@pytest.mark.parametrize(
    ("schema", "path", "part"),
    [
        (5, "", "JSON Schema"),
        (None, "", "JSON Schema"),
        ([], "", "JSON Schema"),
        ({"type": "strin"}, "/type", "strin"),
        ({"properties": {"a/b": {"minimum": "5"}}}, "/properties/a~1b/minimum", "number"),
        ({"pattern": "["}, "/pattern", "regex"),
        ({"patternProperties": {"(": {}}}, "/patternProperties", "regex"),
        ({"required": "a"}, "/required", "array"),
        ({"$schema": "https://example.com/mine"}, "/$schema", "dialect"),
        ({"$schema": 5}, "/$schema", "dialect"),
        ({"$ref": "#/$defs/none"}, "", "compiled"),
        ({"$ref": "https://example.com/schema.json"}, "/$ref", "leads out"),
        ({"items": {"$ref": "other.json"}}, "/items/$ref", "leads out"),
        ({"allOf": [{"$dynamicRef": "file:///etc/passwd"}]}, "/allOf/0/$dynamicRef", "leads out"),
        ({"properties": {"default": {"$ref": "http://127.0.0.1:1/"}}}, "", "compiled"),
    ],
)
def test_what_is_no_schema_is_named(schema: Any, path: str, part: str) -> None:
    """Each problem is at its place in the schema."""
    problems = found(schema)
    assert part in problems[f"/s{path}"]


def test_all_problems_of_a_schema_come_at_once() -> None:
    """Checking does not stop at the first problem."""
    schema = {"type": 5, "properties": {"a": {"type": "x"}, "b": {"$ref": "y"}}}
    assert set(found(schema)) == {"/s/type", "/s/properties/a/type", "/s/properties/b/$ref"}


def test_a_message_stays_short() -> None:
    """A large value is not repeated whole."""
    (message,) = found({"type": "x" * 5000}).values()
    assert len(message) < 400
