"""How each auth type shows credentials in a request."""

from base64 import b64decode
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.errors import (
    CredentialsError,
    CredentialsIncomplete,
    InvalidCredentials,
    SchemeInvalid,
    SchemeNotAvailable,
)
from credentials.model import Authorization, AuthScheme, CertificateFields, OutgoingRequest
from credentials.schemes import (
    TOKEN_TYPES,
    authorize,
    needs_credentials,
    required_fields,
    token_authorization,
)

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
REQUEST = OutgoingRequest("GET", "https://api.example.com/contacts")

BASIC = AuthScheme("basic", field="password")
SCHEMES = st.builds(
    AuthScheme,
    type=st.sampled_from(["api_key", "basic", "bearer"]),
    location=st.sampled_from(["header", "query", "cookie"]),
    name=st.sampled_from(["Authorization", "X-Api-Key"]) | st.text(max_size=8),
    prefix=st.sampled_from(["Bearer ", "", "Token "]) | st.text(max_size=8),
    field=st.just("secret"),
)
NASTY = st.text() | st.sampled_from(["a\r\nX: y", "a\n", "\na", "a\x00", "a\x85b", "a\u2028b", "é"])


def header(name: str, value: str) -> Authorization:
    """Make the authorization that adds one header."""
    return Authorization(headers=((name, value),))


def query(name: str, value: str) -> Authorization:
    """Make the authorization that adds one query parameter."""
    return Authorization(query=((name, value),))


