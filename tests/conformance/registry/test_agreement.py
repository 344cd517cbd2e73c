"""What the registry lets a definition say, the credentials understand: neither imports the other.

A definition is checked once, when it is registered. What passes there must not fail later as
something that cannot be read, whatever an instance's config says.
"""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.errors import OAuthMisconfigured
from credentials.model import (
    AuthScheme,
    AwsSigning,
    CertificateFields,
    Connection,
    OutgoingRequest,
    Signing,
)
from credentials.oauth.profile import read_profile
from credentials.schemes import authorize, required_fields
from registry.errors import InvalidDefinition
from registry.model import AuthPlacement, Definition
from registry.parse import parse

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
URLS = st.sampled_from(
    [
        *("https://a.example/x", "http://a.example/x", "http://localhost:8080/x", "ftp://a/"),
        *("https://{config.shop}.example/{config.shop}?a={config.shop}", "https://{config.no}/"),
        *("http://{config.shop}/", "https://a.example:{config.port}/", "https://a/#b", ""),
        *("https://u@a.example/", "https://a.example/../b", "https://[::1]/", "https://a..b/"),
        *("https://{+config.shop}/", "https://a_b.example/", "https://a.example:99999/"),
    ]
)
TEXTS = st.sampled_from(["", "a", ",", "a.b", "{config.shop}", "a b", "{config.no}", "ü", "{a}"])
PATHS = st.sampled_from(["a", "a.b", "a.0", "", "a..b", "access_token", "a.refresh_token", "code"])
NUMBERS = st.sampled_from([0, 1, 60, 0.5, -1, 1e9, True, "1"])
FLAGS = st.booleans()
NAMES = st.sampled_from(["clientId", "code", "scope", "responseType", "client_id", "state", "a"])
FIELDS = st.sampled_from(["instanceUrl", "realmId", "clientId", "apiKey", "a-b", "shop"])
PATTERNS = st.sampled_from(["[a-z]+", "(", "(?=a)", "a|b", "\\d+", "(?i)a", "a)(b"])
OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(
        (
            *("authorizationUrl", "tokenUrl", "refreshUrl", "deviceAuthorizationUrl"),
            *("revocationUrl", "introspectionUrl", "issuer"),
        ),
        URLS,
    ),
    **dict.fromkeys(("clientId", "scopeDelimiter", "audience", "subject", "codeParam"), TEXTS),
    **dict.fromkeys(("defaultExpiresIn", "graceSeconds", "refreshMargin"), NUMBERS),
    "grant": st.sampled_from(
        ["authorization_code", "device_code", "token_exchange", "jwt_bearer", "password"]
    ),
    "scope": TEXTS | st.lists(TEXTS, max_size=2) | st.just(5),
    "authStyle": st.sampled_from(["header", "body", "none", "private_key_jwt", "auto"]),
    "tokenBodyFormat": st.sampled_from(["form", "json", "xml"]),
    "expiresInUnit": st.sampled_from(["s", "ms", "absolute", "h"]),
    "refreshRotation": st.sampled_from(["always", "sometimes", "never", "often"]),
    "refreshRetry": st.sampled_from(["safe", "never", "always"]),
    "signingAlgorithm": st.sampled_from(["RS256", "ES512", "EdDSA", "HS256", "none"]),
    "assertionClaims": st.dictionaries(st.sampled_from(["a", "exp"]), TEXTS, max_size=1),
    "paramNames": st.dictionaries(NAMES, st.sampled_from(["", "b", "c d", "state"]), max_size=2),
    "additionalParameters": st.dictionaries(NAMES, TEXTS, max_size=2),
    "tokenParameters": st.dictionaries(NAMES, TEXTS, max_size=2),
    "tokenResponse": st.dictionaries(
        st.sampled_from(["accessToken", "refreshToken", "expiresIn", "error", "b"]),
        PATHS,
        max_size=2,
    ),
    **dict.fromkeys(
        ("captureFromToken", "captureFromCallback"),
        st.dictionaries(
            FIELDS,
            PATHS | st.fixed_dictionaries({"path": PATHS}, optional={"pattern": PATTERNS}),
            max_size=2,
        ),
    ),
    "refreshTokenConfig": st.fixed_dictionaries(
        {},
        optional={"strategy": st.sampled_from(["auto", "manual"]), "timeBeforeExpiryMs": NUMBERS},
    ),
}
SAID = st.lists(st.sampled_from(list(OPTIONS)), max_size=4, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: OPTIONS[name] for name in names})
)
CONFIG = {
    "clientId": "i",
    "clientSecret": "s",
    "privateKey": "k",
    "subjectToken": "t",
    "shop": "shop.eu",
    "port": 8443,
    "instanceUrl": "a.example",
    "realmId": "1",
}
KEYS = {"accessKeyField": "shop", "secretKeyField": "apiKey"}
TEXT = {"type": "string"}


