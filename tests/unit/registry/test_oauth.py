"""How OAuth 2 is described, with the ways in which APIs differ."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from registry.errors import InvalidDefinition
from registry.model import Definition
from registry.oauth.grants import awaits_consent
from registry.parse import parse, parse_document

Write = Callable[..., bytes]
TEXT = {"type": "string"}
URLS = {"authorizationUrl": "https://a.example/auth", "tokenUrl": "https://a.example/token"}
CONFIG = {
    "type": "object",
    "properties": dict.fromkeys(
        ("baseUrl", "clientId", "clientSecret", "privateKey", "subjectToken", "shop"), TEXT
    ),
}
EVERYTHING: dict[str, Any] = {
    "grant": "authorization_code",
    "authorizationUrl": "https://{config.shop}.example.com/auth",
    "tokenUrl": "https://{config.shop}.example.com/{config.shop}/token",
    "refreshUrl": "https://a.example/refresh",
    "revocationUrl": "https://a.example/revoke",
    "introspectionUrl": "https://a.example/introspect",
    "deviceAuthorizationUrl": "http://127.0.0.1:8080/device",
    "issuer": "https://a.example",
    "clientId": "public",
    "scope": ["read", "write"],
    "scopeDelimiter": ",",
    "audience": "https://{config.shop}.example.com",
    "subject": "me",
    "keyId": "k1",
    "signingAlgorithm": "ES256",
    "assertionClaims": {"deep": {"er": [1]}},
    "authStyle": "private_key_jwt",
    "pkce": "off",
    "additionalParameters": {"access_type": "offline", "shop": "{config.shop}"},
    "tokenParameters": {"resource": "https://a.example"},
    "paramNames": {"clientId": "client_key", "responseType": ""},
    "codeParam": "spapi_oauth_code",
    "tokenBodyFormat": "json",
    "tokenResponse": {
        "accessToken": "authed_user.access_token",
        "refreshToken": "data.refresh_token",
        "expiresIn": "data.expires_in",
        "refreshExpiresIn": "data.refresh_expires_in",
        "scope": "data.scope",
        "error": "data.error",
    },
    "expiresInUnit": "ms",
    "defaultExpiresIn": 3600,
    "captureFromToken": {
        "instanceUrl": "instance_url",
        "apiHost": {"path": "data.api", "pattern": "[a-z.]+"},
    },
    "captureFromCallback": {"realmId": "realmId"},
    "refreshRotation": "always",
    "graceSeconds": 30,
    "refreshRetry": "safe",
    "refreshMargin": 30.5,
    "redirectUris": ["https://app.example/callback", "http://localhost:8080/callback"],
    "subjectTokenField": "subjectToken",
    "subjectTokenType": "urn:ietf:params:oauth:token-type:id_token",
    "actorTokenField": "subjectToken",
    "actorTokenType": "urn:ietf:params:oauth:token-type:jwt",
    "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
    "refreshTokenConfig": {"strategy": "auto", "timeBeforeExpiryMs": 60_000},
    "x-note": "ours",
}


@pytest.fixture
def oauth2(written: Write) -> Write:
    """Write an OAuth definition; arguments set members of its oauth2Config, None removes one."""

    def write(auth_type: str = "oauth2", schema: Any = CONFIG, **options: Any) -> bytes:
        whole = {name: value for name, value in options.items() if value is not None}
        return written(authType=auth_type, configSchema=schema, oauth2Config=whole)

    return write


def definition(text: bytes) -> Definition:
    """Read a definition that reads the same from the store."""
    read = parse(text).definition
    assert parse_document(read.document) == read
    return read


def problems(text: bytes) -> dict[str, str]:
    """Answer the message at each path of a definition that is refused."""
    with pytest.raises(InvalidDefinition) as caught:
        parse(text)
    found = caught.value.details["problems"]
    assert isinstance(found, list)
    return {item["path"]: item["message"] for item in found}


def warnings(text: bytes) -> dict[str, str]:
    """Answer the message at each path that is warned of."""
    return {item.path: item.message for item in parse(text).warnings}


def test_everything_can_be_said(oauth2: Write) -> None:
    """Every option is accepted, and kept as it is written."""
    text = oauth2(**EVERYTHING)
    read = definition(text)
    assert read.oauth2_config == EVERYTHING
    assert read.captured_fields == ("instanceUrl", "apiHost", "realmId")
    assert set(warnings(text)) == {"/methods/0"}


@pytest.mark.parametrize(
    ("auth_type", "grant", "endpoints"),
    [
        ("oauth2", None, {"authorizationUrl", "tokenUrl"}),
        ("oauth2", "authorization_code", {"authorizationUrl", "tokenUrl"}),
        ("oauth2", "device_code", {"deviceAuthorizationUrl", "tokenUrl"}),
        ("oauth2", "token_exchange", {"tokenUrl"}),
        ("oauth2", "client_credentials", {"tokenUrl"}),
        ("oauth2", "jwt_bearer", {"tokenUrl"}),
        ("oauth2_client_credentials", None, {"tokenUrl"}),
        ("jwt_bearer", None, {"tokenUrl"}),
    ],
)
def test_a_grant_needs_its_endpoints(
    oauth2: Write, written: Write, *, auth_type: str, grant: str | None, endpoints: set[str]
) -> None:
    """Without an issuer that publishes them, the endpoints of the grant are named."""
    found = problems(oauth2(auth_type, grant=grant, refreshUrl="https://a.example/"))
    assert set(found) == {f"/oauth2Config/{name}" for name in endpoints}
    complete = dict.fromkeys(endpoints, "https://a.example/x")
    assert definition(oauth2(auth_type, grant=grant, **complete))
    assert definition(oauth2(auth_type, grant=grant, issuer="https://a.example"))
    if grant is None:
        found = problems(written(authType=auth_type, configSchema=CONFIG))
        assert all(name in found["/oauth2Config"] for name in (*endpoints, "issuer"))


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"grant": "password"}, "/grant"),
        ({"tokenUrl": "http://a.example/token"}, "/tokenUrl"),
        ({"tokenUrl": "http://{config.shop}/token"}, "/tokenUrl"),
        ({"tokenUrl": "https://a..example/token"}, "/tokenUrl"),
        ({"tokenUrl": "https://a.example/a/../token"}, "/tokenUrl"),
        ({"tokenUrl": "https://a.example:0/"}, "/tokenUrl"),
        ({"tokenUrl": "https://me@a.example/"}, "/tokenUrl"),
        ({"tokenUrl": "https://[::1/"}, "/tokenUrl"),
        ({"tokenUrl": "https://{config.nope}.example/"}, "/tokenUrl"),
        ({"tokenUrl": "https://{config.clientSecret}.example/"}, "/tokenUrl"),
        ({"tokenUrl": "https://{config.shop.name}.example/"}, "/tokenUrl"),
        ({"tokenUrl": "https://{+config.shop}.example/"}, "/tokenUrl"),
        ({"tokenUrl": "https://{shop}.example/"}, "/tokenUrl"),
        ({"tokenUrl": "{config.shop}"}, "/tokenUrl"),
        ({"tokenUrl": 5}, "/tokenUrl"),
        ({"issuer": "a.example"}, "/issuer"),
        ({"redirectUris": ["https://ok.example/", "http://a.example/"]}, "/redirectUris/1"),
        ({"redirectUris": "https://ok.example/"}, "/redirectUris"),
        ({"tokenBodyFormat": "xml"}, "/tokenBodyFormat"),
        ({"tokenResponse": {"accessToken": "a..b"}}, "/tokenResponse/accessToken"),
        ({"tokenResponse": {"accessToken": 5}}, "/tokenResponse/accessToken"),
        ({"tokenResponse": {"access_token": "a"}}, "/tokenResponse/access_token"),
        ({"tokenResponse": "a"}, "/tokenResponse"),
        ({"scope": 5}, "/scope"),
        ({"scope": ["a", 5]}, "/scope"),
        ({"scopeDelimiter": 5}, "/scopeDelimiter"),
        ({"authStyle": "auto"}, "/authStyle"),
        ({"expiresInUnit": "h"}, "/expiresInUnit"),
        ({"defaultExpiresIn": -1}, "/defaultExpiresIn"),
        ({"defaultExpiresIn": "60"}, "/defaultExpiresIn"),
        ({"graceSeconds": True}, "/graceSeconds"),
        ({"refreshMargin": 100_000}, "/refreshMargin"),
        ({"refreshRotation": "often"}, "/refreshRotation"),
        ({"refreshRetry": "always"}, "/refreshRetry"),
        ({"pkce": "plain"}, "/pkce"),
        ({"pkce": []}, "/pkce"),
        ({"signingAlgorithm": "none"}, "/signingAlgorithm"),
        ({"audience": "{config.clientSecret}"}, "/audience"),
        ({"subject": "{config.nope}"}, "/subject"),
        ({"assertionClaims": {"exp": 1}}, "/assertionClaims/exp"),
        ({"assertionClaims": []}, "/assertionClaims"),
        ({"additionalParameters": {"a": "{config.nope}"}}, "/additionalParameters/a"),
        ({"tokenParameters": {"a": 5}}, "/tokenParameters/a"),
        ({"paramNames": {"client_id": "a"}}, "/paramNames/client_id"),
        ({"paramNames": {"clientId": 5}}, "/paramNames/clientId"),
        ({"paramNames": {"clientId": "a b"}}, "/paramNames/clientId"),
        ({"paramNames": {"clientId": "state"}}, "/paramNames/clientId"),
        ({"paramNames": {"code": ""}}, "/paramNames/code"),
        ({"paramNames": {"clientId": "scope"}}, "/paramNames"),
        ({"captureFromToken": {"a-b": "a"}}, "/captureFromToken/a-b"),
        ({"captureFromToken": {"apiToken": "a"}}, "/captureFromToken/apiToken"),
        ({"captureFromToken": {"clientSecret": "a"}}, "/captureFromToken/clientSecret"),
        ({"captureFromToken": {"clientId": "a"}}, "/captureFromToken/clientId"),
        ({"captureFromToken": {"a": "access_token"}}, "/captureFromToken/a"),
        ({"captureFromToken": {"a": "data.refresh_token"}}, "/captureFromToken/a"),
        ({"captureFromToken": {"a": ""}}, "/captureFromToken/a"),
        ({"captureFromToken": {"a": ["b"]}}, "/captureFromToken/a"),
        ({"captureFromToken": {"a": {"pattern": "b"}}}, "/captureFromToken/a"),
        ({"captureFromToken": {"a": {"path": "b", "regex": "c"}}}, "/captureFromToken/a"),
        ({"captureFromToken": {"a": {"path": "b", "pattern": "("}}}, "/captureFromToken/a"),
        ({"captureFromToken": {"a": {"path": "b", "pattern": "(?=c)"}}}, "/captureFromToken/a"),
        ({"captureFromToken": {"a": {"path": "b", "pattern": 5}}}, "/captureFromToken/a"),
        ({"captureFromToken": []}, "/captureFromToken"),
        ({"captureFromCallback": {"a": "code"}}, "/captureFromCallback/a"),
        ({"subjectTokenField": "nope"}, "/subjectTokenField"),
        ({"privateKey": "x"}, "/privateKey"),
        ({"refreshRotaton": "always"}, "/refreshRotaton"),
    ],
)
def test_an_option_is_checked(oauth2: Write, options: dict[str, Any], path: str) -> None:
    """What no authorization server could be asked is refused where it stands."""
    assert set(problems(oauth2(**{**URLS, **options}))) == {f"/oauth2Config{path}"}


@pytest.mark.parametrize(
    "name",
    [
        *("client_id", "redirect_uri", "state", "response_type"),
        *("code_challenge", "code_challenge_method", "client_key"),
    ],
)
def test_what_protects_an_authorization_cannot_be_replaced(oauth2: Write, name: str) -> None:
    """Additions never stand in the place of what binds an answer to whoever asked."""
    text = oauth2(
        **URLS, paramNames={"clientId": "client_key"}, additionalParameters={name: "x", "a": "b"}
    )
    found = problems(text)
    assert found == {f"/oauth2Config/additionalParameters/{name}": "is set by the service itself"}


def test_a_grant_type_may_have_another_name_where_nothing_is_at_stake(oauth2: Write) -> None:
    """Some servers call client credentials otherwise; no other grant can be swapped."""
    named = {"tokenParameters": {"grant_type": "account_credentials"}}
    assert definition(oauth2("oauth2_client_credentials", tokenUrl=URLS["tokenUrl"], **named))
    found = problems(oauth2(**URLS, **named))
    assert set(found) == {"/oauth2Config/tokenParameters/grant_type"}


def test_an_auth_type_has_its_grants(oauth2: Write) -> None:
    """What is named after one grant is no place for another."""
    for auth_type, grant in (
        ("oauth2_client_credentials", "authorization_code"),
        ("jwt_bearer", "device_code"),
    ):
        found = problems(oauth2(auth_type, grant=grant, issuer="https://a.example"))
        assert set(found) == {"/oauth2Config/grant"}


def test_plain_http_is_for_this_machine(oauth2: Write) -> None:
    """Loopback needs no TLS."""
    for host in ("localhost:{config.shop}", "127.0.0.1", "[::1]:8080", "a.localhost"):
        assert definition(oauth2(issuer="https://a.example", tokenUrl=f"http://{host}/token"))


def test_secrets_of_the_config_are_secret(oauth2: Write) -> None:
    """A client secret or a key that everybody could read is refused."""
    open_ = {"type": "string", "x-secret": False}
    names = ("clientSecret", "privateKey", "subjectToken")
    schema = {"type": "object", "properties": {"clientId": TEXT, **dict.fromkeys(names, open_)}}
    found = problems(oauth2(schema=schema, **URLS))
    assert set(found) == {f"/configSchema/properties/{name}" for name in names}
    assert all("x-secret: true" in message for message in found.values())
    assertion = {"properties": {"clientId": TEXT, "assertion": TEXT}}
    named = problems(oauth2(schema=assertion, subjectTokenField="assertion", **URLS))
    assert set(named) == {"/configSchema/properties/assertion"}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["clientId"]),
        ({"clientId": "public"}, []),
        ({"authStyle": "body"}, ["clientId", "clientSecret"]),
        ({"authStyle": "private_key_jwt"}, ["clientId", "privateKey"]),
        ({"grant": "jwt_bearer"}, ["clientId", "privateKey"]),
        ({"grant": "token_exchange"}, ["subjectToken"]),
    ],
)
def test_missing_fields_are_warned_of(
    oauth2: Write, options: dict[str, Any], names: list[str]
) -> None:
    """A config that has no place for what a grant needs is legal, and said."""
    schema = {"type": "object", "properties": {"baseUrl": TEXT}}
    said = warnings(oauth2(schema=schema, **URLS, **options)).get("/configSchema", "")
    known = ("clientId", "clientSecret", "privateKey", "subjectToken")
    assert [name for name in known if name in said] == names


def test_captured_fields_are_known(written: Write) -> None:
    """What an API tells can stand in server, paths and URLs, though no caller sends it."""
    members = {
        "authType": "oauth2",
        "configSchema": {"type": "object", "properties": {"clientId": TEXT}},
        "server": "{+config.instanceUrl}",
        "methods": [
            {"name": "getIt", "http": {"method": "GET", "path": "/company/{config.realmId}"}}
        ],
        "verification": {"path": "/companyinfo/{config.realmId}"},
    }
    oauth2 = {
        "authorizationUrl": URLS["authorizationUrl"],
        "tokenUrl": "https://{config.accountsHost}/token",
    }
    captures = {
        "captureFromToken": {"instanceUrl": "instance_url"},
        "captureFromCallback": {"realmId": "realmId", "accountsHost": "location"},
    }
    assert warnings(written(**members, oauth2Config={**oauth2, **captures})) == {}
    found = problems(written(**members, oauth2Config=oauth2))
    assert set(found) == {
        *("/server", "/methods/0/http/path", "/verification/path", "/oauth2Config/tokenUrl"),
    }


def test_a_captured_server_is_a_server(written: Write) -> None:
    """Nobody needs to send the address that the API itself tells."""
    schema = {"type": "object", "properties": {"clientId": TEXT}}
    text = written(
        authType="oauth2",
        configSchema=schema,
        oauth2Config={**URLS, "captureFromToken": {"baseUrl": "api_domain"}},
    )
    assert set(warnings(text)) == {"/methods/0"}


def test_asking_for_what_is_captured_is_warned_of(oauth2: Write) -> None:
    """No instance could be made without knowing what only its connection tells."""
    schema = {**CONFIG, "required": ["clientId", "realmId"]}
    text = oauth2(schema=schema, **URLS, captureFromCallback={"realmId": "realmId"})
    assert "realmId" in warnings(text)["/configSchema/required"]


@pytest.mark.parametrize(
    ("auth_type", "options", "waits"),
    [
        ("oauth2", None, True),
        ("oauth2", {}, True),
        ("oauth2", {"grant": "device_code"}, True),
        ("oauth2", {"grant": "client_credentials"}, False),
        ("oauth2", {"grant": "token_exchange"}, False),
        ("oauth2_client_credentials", {}, False),
        ("jwt_bearer", {}, False),
        ("api_key", {"grant": "device_code"}, False),
    ],
)
def test_consent_is_for_some_grants(auth_type: str, options: Any, waits: bool) -> None:  # noqa: FBT001 - a parameter
    """Somebody has to consent where somebody's data is asked for."""
    assert awaits_consent(auth_type, options) is waits


def test_the_options_come_back_as_written(oauth2: Write) -> None:
    """Nothing is completed or put in another order."""
    read = definition(oauth2(**EVERYTHING))
    assert json.loads(read.document)["oauth2Config"] == EVERYTHING
    assert list(json.loads(read.document)["oauth2Config"]) == list(EVERYTHING)