@pytest.mark.parametrize(
    ("scheme", "fields", "expected"),
    [
        (AuthScheme("none"), {}, Authorization()),
        (AuthScheme("none"), {"apiKey": "unused"}, Authorization()),
        (AuthScheme("api_key"), {"apiKey": "k-1"}, header("Authorization", "Bearer k-1")),
        (
            AuthScheme("api_key", name="X-Api-Key", prefix=""),
            {"apiKey": "k-1"},
            header("X-Api-Key", "k-1"),
        ),
        (
            AuthScheme("api_key", prefix="Token token=", field="key"),
            {"key": "a b"},
            header("Authorization", "Token token=a b"),
        ),
        (
            AuthScheme("api_key", location="query", name="api key"),
            {"apiKey": "k&=é"},
            query("api key", "k&=é"),
        ),
        (
            AuthScheme("api_key", location="cookie", name="sid"),
            {"apiKey": "a=b"},
            header("Cookie", "sid=a=b"),
        ),
        # The examples of RFC 7617 §2 and §2.1 (user-id "test", password "123£").
        (
            BASIC,
            {"username": "Aladdin", "password": "open sesame"},
            header("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ),
        (
            BASIC,
            {"username": "test", "password": "123£"},
            header("Authorization", "Basic dGVzdDoxMjPCow=="),
        ),
        (BASIC, {"username": "sk_1", "password": ""}, header("Authorization", "Basic c2tfMTo=")),
        (
            AuthScheme("bearer", field="token"),
            {"token": "mF_9.B5f-4.1JqM"},
            header("Authorization", "Bearer mF_9.B5f-4.1JqM"),
        ),
        (
            AuthScheme("bearer", field="token"),
            {"token": "17|laravel"},
            header("Authorization", "Bearer 17|laravel"),
        ),
        (
            AuthScheme("bearer", location="query", name="access_token", field="token"),
            {"token": "t"},
            query("access_token", "t"),
        ),
    ],
)
def test_authorizations(
    scheme: AuthScheme, fields: dict[str, Any], expected: Authorization
) -> None:
    """A scheme puts the fields where it says, in the form of its standard."""
    assert authorize(scheme, fields, REQUEST, NOW) == expected


@pytest.mark.parametrize(
    ("scheme", "fields", "field"),
    [
        (AuthScheme("api_key"), {"apiKey": "k\r\nX-Admin: 1"}, "apiKey"),
        (AuthScheme("api_key"), {"apiKey": "k\n"}, "apiKey"),
        (AuthScheme("api_key"), {"apiKey": " k"}, "apiKey"),
        (AuthScheme("api_key"), {"apiKey": ""}, "apiKey"),
        (AuthScheme("api_key"), {"apiKey": "ключ"}, "apiKey"),
        (AuthScheme("api_key"), {"apiKey": 12345}, "apiKey"),
        (AuthScheme("api_key", location="query"), {"apiKey": ""}, "apiKey"),
        (AuthScheme("api_key", location="query"), {"apiKey": "k\n"}, "apiKey"),
        (AuthScheme("api_key", location="query"), {"apiKey": "\ud800"}, "apiKey"),
        (AuthScheme("api_key", location="cookie"), {"apiKey": "a; admin=1"}, "apiKey"),
        (AuthScheme("api_key", location="cookie"), {"apiKey": "a b"}, "apiKey"),
        (BASIC, {"username": "a:b", "password": "p"}, "username"),
        (BASIC, {"username": "a\n", "password": "p"}, "username"),
        (BASIC, {"username": "a", "password": "p\x00"}, "password"),
        (BASIC, {"username": "a", "password": "\udfff"}, "password"),
        (BASIC, {"username": "a", "password": ["p"]}, "password"),
        (AuthScheme("bearer"), {"apiKey": "two words"}, "apiKey"),
    ],
)
def test_values_that_cannot_be_sent(scheme: AuthScheme, fields: dict[str, Any], field: str) -> None:
    """A value that its place cannot carry is refused by the name of its field."""
    with pytest.raises(InvalidCredentials) as caught:
        authorize(scheme, fields, REQUEST, NOW)
    assert caught.value.details == {"field": field}
    assert repr(field) in caught.value.message


@pytest.mark.parametrize(
    ("scheme", "fields", "missing"),
    [
        (AuthScheme("api_key"), {}, ["apiKey"]),
        (AuthScheme("api_key"), {"apiKey": None}, ["apiKey"]),
        (BASIC, {"username": "a"}, ["password"]),
        (BASIC, {}, ["username", "password"]),
        (AuthScheme("bearer", field="token"), {"apiKey": "k"}, ["token"]),
    ],
)
def test_missing_fields(scheme: AuthScheme, fields: dict[str, Any], missing: list[str]) -> None:
    """Every field that is missing is named at once."""
    with pytest.raises(CredentialsIncomplete) as caught:
        authorize(scheme, fields, REQUEST, NOW)
    assert caught.value.details == {"fields": missing}


@pytest.mark.parametrize(
    ("scheme", "wrong"),
    [
        (AuthScheme("api_key", location="body"), "location"),
        (AuthScheme("api_key", name="X Key"), "name"),
        (AuthScheme("api_key", name="X\r\nY"), "name"),
        (AuthScheme("api_key", name=""), "name"),
        (AuthScheme("api_key", prefix="Bearer\r\n"), "prefix"),
        (AuthScheme("api_key", prefix=" Bearer"), "prefix"),
        (AuthScheme("api_key", location="query", name=""), "name"),
        (AuthScheme("api_key", location="cookie", name="a=b"), "name"),
    ],
)
def test_schemes_that_http_cannot_carry(scheme: AuthScheme, wrong: str) -> None:
    """A scheme that would break the request is refused by the name of its property."""
    with pytest.raises(SchemeInvalid) as caught:
        authorize(scheme, {"apiKey": "k"}, REQUEST, NOW)
    assert caught.value.details == {"property": wrong}


@pytest.mark.parametrize("type_", ["", "x", "digest"])
def test_types_of_later_releases(type_: str) -> None:
    """An auth type that is not there yet is named, and so are those that are."""
    with pytest.raises(SchemeNotAvailable) as caught:
        required_fields(AuthScheme(type_))
    assert caught.value.details == {
        "type": type_,
        "available": [
            *("none", "api_key", "basic", "bearer", "custom", "hmac", "aws_sigv4"),
            *("jwt_bearer", "oauth2", "oauth2_client_credentials"),
        ],
    }


def test_none_needs_no_fields() -> None:
    """Only the type none can do without credentials, unless a certificate is shown."""
    types = ["none", "api_key", "basic", "bearer", *sorted(TOKEN_TYPES)]
    assert [needs_credentials(AuthScheme(type_)) for type_ in types] == [False, *[True] * 6]
    shown = AuthScheme("none", certificate=CertificateFields("pem", "key"))
    assert required_fields(shown) == ("pem", "key")
    assert needs_credentials(shown)


@pytest.mark.parametrize(
    ("scheme", "token_type", "expected"),
    [
        (AuthScheme("oauth2"), "bearer", header("Authorization", "Bearer t-1")),
        (AuthScheme("jwt_bearer"), "", header("Authorization", "Bearer t-1")),
        (AuthScheme("oauth2", prefix="token "), "bot", header("Authorization", "token t-1")),
        (
            AuthScheme("oauth2_client_credentials", name="X-Shopify-Access-Token", prefix=""),
            "Bearer",
            header("X-Shopify-Access-Token", "t-1"),
        ),
        (
            AuthScheme("oauth2", location="query", name="access_token"),
            "Bearer",
            query("access_token", "t-1"),
        ),
    ],
)
def test_tokens_are_placed(scheme: AuthScheme, token_type: str, expected: Authorization) -> None:
    """An access token goes where a key would, behind the scheme's prefix whatever its type."""
    made = token_authorization(scheme, "t-1", token_type, 7, NOW)
    assert (made.headers, made.query) == (expected.headers, expected.query)
    assert (made.generation, made.expires_at) == (7, NOW)


@pytest.mark.parametrize("token_type", ["DPoP", "mac", "PoP"])
def test_tokens_that_need_a_proof(token_type: str) -> None:
    """A token that is shown with a proof of possession is not sent as if it were another."""
    with pytest.raises(SchemeNotAvailable, match="proof of possession"):
        token_authorization(AuthScheme("oauth2"), "t-1", token_type, 1, None)


@pytest.mark.parametrize("token", ["", "a b", "t\r\nX: y", "é"])
def test_tokens_that_cannot_be_sent(token: str) -> None:
    """What no header can carry is refused, without being quoted."""
    with pytest.raises(InvalidCredentials) as caught:
        token_authorization(AuthScheme("oauth2"), token, "Bearer", 1, None)
    assert caught.value.details == {"field": "accessToken"}


@given(scheme=SCHEMES, secret=NASTY, user=NASTY)
def test_no_value_breaks_out_of_a_header(scheme: AuthScheme, secret: str, user: str) -> None:
    """Whatever is stored and defined, a header is one line of visible ASCII, or there is none."""
    try:
        added = authorize(scheme, {"secret": secret, "username": user}, REQUEST, NOW)
    except CredentialsError as error:
        assert len(secret) < 4 or secret not in f"{error} {error.details}"  # noqa: PT017
        return
    for name, value in added.headers:
        assert name.isascii()
        assert value.isascii()
        assert (name + value).isprintable()
        assert value == value.strip()
    for name, value in added.query:
        assert (name + value).encode()


@given(user=st.text().filter(lambda text: ":" not in text), password=st.text())
def test_basic_round_trip(user: str, password: str) -> None:
    """What a server decodes from Basic is what was stored, to the letter."""
    try:
        made = authorize(BASIC, {"username": user, "password": password}, REQUEST, NOW)
    except InvalidCredentials:
        assert not (user + password).isprintable()
        return
    ((name, value),) = made.headers
    decoded = b64decode(value.removeprefix("Basic "), validate=True).decode()
    assert (name, decoded.split(":", 1)) == ("Authorization", [user, password])
