"""Whatever is sent: a definition, or `InvalidDefinition`."""

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.errors import InvalidDefinition
from registry.parse import parse, parse_document

SPECIAL = st.sampled_from(
    [
        *(None, True, 0, -1, 2**70, 1.5, "", "http", "{", "{a}", "x\r\n", "1.0.0", [], {}, [{}]),
        *([[]], {"name": "a"}, {"type": "object"}, {"properties": {"a": 5}}, {"$ref": "#"}),
        "ü" * 300,
    ]
)
ANY_JSON = st.recursive(
    SPECIAL
    | st.text(max_size=8)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
WHOLE = {
    "name": "n",
    "version": "1.0.0",
    "type": "http",
    "authType": "oauth2",
    "methods": [
        {
            "name": "getIt",
            "paramSchema": {"type": "object", "properties": {"a": {"type": "string"}}},
            "http": {"method": "GET", "path": "/{a}", "headers": {"X": "{a}"}, "body": "none"},
            "rateLimits": {"requestsPerMinute": 1},
            "retryConfig": {"maxRetries": 1, "retryableErrors": ["x"]},
            "requestTransform": "x",
        }
    ],
    "configSchema": {
        "type": "object",
        "properties": {"baseUrl": {"$ref": "#/$defs/u"}, "token": {}},
        "$defs": {"u": {}},
    },
    "defaultConfig": {"baseUrl": "x"},
    "oauth2Config": {
        "authorizationUrl": "https://a/",
        "tokenUrl": "https://a/",
        "additionalParameters": {"a": "b"},
        "paramNames": {"clientId": "id"},
        "scope": ["a"],
        "tokenResponse": {"accessToken": "a"},
        "captureFromToken": {"a": {"path": "b", "pattern": "c"}},
        "redirectUris": ["https://a/"],
        "assertionClaims": {"a": 1},
        "subjectTokenField": "token",
        "defaultExpiresIn": 1,
        "pkce": True,
        "refreshTokenConfig": {"strategy": "auto"},
    },
    "verification": {"method": "GET", "path": "/{config.baseUrl}"},
    "server": "{+config.baseUrl}",
    "auth": {"in": "header", "name": "X", "prefix": "", "field": "baseUrl"},
    "resultValidation": "warn",
    "status": "DRAFT",
}
SIGNED = {
    **WHOLE,
    "authType": "hmac",
    "auth": {
        "field": "apiKey",
        "headers": {"A": "{baseUrl}"},
        "query": {"a": "{baseUrl:base64}"},
        "signature": {"template": "{body}{timestamp}", "timestampHeader": "B"},
        "clientCertificate": {"certificate": "baseUrl", "key": "clientKey"},
    },
    "configSchema": {"properties": {"baseUrl": {}, "apiKey": {}, "clientKey": {}}},
    "oauth2Config": {},
}
SCOPED = {
    **SIGNED,
    "authType": "aws_sigv4",
    "auth": {"service": "a", "region": "b", "secretKeyField": "apiKey"},
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Answer the paths of everything inside a value."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


@given(ANY_JSON)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_json_that_is_no_definition_is_invalid(value: Any) -> None:
    """Whatever is sent, nothing but `InvalidDefinition` is raised."""
    with pytest.raises(InvalidDefinition) as caught:
        parse(json.dumps(value).encode())
    assert json.loads(json.dumps(caught.value.details)) == caught.value.details


PLACES = [(whole, place) for whole in (WHOLE, SIGNED, SCOPED) for place in places(whole)]


@given(st.sampled_from(PLACES), ANY_JSON)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_definition_with_anything_anywhere_is_one_or_invalid(
    at: tuple[dict[str, Any], tuple[Any, ...]], value: Any
) -> None:
    """Replacing any part of a definition by any JSON raises `InvalidDefinition` or nothing."""
    (definition, place), whole = at, {}
    whole[""] = copy.deepcopy(definition)
    holder: Any = whole
    for key in ("", *place)[:-1]:
        holder = holder[key]
    holder[("", *place)[-1]] = value
    try:
        read = parse(json.dumps(whole[""]).encode()).definition
    except InvalidDefinition:
        return
    assert parse_document(read.document) == read


@pytest.mark.parametrize("whole", [WHOLE, SIGNED, SCOPED])
def test_what_is_mutilated_was_a_definition(whole: dict[str, Any]) -> None:
    """The definitions above are whole before anything in them is replaced."""
    assert parse(json.dumps(whole).encode()).definition.name == "n"


@given(st.binary(max_size=60))
def test_any_bytes_are_a_definition_or_invalid(text: bytes) -> None:
    """Neither JSON nor YAML readers raise anything of their own."""
    with pytest.raises(InvalidDefinition):
        parse(text)
