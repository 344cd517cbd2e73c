"""From text to a definition, or all its problems."""

import copy
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.errors import InvalidDefinition
from registry.model import (
    AuthPlacement,
    DefinitionStatus,
    HttpBinding,
    RateLimits,
    RetryConfig,
)
from registry.parse import parse, parse_document

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


def warnings(text: bytes) -> dict[str, str]:
    """Answer the message at each path that is warned of."""
    return {item.path: item.message for item in parse(text).warnings}


class TestSpecification:
    """What the specification shows registers as it is."""

    @pytest.mark.parametrize(
        ("name", "kinds", "secret", "binding"),
        [
            ("crm", ("http", "api_key"), "apiKey", ("POST", "/createContact", "json")),
            ("basic_users", ("http", "api_key"), "apiKey", ("GET", "/getUsers", "none")),
            ("google_calendar", ("http", "oauth2"), "clientSecret", ("GET", "/listEvents", "none")),
            (
                *("stripe_webhook", ("webhook", "hmac"), "webhookSecret"),
                ("POST", "/processPaymentEvent", "json"),
            ),
        ],
    )
    def test_an_example_is_understood(
        self,
        golden: Callable[[str], bytes],
        *,
        name: str,
        kinds: tuple[str, str],
        secret: str,
        binding: tuple[str, str, str],
    ) -> None:
        """Kinds, secrets and the bindings by convention are as the design has them."""
        parsed = parse(golden(name))
        definition = parsed.definition
        (method,) = definition.methods
        verb, path, body = binding
        assert (definition.type, definition.auth_type) == kinds
        assert definition.secret_fields == (secret,)
        assert method.http == HttpBinding(verb, path, body=body, by_convention=True)
        assert definition.server == "{+config.baseUrl}"
        assert definition.auth == AuthPlacement("header", "Authorization", "Bearer ", "apiKey")
        assert parsed.status is DefinitionStatus.PUBLISHED

    def test_transforms_keep_their_text(self, golden: Callable[[str], bytes]) -> None:
        """Scripts are those of the specification, line for line."""
        (method,) = parse(golden("crm")).definition.methods
        assert method.request_transform is not None
        lines = method.request_transform.split("\n")
        assert lines[1] == "        // Transform from our standard format to the CRM's format"
        assert lines[11].strip() == "custom_fields: {"

    def test_what_is_by_convention_is_said(self, golden: Callable[[str], bytes]) -> None:
        """Conventions are warnings, and so is a server that no config can name."""
        assert "GET /getUsers" in warnings(golden("basic_users"))["/methods/0"]
        assert set(warnings(golden("google_calendar"))) == {"/methods/0", "/configSchema"}
        assert warnings(golden("stripe_webhook")) == {}

    @pytest.mark.parametrize("name", ["crm", "basic_users", "google_calendar", "stripe_webhook"])
    def test_the_canonical_text_is_the_same_definition(
        self, golden: Callable[[str], bytes], name: str
    ) -> None:
        """A stored text is read back equal, and has the digest it is addressed by."""
        definition = parse(golden(name)).definition
        assert parse_document(definition.document) == definition
        assert definition.digest == hashlib.sha256(definition.document).hexdigest()


class TestContent:
    """What makes content the same."""

    def test_status_and_layout_are_no_content(self, written: Write) -> None:
        """The digest is that of the content alone."""
        first = parse(written())
        second = parse(json.dumps({"status": "DRAFT", **json.loads(written())}, indent=3).encode())
        assert second.status is DefinitionStatus.DRAFT
        assert second.definition == first.definition

    def test_every_digit_of_a_number_is_kept(self) -> None:
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

    def test_yaml_is_the_same_definition(self, golden: Callable[[str], bytes]) -> None:
        """A transform may be written as a block of lines."""
        text = (
            "name: N\nversion: 1.0.0\ntype: http\nauthType: none\nmethods:\n- name: getIt\n"
            "  responseTransform: |\n    function transform(input) {\n      return input;\n    }\n"
        )
        parsed = parse(text.encode()).definition
        script = "function transform(input) {\n  return input;\n}\n"
        assert parsed.methods[0].response_transform == script
        assert parse(parsed.document).definition == parsed
        assert parse(golden("crm")).definition.digest != parsed.digest


class TestFields:
    """Everything the language has."""

    def test_a_method_with_everything(self, written: Write) -> None:
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
        assert [item.path for item in parsed.warnings] == ["/methods/0/pagination"]

    def test_what_goes_beyond_the_plain_language_is_kept(self, written: Write) -> None:
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
    def test_the_verb_follows_the_first_word(self, written: Write, name: str, verb: str) -> None:
        """Without http, a method's name decides."""
        (method,) = parse(written(methods=[{"name": name}])).definition.methods
        assert (method.http.method, method.http.path) == (verb, f"/{name}")

    def test_graphql_goes_to_one_place(self, written: Write) -> None:
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
        self,
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

    def test_missing_credentials_are_warned_of(self, written: Write) -> None:
        """An api_key definition whose config has no such field says so."""
        assert "no apiKey" in warnings(written(authType="api_key"))["/configSchema"]
        assert "username and no password" in warnings(written(authType="basic"))["/configSchema"]

    def test_the_default_of_a_secret_is_warned_of(self, written: Write) -> None:
        """A secret in a schema is a secret no more."""
        schema = {"properties": {"baseUrl": {}, "api/key": {"default": "x"}}}
        found = warnings(written(configSchema=schema))
        assert "everybody" in found["/configSchema/properties/api~1key/default"]

    def test_a_secret_server_is_warned_of(self, written: Write) -> None:
        """Calls need an address that the executor may know."""
        schema = {"properties": {"baseUrl": {"format": "password"}}}
        assert "secret" in warnings(written(configSchema=schema))["/configSchema"]

    def test_oauth2_is_kept_as_written(self, golden: Callable[[str], bytes]) -> None:
        """The endpoints and their options are there for whoever speaks OAuth."""
        written = json.loads(golden("google_calendar"))["oauth2Config"]
        assert parse(golden("google_calendar")).definition.oauth2_config == written


