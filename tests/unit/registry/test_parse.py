"""From text to a definition."""

import hashlib
import json
from collections.abc import Callable

import pytest

from registry.model import (
    AuthPlacement,
    DefinitionStatus,
    HttpBinding,
    RateLimits,
    RetryConfig,
)
from registry.parse import examine, parse, parse_document

Write = Callable[..., bytes]


def warnings(text: bytes) -> dict[str, str]:
    """Answer the message at each path that is warned of."""
    return {item.path: item.message for item in parse(text).warnings}


@pytest.mark.parametrize(
    ("name", "kinds", "secret", "binding"),
    [
        ("crm", ("http", "api_key"), "apiKey", ("POST", "/createContact", "json")),
        ("users", ("http", "api_key"), "apiKey", ("GET", "/getUsers", "none")),
        ("google_calendar", ("http", "oauth2"), "clientSecret", ("GET", "/listEvents", "none")),
        (
            *("stripe_webhook", ("webhook", "hmac"), "webhookSecret"),
            ("POST", "/processPaymentEvent", "json"),
        ),
    ],
)
def test_an_example_is_understood(
    example: Callable[[str], bytes],
    *,
    name: str,
    kinds: tuple[str, str],
    secret: str,
    binding: tuple[str, str, str],
) -> None:
    """Kinds, secrets and the bindings by convention are as the design has them."""
    parsed = parse(example(name))
    definition = parsed.definition
    (method,) = definition.methods
    verb, path, body = binding
    assert (definition.type, definition.auth_type) == kinds
    assert definition.secret_fields == (secret,)
    assert method.http == HttpBinding(verb, path, body=body, by_convention=True)
    assert definition.server == "{+config.baseUrl}"
    field = "webhookSecret" if definition.auth_type == "hmac" else "apiKey"
    assert definition.auth == AuthPlacement("header", "Authorization", "Bearer ", field)
    assert parsed.status is DefinitionStatus.PUBLISHED


def test_transforms_keep_their_text(example: Callable[[str], bytes]) -> None:
    """Scripts are those of the specification, line for line."""
    (method,) = parse(example("crm")).definition.methods
    assert method.request_transform is not None
    lines = method.request_transform.split("\n")
    assert lines[1] == "        // Transform from our standard format to the CRM's format"
    assert lines[11].strip() == "custom_fields: {"


def test_what_is_by_convention_is_said(example: Callable[[str], bytes]) -> None:
    """Conventions are warnings, and so is a server that no config can name."""
    assert "GET /getUsers" in warnings(example("users"))["/methods/0"]
    assert set(warnings(example("google_calendar"))) == {"/methods/0", "/configSchema"}
    assert warnings(example("stripe_webhook")) == {}


@pytest.mark.parametrize("name", ["crm", "users", "google_calendar", "stripe_webhook"])
def test_the_canonical_text_is_the_same_definition(
    example: Callable[[str], bytes], name: str
) -> None:
    """A stored text is read back equal, and has the digest it is addressed by."""
    definition = parse(example(name)).definition
    assert parse_document(definition.document) == definition
    assert definition.digest == hashlib.sha256(definition.document).hexdigest()


def test_status_and_layout_are_no_content(written: Write) -> None:
    """The digest is that of the content alone."""
    first = parse(written())
    second = parse(json.dumps({"status": "DRAFT", **json.loads(written())}, indent=3).encode())
    assert second.status is DefinitionStatus.DRAFT
    assert second.definition == first.definition


def test_every_digit_of_a_number_is_kept() -> None:
    """Numbers that a double cannot hold, and their spelling, survive in the document."""
    text = (
        b'{"name":"n","version":"1.0.0","type":"http","authType":"none","methods":[{"name":"m",'
        b'"paramSchema":{"properties":{"a":{"maximum":9007199254740993,"multipleOf":1.0,'
        b'"default":1e2}}}}]}'
    )
    definition = parse(text).definition
    assert definition.document == text
    schema = definition.methods[0].param_schema
    assert isinstance(schema, dict)
    assert schema["properties"]["a"]["maximum"] == 9007199254740993


