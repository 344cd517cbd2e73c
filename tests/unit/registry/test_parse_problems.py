"""What is no definition, and how it is said: everything at once, each at its place."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from registry.errors import InvalidDefinition
from registry.parse import parse

Write = Callable[..., bytes]
METHOD = {"name": "getThing"}


def problems(text: bytes) -> dict[str, str]:
    """Answer the message at each path of a definition that is refused."""
    with pytest.raises(InvalidDefinition) as caught:
        parse(text)
    found = caught.value.details["problems"]
    assert isinstance(found, list)
    assert found
    return {item["path"]: item["message"] for item in found}


def test_all_problems_come_at_once(written: Write) -> None:
    """One answer names them all, each at its place."""
    text = written(
        name="",
        version="1",
        type="htp",
        authType=None,
        description=5,
        nmae="x",
        status="ARCHIVED",
        methods=[{"name": "a b", "timeoutMs": 0, "paramSchema": {"type": "strin"}}, {}],
        defaultConfig=[],
    )
    found = problems(text)
    assert set(found) == {
        *("/name", "/version", "/type", "/authType", "/description", "/nmae", "/status"),
        *("/methods/0/name", "/methods/0/timeoutMs", "/methods/0/paramSchema/type"),
        *("/methods/1/name", "/defaultConfig"),
    }
    assert found["/type"].endswith("did you mean http?")
    assert found["/nmae"].endswith("did you mean name?")
    assert found["/authType"] == "is missing"


@pytest.mark.parametrize(
    ("text", "kind"),
    [(b"[1]", "a list"), (b"5", "a number"), (b"", "null"), (b"true", "true or false")],
)
def test_a_definition_is_an_object(text: bytes, kind: str) -> None:
    """Anything else is named for what it is."""
    assert problems(text) == {"": f"must be an object, not {kind}"}


@pytest.mark.parametrize(
    "version",
    ["1", "1.0", "v1.0.0", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.0+", "", "1.0.0 ", "1.0.0\n"],
)
def test_a_version_is_semantic(written: Write, version: str) -> None:
    """Versions are those of semver.org."""
    assert set(problems(written(version=version))) == {"/version"}


@pytest.mark.parametrize("version", ["0.0.0", "1.2.3-rc.1", "1.0.0-x-y.0a+build.007"])
def test_a_version_may_have_labels(written: Write, version: str) -> None:
    """Pre-releases and builds are versions."""
    assert parse(written(version=version)).definition.version == version


def test_a_number_as_version_is_answered_with_advice() -> None:
    """YAML reads 1.0 as a number."""
    text = b"name: n\nversion: 1.0\ntype: http\nauthType: none\nmethods: [{name: m}]\n"
    assert problems(text)["/version"].endswith("put it in quotes")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ({"name": "1a"}, "/name"),
        ({"name": "a" * 65}, "/name"),
        ({"name": "a-b"}, "/name"),
        ({**METHOD, "timeoutMs": 600_001}, "/timeoutMs"),
        ({**METHOD, "timeoutMs": 1.5}, "/timeoutMs"),
        ({**METHOD, "timeoutMs": True}, "/timeoutMs"),
        ({**METHOD, "rateLimits": {}}, "/rateLimits/requestsPerMinute"),
        ({**METHOD, "rateLimits": {"requestsPerMinute": 0}}, "/rateLimits/requestsPerMinute"),
        ({**METHOD, "retryConfig": {"maxRetries": -1}}, "/retryConfig/maxRetries"),
        ({**METHOD, "retryConfig": {"maxRetrys": 1}}, "/retryConfig/maxRetrys"),
        ({**METHOD, "retryConfig": {"retryableErrors": [1]}}, "/retryConfig/retryableErrors"),
        (
            {**METHOD, "retryConfig": {"backoffMultiplier": 0.5}},
            "/retryConfig/backoffMultiplier",
        ),
        ({**METHOD, "requestTransform": " "}, "/requestTransform"),
        ({**METHOD, "responseTransform": 5}, "/responseTransform"),
        ({**METHOD, "param_schema": {}}, "/param_schema"),
        ({**METHOD, "paramSchema": []}, "/paramSchema"),
        ("getThing", ""),
    ],
)
def test_a_method_is_checked(written: Write, method: Any, path: str) -> None:
    """Each field of a method has its rules."""
    assert set(problems(written(methods=[method]))) == {f"/methods/0{path}"}


def test_method_names_are_unique(written: Write) -> None:
    """The second of two equal names is wrong."""
    found = problems(written(methods=[METHOD, {"name": "other"}, METHOD]))
    assert found == {"/methods/2/name": "is the name of method 0 too; names are unique"}


@pytest.mark.parametrize("methods", [[], {}, "x", None])
def test_there_is_a_method(written: Write, methods: Any) -> None:
    """A definition without methods is none."""
    assert set(problems(written(methods=methods))) == {"/methods"}


@pytest.mark.parametrize(
    ("http", "path"),
    [
        ({"path": "/a"}, "/method"),
        ({"method": "GET"}, "/path"),
        ({"method": "GOT", "path": "/a"}, "/method"),
        ({"method": "GET", "path": "a"}, "/path"),
        ({"method": "GET", "path": "//evil.example"}, "/path"),
        ({"method": "GET", "path": "/a#b"}, "/path"),
        ({"method": "GET", "path": "/{id"}, "/path"),
        ({"method": "GET", "path": "/{other}"}, "/path"),
        ({"method": "GET", "path": "/a b"}, "/path"),
        ({"method": "POST", "path": "/a", "body": "xml"}, "/body"),
        ({"method": "POST", "path": "/a", "body": "multipart"}, "/body"),
        ({"method": "POST", "path": "/a", "body": "text"}, "/body"),
        ({"method": "POST", "path": "/a", "body": ["json"]}, "/body"),
        ({"method": "GET", "path": "/a", "headers": []}, "/headers"),
        ({"method": "GET", "path": "/a", "headers": {"X-A": "{other}"}}, "/headers"),
        ({"method": "GET", "path": "/a", "headers": {"X-A": 5}}, "/headers/X-A"),
        ({"method": "GET", "path": "/a", "headers": {"X-A": "a\r\nB: c"}}, "/headers/X-A"),
        ({"method": "GET", "path": "/a", "headers": {"X/A": "a"}}, "/headers/X~1A"),
        ({"method": "GET", "path": "/a", "headers": {"X\r\nA": "a"}}, "/headers/X\r\nA"),
        ({"method": "GET", "path": "/a", "headers": {"Host": "a"}}, "/headers/Host"),
        ({"method": "GET", "path": "/a", "idempotencyHeader": "a b"}, "/idempotencyHeader"),
        ({"method": "GET", "path": "/a", "verb": "GET"}, "/verb"),
        ("GET /a", ""),
    ],
)
def test_a_binding_is_checked(written: Write, http: Any, path: str) -> None:
    """Templates, variables and headers of a binding have their rules."""
    method = {**METHOD, "paramSchema": {"properties": {"id": {}}}, "http": http}
    found = problems(written(methods=[method]))
    expected = f"/methods/0/http{path}"
    assert expected in found
    assert set(found) <= {expected, "/methods/0/http/method", "/methods/0/http/path"}


def test_bodies_of_later_releases_are_known_words(written: Write) -> None:
    """A body that is not there yet is not called unknown."""
    http = {"method": "POST", "path": "/a", "body": "multipart"}
    found = problems(written(methods=[{**METHOD, "http": http}]))
    assert "not available yet" in found["/methods/0/http/body"]


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"server": "ftp://x"}, "/server"),
        ({"server": "{baseUrl}"}, "/server"),
        ({"server": "https://{config.region}.example.com"}, "/server"),
        ({"server": "https://{config.apiKey}.example.com"}, "/server"),
        ({"server": "https://x/{"}, "/server"),
        ({"auth": {"in": "body"}}, "/auth/in"),
        ({"auth": {"in": "query"}}, "/auth/name"),
        ({"auth": {"name": "X\r\nY"}}, "/auth/name"),
        ({"auth": {"prefix": "a\nb"}}, "/auth/prefix"),
        ({"auth": {"field": "nope"}}, "/auth/field"),
        ({"auth": {"usernameField": "nope"}}, "/auth/usernameField"),
        ({"auth": {"fields": "x"}}, "/auth/fields"),
        ({"resultValidation": "maybe"}, "/resultValidation"),
        ({"configSchema": 5}, "/configSchema"),
        ({"defaultConfig": {"apiKey": "x"}}, "/defaultConfig/apiKey"),
        ({"refreshTokenConfig": {"strategy": "never"}}, "/refreshTokenConfig/strategy"),
        ({"description": "a\x00"}, "/description"),
        ({"name": "a\nb"}, "/name"),
        ({"name": "a" * 201}, "/name"),
    ],
)
def test_the_rest_is_checked(written: Write, members: dict[str, Any], path: str) -> None:
    """Server, auth and options have their rules."""
    schema = {"properties": {"baseUrl": {"type": "string"}, "apiKey": {"type": "string"}}}
    found = problems(written(**{"configSchema": schema, "authType": "api_key", **members}))
    assert set(found) == {path}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"authorizationUrl": None}, "/authorizationUrl"),
        ({"tokenUrl": "not a url"}, "/tokenUrl"),
        ({"tokenUrl": "file:///etc/passwd"}, "/tokenUrl"),
        ({"tokenUrl": "https://u:p@example.com/"}, "/tokenUrl"),
        ({"tokenUrl": "https://example.com:99999/"}, "/tokenUrl"),
        ({"tokenUrl": "https://example.com/#x"}, "/tokenUrl"),
        ({"tokenUrl": "https://{+config.domain}/token"}, "/tokenUrl"),
        ({"authStyle": "cookie"}, "/authStyle"),
        ({"pkce": "no"}, "/pkce"),
        ({"additionalParameters": {"a/b": 5}}, "/additionalParameters/a~1b"),
        ({"clientSecret": "s"}, "/clientSecret"),
        ({"scopes": "a"}, "/scopes"),
        (
            {"refreshTokenConfig": {"timeBeforeExpiryMs": "1"}},
            "/refreshTokenConfig/timeBeforeExpiryMs",
        ),
    ],
)
def test_oauth2_is_checked(
    example: Callable[[str], bytes], change: dict[str, Any], path: str
) -> None:
    """Endpoints are web addresses, and secrets don't stand in definitions."""
    whole = json.loads(example("google_calendar"))
    whole["oauth2Config"] = {
        name: value
        for name, value in {**whole["oauth2Config"], **change}.items()
        if value is not None
    }
    assert set(problems(json.dumps(whole).encode())) == {f"/oauth2Config{path}"}


def test_oauth2_needs_its_endpoints(written: Write) -> None:
    """An OAuth definition without oauth2Config says what is missing."""
    found = problems(written(authType="oauth2"))
    assert "authorizationUrl and tokenUrl" in found["/oauth2Config"]
    assert set(problems(written(authType="oauth2_client_credentials"))) == {"/oauth2Config"}
