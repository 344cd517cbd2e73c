"""Which fields of a config are secret."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.secrecy import Secrecy, says_so

NAMES = st.sampled_from(["apiKey", "baseUrl", "client_secret", "keyboard", "auth", "items", "x"])
MARKS = st.sampled_from(
    [{}, {"format": "password"}, {"writeOnly": True}, {"x-secret": True}, {"x-secret": False}]
)
SCHEMAS = st.recursive(
    st.builds(
        lambda mark, type_: {**mark, **type_}, MARKS, st.sampled_from([{}, {"type": "string"}])
    ),
    lambda inner: st.one_of(
        st.builds(
            lambda of, mark: {"type": "object", "properties": of, **mark},
            st.dictionaries(NAMES, inner, max_size=3),
            MARKS,
        ),
        st.builds(lambda of: {"type": "array", "items": of}, inner),
        st.builds(lambda of: {"anyOf": of}, st.lists(inner, max_size=2)),
        st.builds(lambda of: {"additionalProperties": of}, inner),
    ),
    max_leaves=6,
)


def secrets(**properties: Any) -> tuple[str, ...]:
    """Answer the secret fields of a schema with these properties."""
    return Secrecy({"type": "object", "properties": properties}).fields()


@pytest.mark.parametrize(
    "name",
    [
        *("secret", "apiKey", "api_key", "API-KEY", "APIKey", "apikey", "clientSecret", "token"),
        *("client_secret", "accessToken", "accesstoken", "DB_PASSWORD", "passwd", "credentials"),
        *("webhookSecret", "privateKey2", "key", "signing.key", "x509Key"),
    ],
)
def test_a_telling_name_says_so(name: str) -> None:
    """Words are found in camel, snake and kebab case."""
    assert says_so(name)


@pytest.mark.parametrize(
    "name",
    ["keyboard", "monkey", "baseUrl", "tokenizer", "secretary", "", "turkey", "passport", "kEy0s"],
)
def test_a_word_inside_a_word_says_nothing(name: str) -> None:
    """Only whole words count."""
    assert not says_so(name)


def test_the_specifications_secrets_are_found() -> None:
    """The fields of the examples are secret without being marked."""
    text = {"type": "string"}
    assert secrets(clientId=text, clientSecret=text, redirectUri=text, webhookSecret=text) == (
        *("clientSecret", "webhookSecret"),
    )


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "format": "password"},
        {"type": "string", "writeOnly": True},
        {"x-secret": True},
        {"anyOf": [{"type": "null"}, {"format": "password"}]},
        {"$ref": "#/$defs/hidden"},
        {"type": "object", "properties": {"a": {"properties": {"apiKey": {"type": "string"}}}}},
        {"type": "array", "items": {"properties": {"b": {"x-secret": True}}}},
        {"type": "object", "additionalProperties": {"format": "password"}},
        {"type": "object", "patternProperties": {"^x": {"writeOnly": True}}},
        {"prefixItems": [{"type": "integer"}, {"writeOnly": True}]},
    ],
)
def test_a_mark_anywhere_inside_makes_the_field_secret(schema: dict[str, Any]) -> None:
    """Marked fields are secret, and so are fields that hold one."""
    root = {"properties": {"field": schema}, "$defs": {"hidden": {"format": "password"}}}
    assert Secrecy(root).fields() == ("field",)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "x-secret": False},
        {"type": "integer"},
        {"type": ["boolean", "null"]},
        {"type": "string", "enum": ["a", "b"]},
        {"const": "a"},
        {"type": "object", "properties": {"id": {"type": "string"}}},
        {"type": "array", "items": {"type": "integer"}},
        {"type": "object", "x-secret": False, "properties": {"password": {"type": "string"}}},
    ],
)
def test_a_name_alone_does_not_make_everything_secret(schema: dict[str, Any]) -> None:
    """What is declared public, or cannot hold a secret text, stays public."""
    assert secrets(apiKey=schema) == ()


def test_properties_of_alternatives_count() -> None:
    """Secrets may stand in branches, references and combinations at the top."""
    root = {
        "oneOf": [{"properties": {"apiKey": {}}}, {"$ref": "#/$defs/b"}],
        "then": {"properties": {"pwd": {}}},
        "dependentSchemas": {"x": {"properties": {"secret": {}}}},
        "$defs": {"b": {"properties": {"token": {}}}},
    }
    assert set(Secrecy(root).fields()) == {"apiKey", "token", "pwd", "secret"}


def test_schemas_that_lead_to_themselves_come_to_an_end() -> None:
    """Recursive schemas, and those that double at each step, are no trouble."""
    doubling = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(64)}
    root = {
        "properties": {"tree": {"$ref": "#/$defs/node"}, "wide": {"$ref": "#/$defs/d0"}},
        "$defs": {
            "node": {"properties": {"child": {"$ref": "#/$defs/node"}}},
            "loop": {"$ref": "#/$defs/loop"},
            **doubling,
        },
    }
    assert Secrecy(root).fields() == ()


def test_fields_that_no_schema_describes_go_by_name() -> None:
    """Extra fields are split by their names, also inside other fields."""
    secrecy = Secrecy({"properties": {"baseUrl": {}, "open": {"x-secret": False}, "bag": {}}})
    config = {
        "baseUrl": "u",
        "extraToken": "t",
        "maxTokens": 5,
        "nested": [{"api_key": "k"}],
        "plain": {"a": 1},
        "open": {"password": "p"},
        "bag": {"deep": {"clientSecret": "s"}},
    }
    public, secret = secrecy.split(config)
    assert set(secret) == {"extraToken", "nested", "bag"}
    assert list(public) == ["baseUrl", "maxTokens", "plain", "open"]


def test_a_schema_that_is_just_true_describes_nothing() -> None:
    """Without a schema, names decide."""
    assert Secrecy(config_schema=True).split({"apiKey": "k", "a": "b"}) == (
        {"a": "b"},
        {"apiKey": "k"},
    )


@given(st.dictionaries(NAMES, SCHEMAS, max_size=4), st.data())
def test_no_marked_or_named_secret_is_ever_public(
    properties: dict[str, Any], data: st.DataObject
) -> None:
    """A value planted wherever a schema or a name says secret never shows in the public part."""
    config: dict[str, Any] = {}
    planted: list[str] = []
    for name, schema in properties.items():
        config[name] = _value(name, schema, planted)
    config["extraSecret"] = planted_value(planted)
    config |= data.draw(st.dictionaries(st.sampled_from(["a", "b"]), st.integers()))
    public, secret = Secrecy({"properties": properties}).split(config)
    assert {**public, **secret} == config
    assert not any(value in json.dumps(public) for value in planted)


def planted_value(planted: list[str]) -> str:
    """Make a value that is found again."""
    planted.append(f"planted-{len(planted)}-")
    return planted[-1]


def _value(name: str, schema: dict[str, Any], planted: list[str]) -> Any:
    """Make a value of a schema, a planted one where the schema's own words make it secret."""
    if schema.get("x-secret") is False:
        return "open"
    marked = schema.get("x-secret") or schema.get("writeOnly") or schema.get("format")
    if "properties" in schema and not marked:
        return {key: _value(key, of, planted) for key, of in schema["properties"].items()}
    if "items" in schema:
        return [_value("", schema["items"], planted)]
    if "additionalProperties" in schema:
        return {"any": _value("", schema["additionalProperties"], planted)}
    if "anyOf" in schema:
        return "open"
    return planted_value(planted) if marked or says_so(name) else "open"