def test_yaml_is_the_same_definition(example: Callable[[str], bytes]) -> None:
    """A transform may be written as a block of lines."""
    text = (
        "name: N\nversion: 1.0.0\ntype: http\nauthType: none\nmethods:\n- name: getIt\n"
        "  responseTransform: |\n    function transform(input) {\n      return input;\n    }\n"
    )
    parsed = parse(text.encode()).definition
    script = "function transform(input) {\n  return input;\n}\n"
    assert parsed.methods[0].response_transform == script
    assert parse(parsed.document).definition == parsed
    assert parse(example("crm")).definition.digest != parsed.digest


def test_a_method_with_everything(written: Write) -> None:
    """All that can be said of a method is read."""
    method = {
        "name": "putThing",
        "description": "d",
        "paramSchema": {"type": "object", "properties": {"id": {}, "tag": {}, "q": {}}},
        "resultSchema": True,
        "timeoutMs": 600_000,
        "rateLimits": {"requestsPerMinute": 60, "burstLimit": 5},
        "retryConfig": {
            "maxRetries": 3,
            "initialDelayMs": 10,
            "backoffMultiplier": 1.5,
            "maxDelayMs": 1000,
            "retryableErrors": ["TIMEOUT_ERROR"],
        },
        "http": {
            "method": "put",
            "path": "/things/{id}{?q}",
            "headers": {"If-Match": '"{tag}"'},
            "body": "form",
            "idempotencyHeader": "Idempotency-Key",
        },
        "pagination": {"style": "cursor"},
        "x-owner": "us",
    }
    parsed = parse(written(methods=[method]))
    (read,) = parsed.definition.methods
    assert read.http == HttpBinding(
        method="PUT",
        path="/things/{id}{?q}",
        headers={"If-Match": '"{tag}"'},
        body="form",
        idempotency_header="Idempotency-Key",
    )
    assert read.rate_limits == RateLimits(60, 5)
    assert read.retry_config == RetryConfig(3, 10, 1.5, 1000, ("TIMEOUT_ERROR",))
    assert (read.timeout_ms, read.description) == (600_000, "d")
    assert read.extensions == {"pagination": {"style": "cursor"}, "x-owner": "us"}
    later = ("http/idempotencyHeader", "rateLimits", "retryConfig", "pagination")
    assert [item.path for item in parsed.warnings] == [f"/methods/0/{name}" for name in later]


def test_a_template_may_name_fields_of_the_config(written: Write) -> None:
    """Path and headers of a method take fields of the config, known ones without secrets."""
    schema = {"type": "object", "properties": {"region": {}, "apiKey": {"type": "string"}}}

    def problems(path: str) -> str:
        method = {
            "name": "getThing",
            "paramSchema": {"type": "object", "properties": {"id": {}}},
            "http": {"method": "GET", "path": path, "headers": {"X-Region": "{config.region}"}},
        }
        _, found = examine(written(methods=[method], configSchema=schema))
        return " ".join(problem.message for problem in found)

    assert problems("/{config.region}/{id}") == ""
    assert "did you mean region" in problems("/{config.regoin}/{id}")
    assert "secret" in problems("/{config.apiKey}/{id}")
    assert "paramSchema" in problems("/{region}/{id}")


def test_what_goes_beyond_the_plain_language_is_kept(written: Write) -> None:
    """Extensions are kept as written, those that nothing acts on with a warning."""
    more = {
        "server": "https://api.example.com",
        "resultValidation": "strict",
        "webhook": {"scheme": "stripe"},
        "errors": [{"status": 403}],
        "x-anything": 1,
    }
    parsed = parse(written(**more))
    assert parsed.definition.extensions == more
    assert parsed.definition.result_validation == "strict"
    assert "/errors" in {item.path for item in parsed.warnings}