def definition(**members: Any) -> Definition:
    """Read a definition; raises `InvalidDefinition`."""
    whole = {
        "name": "n",
        "version": "1.0.0",
        "type": "http",
        "methods": [{"name": "m"}],
        "configSchema": {"properties": dict.fromkeys([*CONFIG, "baseUrl", "apiKey"], TEXT)},
        **members,
    }
    return parse(json.dumps(whole).encode()).definition


def scheme(auth_type: str, auth: AuthPlacement) -> AuthScheme:
    """Answer what is said of an API as the credentials know it."""
    return AuthScheme(
        type=auth_type,
        location=auth.location,
        name=auth.name,
        prefix=auth.prefix,
        field=auth.field,
        username_field=auth.username_field,
        headers=auth.headers,
        query=auth.query,
        signing=Signing(**asdict(auth.signing)) if auth.signing else None,
        aws=AwsSigning(**asdict(auth.aws)) if auth.aws else None,
        certificate=CertificateFields(**asdict(auth.certificate)) if auth.certificate else None,
    )


def oauth_agrees(said: dict[str, Any], auth_type: str) -> bool:
    """Tell whether an oauth2Config is registered; then it must be read as well."""
    oauth2 = {
        "authorizationUrl": "https://a.example/authorize",
        "tokenUrl": "https://a.example/token",
        "deviceAuthorizationUrl": "https://a.example/device",
        **said,
    }
    try:
        read = definition(authType=auth_type, oauth2Config=oauth2)
    except InvalidDefinition:
        return False
    public = {name: CONFIG[name] for name in CONFIG if name not in read.secret_fields}
    connection = Connection(
        scheme=scheme(auth_type, read.auth),
        oauth2=read.oauth2_config or {},
        config=public,
        version=1,
        standing="CONNECTED",
    )
    try:
        read_profile(connection, CONFIG)
    except OAuthMisconfigured as error:
        pytest.fail(f"{error} in {oauth2}")
    return True


@given(SAID, st.sampled_from(["oauth2", "oauth2_client_credentials", "jwt_bearer"]))
@settings(deadline=None, max_examples=300)
def test_what_is_registered_of_oauth_can_be_read(said: dict[str, Any], auth_type: str) -> None:
    """An oauth2Config without problems is one that the flows can work with."""
    oauth_agrees(said, auth_type)


@pytest.mark.parametrize("grant", ["authorization_code", "device_code", "token_exchange"])
@pytest.mark.parametrize("pkce", [True, False, "required", "off"])
def test_much_can_be_said_of_oauth(grant: str, *, pkce: bool | str) -> None:
    """Options of all kinds beside each other are registered, and read."""
    said = {
        "grant": grant,
        "pkce": pkce,
        "issuer": "https://{config.shop}.example",
        "scope": ["a", "b"],
        "audience": "{config.shop}",
        "authStyle": "private_key_jwt",
        "signingAlgorithm": "EdDSA",
        "assertionClaims": {"a": [1]},
        "paramNames": {"clientId": "client_key", "responseType": ""},
        "additionalParameters": {"shop": "{config.shop}"},
        "tokenParameters": {"resource": "x"},
        "tokenResponse": {"accessToken": "data.token", "refreshExpiresIn": "data.until"},
        "captureFromToken": {"instanceUrl": {"path": "data.url", "pattern": "https://[a-z.]+"}},
        "captureFromCallback": {"realmId": "realmId"},
        "redirectUris": ["https://app.example/callback"],
        "expiresInUnit": "absolute",
        "defaultExpiresIn": 60.5,
        "refreshRotation": "always",
        "refreshRetry": "safe",
        "refreshTokenConfig": {"strategy": "manual", "timeBeforeExpiryMs": 1000},
        "subjectTokenField": "subjectToken",
        "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
    }
    assert oauth_agrees(said, "oauth2")


