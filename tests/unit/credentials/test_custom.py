"""Schemes of several headers and query parameters, written by templates."""

from base64 import b64decode
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.errors import CredentialsIncomplete, InvalidCredentials, SchemeInvalid
from credentials.model import Authorization, AuthScheme, OutgoingRequest
from credentials.schemes import authorize, required_fields

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
REQUEST = OutgoingRequest("GET", "https://api.example.com/contacts")
NASTY = st.text() | st.sampled_from(["a\r\nX: y", "a\n", "\na", "a\x00", "a\x85b", "a\u2028b", "é"])


def custom(*headers: tuple[str, str], query: tuple[tuple[str, str], ...] = ()) -> AuthScheme:
    """Answer a scheme of these headers and query parameters."""
    return AuthScheme("custom", headers=headers, query=query)


def made(scheme: AuthScheme, **fields: Any) -> Authorization:
    """Answer the authorization that a scheme makes of fields."""
    return authorize(scheme, fields, REQUEST, NOW)


def test_headers_and_query_are_filled() -> None:
    """Each template becomes one header or parameter, in the order of the scheme."""
    scheme = custom(
        ("X-Client-Id", "{clientId}"),
        ("Authorization", "Basic {pair:base64}"),
        ("X-Api-Version", "2"),
        query=(("key", "{apiKey}"), ("user", "u:{clientId}")),
    )
    assert required_fields(scheme) == ("clientId", "pair", "apiKey")
    assert made(scheme, clientId="c-1", pair="a@b.example/token:ü", apiKey="k é") == Authorization(
        headers=(
            ("X-Client-Id", "c-1"),
            ("Authorization", "Basic YUBiLmV4YW1wbGUvdG9rZW46w7w="),
            ("X-Api-Version", "2"),
        ),
        query=(("key", "k é"), ("user", "u:c-1")),
    )


def test_every_missing_field_is_named() -> None:
    """All fields that the templates use are asked for at once."""
    with pytest.raises(CredentialsIncomplete) as caught:
        made(custom(("X-A", "{a}{b:base64}"), query=(("c", "{c}"),)), b="there")
    assert caught.value.details == {"fields": ["a", "c"]}


@pytest.mark.parametrize(
    ("scheme", "wrong"),
    [
        (AuthScheme("custom"), "headers"),
        (custom(("X A", "{a}")), "headers"),
        (custom(("X-A", "{a")), "headers"),
        (custom(("X-A", "a}")), "headers"),
        (custom(("X-A", "{}")), "headers"),
        (custom(("X-A", "{a:hex}")), "headers"),
        (custom(("X-A", " {a}")), "headers"),
        (custom(("X-A", "{a}\r\nX: y")), "headers"),
        (custom(("X-A", "")), "headers"),
        (custom(query=(("", "{a}"),)), "query"),
        (custom(query=(("b\n", "{a}"),)), "query"),
        (custom(query=(("b", "{a}\n"),)), "query"),
        (custom(query=(("b", "{a:base32}"),)), "query"),
    ],
)
def test_schemes_that_http_cannot_carry(scheme: AuthScheme, wrong: str) -> None:
    """A template that means nothing, or could break the request, is refused."""
    with pytest.raises(SchemeInvalid) as caught:
        made(scheme, a="k", **{"": "k"})
    assert caught.value.details == {"property": wrong}


@pytest.mark.parametrize(
    ("scheme", "value"),
    [
        (custom(("X-A", "{a}")), "k\r\nX: y"),
        (custom(("X-A", "{a}")), " k"),
        (custom(("X-A", "{a}")), ""),
        (custom(("X-A", "{a}")), "é"),
        (custom(("X-A", "{a}")), 5),
        (custom(("X-A", "{a:base64}")), "\ud800"),
        (custom(("Cookie", "sid={a}")), "1; admin=1"),
        (custom(("cookie", "sid={a}")), "a b"),
        (custom(query=(("q", "{a}"),)), "k\n"),
    ],
)
def test_values_that_cannot_be_sent(scheme: AuthScheme, value: Any) -> None:
    """A value that its place cannot carry is refused by the name of its field."""
    with pytest.raises(InvalidCredentials) as caught:
        made(scheme, a=value)
    assert caught.value.details == {"field": "a"}


@given(NASTY, NASTY, st.sampled_from(["{a}", "K {a};{b:base64}", "{b:base64}", "{a}{b}"]))
def test_no_value_breaks_out_of_its_header(a: str, b: str, template: str) -> None:
    """Whatever is stored, the header is one line of visible ASCII, or there is none."""
    try:
        ((_, value),) = made(custom(("X-A", template)), a=a, b=b).headers
    except InvalidCredentials as error:
        assert error.details["field"] in {"a", "b"}  # noqa: PT017
        return
    assert value.isascii()
    assert value.isprintable()
    assert value == value.strip()


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_base64_is_undone_by_the_server(value: str) -> None:
    """What a server decodes is what was stored, to the letter."""
    ((_, sent),) = made(custom(("X-A", "{a:base64}")), a=value).headers
    assert b64decode(sent, validate=True).decode() == value