@pytest.mark.parametrize(
    ("name", "verb"),
    [
        *(("getUsers", "GET"), ("list_events", "GET"), ("searchAll", "GET"), ("find", "GET")),
        *(("fetchOne", "GET"), ("readIt", "GET"), ("deleteIt", "DELETE")),
        *(("removeAll", "DELETE"), ("updateUser", "PUT"), ("replaceIt", "PUT")),
        *(("patchUser", "PATCH"), ("createContact", "POST"), ("send", "POST")),
        *(("GetUsers", "GET"), ("listen", "POST"), ("getaway", "POST"), ("X", "POST")),
    ],
)
def test_the_verb_follows_the_first_word(written: Write, name: str, verb: str) -> None:
    """Without http, a method's name decides."""
    (method,) = parse(written(methods=[{"name": name}])).definition.methods
    assert (method.http.method, method.http.path) == (verb, f"/{name}")


def test_graphql_goes_to_one_place(written: Write) -> None:
    """A GraphQL method is a POST to the server itself."""
    (method,) = parse(written(type="graphql")).definition.methods
    assert method.http == HttpBinding("POST", "", by_convention=True)


@pytest.mark.parametrize(
    ("auth_type", "auth", "properties", "expected"),
    [
        ("api_key", None, ["apiKey"], AuthPlacement()),
        ("api_key", None, ["api_key"], AuthPlacement(field="api_key")),
        ("bearer", None, ["token"], AuthPlacement(field="token")),
        ("bearer", None, ["accessToken"], AuthPlacement(field="accessToken")),
        ("basic", None, ["username", "password"], AuthPlacement(field="password")),
        (
            *("api_key", {"in": "header", "name": "X-API-Key"}, ["apiKey"]),
            AuthPlacement("header", "X-API-Key", "", "apiKey"),
        ),
        (
            *("api_key", {"in": "query", "name": "key", "field": "k"}, ["k"]),
            AuthPlacement("query", "key", "", "k"),
        ),
        (
            *("api_key", {"prefix": "Token "}, ["apiKey"]),
            AuthPlacement("header", "Authorization", "Token ", "apiKey"),
        ),
        (
            *("basic", {"field": "pass", "usernameField": "user"}, ["user", "pass"]),
            AuthPlacement(field="pass", username_field="user"),
        ),
    ],
)
def test_credentials_have_a_place(
    written: Write,
    auth_type: str,
    auth: dict[str, str] | None,
    properties: list[str],
    expected: AuthPlacement,
) -> None:
    """Where credentials go is said by auth, or follows from the kind and the config."""
    schema = {"properties": {name: {"type": "string"} for name in ["baseUrl", *properties]}}
    parsed = parse(written(authType=auth_type, auth=auth, configSchema=schema))
    assert parsed.definition.auth == expected
    assert [item.path for item in parsed.warnings] == ["/methods/0"]


def test_missing_credentials_are_warned_of(written: Write) -> None:
    """An api_key definition whose config has no such field says so."""
    assert "no apiKey" in warnings(written(authType="api_key"))["/configSchema"]
    assert "username and no password" in warnings(written(authType="basic"))["/configSchema"]


def test_the_default_of_a_secret_is_warned_of(written: Write) -> None:
    """A secret in a schema is a secret no more."""
    schema = {"properties": {"baseUrl": {}, "api/key": {"default": "x"}}}
    found = warnings(written(configSchema=schema))
    assert "everybody" in found["/configSchema/properties/api~1key/default"]


def test_a_secret_server_is_warned_of(written: Write) -> None:
    """Calls need an address that the executor may know."""
    schema = {"properties": {"baseUrl": {"format": "password"}}}
    assert "secret" in warnings(written(configSchema=schema))["/configSchema"]


def test_oauth2_is_kept_as_written(example: Callable[[str], bytes]) -> None:
    """The endpoints and their options are there for whoever speaks OAuth."""
    written = json.loads(example("google_calendar"))["oauth2Config"]
    assert parse(example("google_calendar")).definition.oauth2_config == written