class TestProblems:
    """Everything that is wrong, at once."""

    def test_all_problems_come_at_once(self, written: Write) -> None:
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
    def test_a_definition_is_an_object(self, text: bytes, kind: str) -> None:
        """Anything else is named for what it is."""
        assert problems(text) == {"": f"must be an object, not {kind}"}

    @pytest.mark.parametrize(
        "version",
        ["1", "1.0", "v1.0.0", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.0+", "", "1.0.0 ", "1.0.0\n"],
    )
    def test_a_version_is_semantic(self, written: Write, version: str) -> None:
        """Versions are those of semver.org."""
        assert set(problems(written(version=version))) == {"/version"}

    @pytest.mark.parametrize("version", ["0.0.0", "1.2.3-rc.1", "1.0.0-x-y.0a+build.007"])
    def test_a_version_may_have_labels(self, written: Write, version: str) -> None:
        """Pre-releases and builds are versions."""
        assert parse(written(version=version)).definition.version == version

    def test_a_number_as_version_is_answered_with_advice(self) -> None:
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
    def test_a_method_is_checked(self, written: Write, method: Any, path: str) -> None:
        """Each field of a method has its rules."""
        assert set(problems(written(methods=[method]))) == {f"/methods/0{path}"}

    def test_method_names_are_unique(self, written: Write) -> None:
        """The second of two equal names is wrong."""
        found = problems(written(methods=[METHOD, {"name": "other"}, METHOD]))
        assert found == {"/methods/2/name": "is the name of method 0 too; names are unique"}

    @pytest.mark.parametrize("methods", [[], {}, "x", None])
    def test_there_is_a_method(self, written: Write, methods: Any) -> None:
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
    def test_a_binding_is_checked(self, written: Write, http: Any, path: str) -> None:
        """Templates, variables and headers of a binding have their rules."""
        method = {**METHOD, "paramSchema": {"properties": {"id": {}}}, "http": http}
        found = problems(written(methods=[method]))
        expected = f"/methods/0/http{path}"
        assert expected in found
        assert set(found) <= {expected, "/methods/0/http/method", "/methods/0/http/path"}

    def test_bodies_of_later_releases_are_known_words(self, written: Write) -> None:
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
    def test_the_rest_is_checked(self, written: Write, members: dict[str, Any], path: str) -> None:
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
        self, golden: Callable[[str], bytes], change: dict[str, Any], path: str
    ) -> None:
        """Endpoints are web addresses, and secrets don't stand in definitions."""
        whole = json.loads(golden("google_calendar"))
        whole["oauth2Config"] = {
            name: value
            for name, value in {**whole["oauth2Config"], **change}.items()
            if value is not None
        }
        assert set(problems(json.dumps(whole).encode())) == {f"/oauth2Config{path}"}

    def test_oauth2_needs_its_endpoints(self, written: Write) -> None:
        """An OAuth definition without oauth2Config says what is missing."""
        found = problems(written(authType="oauth2"))
        assert "authorizationUrl and tokenUrl" in found["/oauth2Config"]
        assert set(problems(written(authType="oauth2_client_credentials"))) == {"/oauth2Config"}


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
        "properties": {"baseUrl": {"$ref": "#/$defs/u"}},
        "$defs": {"u": {}},
    },
    "defaultConfig": {"baseUrl": "x"},
    "oauth2Config": {
        "authorizationUrl": "https://a/",
        "tokenUrl": "https://a/",
        "additionalParameters": {"a": "b"},
        "refreshTokenConfig": {"strategy": "auto"},
    },
    "server": "{+config.baseUrl}",
    "auth": {"in": "header", "name": "X", "prefix": "", "field": "baseUrl"},
    "resultValidation": "warn",
    "status": "DRAFT",
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


@given(st.sampled_from(places(WHOLE)), ANY_JSON)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_definition_with_anything_anywhere_is_one_or_invalid(
    place: tuple[Any, ...], value: Any
) -> None:
    """Replacing any part of a definition by any JSON raises `InvalidDefinition` or nothing."""
    whole: Any = copy.deepcopy({"": WHOLE})
    holder = whole
    for key in ("", *place)[:-1]:
        holder = holder[key]
    holder[("", *place)[-1]] = value
    try:
        definition = parse(json.dumps(whole[""]).encode()).definition
    except InvalidDefinition:
        return
    assert parse_document(definition.document) == definition


@given(st.binary(max_size=60))
def test_any_bytes_are_a_definition_or_invalid(text: bytes) -> None:
    """Neither JSON nor YAML readers raise anything of their own."""
    with pytest.raises(InvalidDefinition):
        parse(text)
