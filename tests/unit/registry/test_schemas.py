"""Which JSON Schemas are taken."""

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema.exceptions import SchemaError
from jsonschema.validators import Draft202012Validator, validator_for

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
        {"pattern": "^\\p{Letter}+(?<=a+)$"},
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
        ({"type": "strin"}, "/type", "did you mean string?"),
        ({"type": 5}, "/type", "must be of array"),
        ({"pattern": "(" * 500 + ")" * 500}, "/pattern", "compiled"),
        ({"pattern": "a" * 6000}, "/pattern", "longer"),
        ({"patternProperties": {"a" * 6000: {}}}, "/patternProperties/" + "a" * 279, "longer"),
        ({"items": {"a/b": {}, "minimum": "5"}}, "/items/minimum", "number"),
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
    messages = [item.message for item in schema_problems(schema, "/s") if item.path == f"/s{path}"]
    assert any(part in message for message in messages)


def test_all_problems_of_a_schema_come_at_once() -> None:
    """Checking does not stop at the first problem."""
    schema = {"type": 5, "properties": {"a": {"type": "x"}, "b": {"$ref": "y"}}}
    assert set(found(schema)) == {"/s/type", "/s/properties/a/type", "/s/properties/b/$ref"}


def test_a_message_stays_short() -> None:
    """A large value is not repeated whole."""
    (message,) = found({"type": "x" * 5000}).values()
    assert len(message) < 400


VALUES = st.sampled_from(
    [
        *(None, True, 5, -1, 1.5, "", "string", "x y", "[", "^a", "#", "#/$defs/a", 2**70),
        *([], ["string"], ["a", "a"], [{}], [5], {}, {"a": {}}, {"a": 5}, {"a": ["b"]}),
        {"[": {}},
    ]
)
KEYWORDS = st.sampled_from(
    [
        *("$id", "$anchor", "$ref", "$defs", "$comment", "$vocabulary", "type", "enum", "const"),
        *("multipleOf", "maximum", "maxLength", "minLength", "pattern", "maxItems"),
        *("uniqueItems", "maxContains", "required", "dependentRequired", "properties"),
        *("patternProperties", "additionalProperties", "propertyNames", "items", "prefixItems"),
        *("contains", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"),
        *("unevaluatedItems", "format", "contentMediaType", "title", "default", "examples"),
        *("readOnly", "deprecated", "definitions", "exclusiveMaximum", "minProperties", "id"),
    ]
)
SCHEMAS = st.recursive(
    st.dictionaries(KEYWORDS, VALUES, max_size=3) | st.booleans(),
    lambda inner: st.dictionaries(
        st.sampled_from(["items", "not", "properties", "allOf", "$defs", "additionalProperties"]),
        inner | st.lists(inner, min_size=1, max_size=2) | st.dictionaries(st.just("a"), inner),
        max_size=2,
    ),
    max_leaves=5,
)
DIALECTS = st.sampled_from(
    [
        {},
        {"$schema": "https://json-schema.org/draft/2019-09/schema"},
        {"$schema": "http://json-schema.org/draft-07/schema#"},
        {"$schema": "http://json-schema.org/draft-04/schema#"},
    ]
)


@given(SCHEMAS, DIALECTS)
@settings(deadline=None)
def test_what_jsonschema_refuses_is_refused(schema: Any, dialect: dict[str, str]) -> None:
    """`jsonschema` is the authority: no schema is taken that it takes not."""
    whole = {**schema, **dialect} if isinstance(schema, dict) else schema
    try:
        validator_for(whole, default=Draft202012Validator).check_schema(whole)
    except SchemaError:
        assert found(whole)


@given(SCHEMAS, st.recursive(VALUES, lambda inner: st.dictionaries(st.just("a"), inner)))
@settings(deadline=None)
def test_what_is_taken_can_validate(schema: Any, value: Any) -> None:
    """A schema that is taken decides about any value."""
    if not found(schema):
        validator = jsonschema_rs.validator_for(schema, offline=True, validate_formats=True)
        assert validator.is_valid(value) in {True, False}