SIGNED = st.fixed_dictionaries(
    {
        "template": st.sampled_from(
            [
                *("{method} {path} {query} {url} {host} {body} {bodyHash}", "{timestamp}{nonce}"),
                *(
                    "{header:Date}{field:shop}",
                    "{header:}",
                    "{field:no}",
                    "{body:a}",
                    "{",
                    "",
                    "{}",
                ),
            ]
        )
    },
    optional={
        "algorithm": st.sampled_from(["sha1", "sha256", "sha384", "sha512", "md5"]),
        "encoding": st.sampled_from(["hex", "base64", "base64url", "utf8"]),
        "keyEncoding": st.sampled_from(["utf8", "hex", "base64", "base64url", "raw"]),
        "timestampHeader": st.sampled_from(["X-Time", "", "a b"]),
        "timestampFormat": st.sampled_from(["unix", "unix_ms", "rfc3339", "iso"]),
        "nonceHeader": st.sampled_from(["X-Nonce", "", "Host"]),
    },
)
VALUES = st.sampled_from(
    ["{shop}", "{shop:base64}", "a", "", " a", "{no}", "{shop:hex}", "{", "a\nb", "{ü}", "x {shop}"]
)
PARTS = st.dictionaries(
    st.sampled_from(["X-A", "x-b", "Cookie", "a b", "Host"]), VALUES, max_size=2
)
SCHEMES = st.one_of(
    st.tuples(
        st.just("hmac"),
        st.fixed_dictionaries(
            {"signature": SIGNED, "field": st.just("apiKey")},
            optional={
                "in": st.sampled_from(["header", "query", "cookie"]),
                "name": st.sampled_from(["X-Sig", "sig", "a b"]),
                "prefix": st.sampled_from(["", "HMAC ", "{shop}:", "{no}", " a", "ü"]),
                "headers": PARTS,
                "query": PARTS,
            },
        ),
    ),
    st.tuples(
        st.just("custom"),
        st.fixed_dictionaries({}, optional={"headers": PARTS, "query": PARTS}),
    ),
    st.tuples(
        st.just("aws_sigv4"),
        st.fixed_dictionaries(
            {
                **{name: st.just(field) for name, field in KEYS.items()},
                "service": st.sampled_from(["s3", "execute-api", "a b", ""]),
                "region": st.sampled_from(["eu-west-1", "", "a/b"]),
            }
        ),
    ),
)


def scheme_agrees(said: tuple[str, dict[str, Any]]) -> bool:
    """Tell whether an auth is registered; then a request must be authorized with it as well."""
    auth_type, auth = said
    try:
        read = definition(authType=auth_type, auth=auth)
    except InvalidDefinition:
        return False
    fields = {**CONFIG, "apiKey": "abcd"}
    kept = scheme(auth_type, read.auth)
    assert set(required_fields(kept)) <= {*fields}
    request = OutgoingRequest("POST", "https://a.example/b?c=d", (("Date", "x"),), b"{}")
    made = authorize(kept, fields, request, NOON)
    assert made.headers or made.query
    return True


@given(SCHEMES)
@settings(deadline=None, max_examples=300)
def test_what_is_registered_of_a_scheme_can_be_sent(said: tuple[str, dict[str, Any]]) -> None:
    """An auth without problems is one that a request can be authorized with."""
    scheme_agrees(said)


@pytest.mark.parametrize(
    "said",
    [
        ("custom", {"headers": {"X-A": "{shop} {apiKey:base64}"}, "query": {"a": "{apiKey}"}}),
        ("aws_sigv4", {"service": "s3", "region": "eu-west-1", **KEYS}),
        (
            "hmac",
            {
                "prefix": "HMAC {shop}:",
                "field": "apiKey",
                "headers": {"X-A": "{shop}"},
                "signature": {"template": "{timestamp}{nonce}{body}", "keyEncoding": "base64"},
            },
        ),
    ],
)
def test_much_can_be_said_of_a_scheme(said: tuple[str, dict[str, Any]]) -> None:
    """Schemes with all their parts are registered, and sent."""
    assert scheme_agrees(said)
