"""Requests signed with a shared key."""

import hmac
from base64 import b64decode
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.errors import CredentialsIncomplete, InvalidCredentials, SchemeInvalid
from credentials.model import Authorization, AuthScheme, OutgoingRequest, Signing
from credentials.schemes import authorize, random_nonce, required_fields

NOW = datetime(2026, 1, 2, 12, 0, 0, 250_000, tzinfo=UTC)
URL = "https://api.example.com:443/v1/orders%2F7;x?b=2&a=%20&b=1"
REQUEST = OutgoingRequest(
    "POST",
    URL,
    (("Content-Type", "application/json"), ("X-Trace", "t"), ("x-trace", "u")),
    b'{"n":1.0,"name":"\xc3\xa9"}',
)
GOLDEN_BODY_HASH = (
    "d2bd25016712b9dca07f03c8c77a70c69ce8989fee7b2b996b309402ff30d19c"
    "9ab5fb736e37f05b03409161e1fcdd5340705718ca3d54ec54817d3215739069"
)
GOLDEN = "qY+unreAH5S/zYHSPdOjAbsT6/GGEo5ZPdbpg2thvmk4igaOfITQAOUm2HUbsC1xgK+S6KYVwj265Jd9RhwnQQ=="
RFC_DATA = "what do ya want for nothing?"


def scheme(template: str, **more: Any) -> AuthScheme:
    """Answer an hmac scheme; options of the signature by their names, places of it by theirs."""
    placed = {key: more.pop(key) for key in ("headers", "query", "location") if key in more}
    name, prefix = more.pop("name", "X-Signature"), more.pop("prefix", "")
    signing = Signing(template, **more)
    return AuthScheme("hmac", name=name, prefix=prefix, field="key", signing=signing, **placed)


def signed(
    wanted: AuthScheme, request: OutgoingRequest = REQUEST, /, **fields: Any
) -> Authorization:
    """Sign a request at a fixed time with a fixed nonce; the key is `Jefe` unless it is given."""
    return authorize(wanted, {"key": "Jefe", **fields}, request, NOW, lambda: "n0nce")


def value(made: Authorization, name: str = "X-Signature") -> str:
    """Answer the header of this name."""
    return dict(made.headers)[name]


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        # RFC 2202 §3, test case 2.
        ("sha1", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        # RFC 4231 §4.3.
        ("sha256", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            "sha384",
            (
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
                "8e2240ca5e69e2c78b3239ecfab21649"
            ),
        ),
        (
            "sha512",
            (
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
                "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
            ),
        ),
    ],
)
def test_published_vectors(algorithm: str, expected: str) -> None:
    """The signature is the HMAC of the standard, for every algorithm."""
    assert value(signed(scheme(RFC_DATA, algorithm=algorithm))) == expected
    request = OutgoingRequest("POST", URL, (), RFC_DATA.encode())
    assert value(signed(scheme("{body}", algorithm=algorithm), request)) == expected


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("hex", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ("base64", "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="),
        ("base64url", "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="),
    ],
)
def test_encodings(encoding: str, expected: str) -> None:
    """The signature is written as the scheme says, behind its prefix."""
    assert value(signed(scheme(RFC_DATA, encoding=encoding, prefix="v1="))) == f"v1={expected}"


@pytest.mark.parametrize(
    ("key_encoding", "key"),
    [
        ("utf8", "Jefe"),
        ("hex", "4a656665"),
        ("hex", "4A656665"),
        ("base64", "SmVmZQ=="),
        ("base64url", "SmVmZQ"),
        ("base64url", "SmVmZQ=="),
    ],
)
def test_key_encodings(key_encoding: str, key: str) -> None:
    """The key is read as it was written, with and without padding where it does not matter."""
    made = signed(scheme(RFC_DATA, key_encoding=key_encoding), key=key)
    assert value(made) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{method}", b"POST"),
        ("{path}", b"/v1/orders%2F7;x"),
        ("{query}", b"b=2&a=%20&b=1"),
        ("{host}", b"api.example.com"),
        ("{url}", b"https://api.example.com/v1/orders%2F7;x?b=2&a=%20&b=1"),
        ("{body}", REQUEST.body),
        ("{bodyHash}", sha256(REQUEST.body).hexdigest().encode()),
        ("{timestamp}.{nonce}", b"1767355200.n0nce"),
        ("{header:content-type}", b"application/json"),
        ("{header:X-Trace}", b"t, u"),
        ("{header:Host}", b"api.example.com"),
        ("{header:Absent}", b""),
        ("{field:account}:{field:account}", "ü-1:ü-1".encode()),
        ("{method}\n{path}\n", b"POST\n/v1/orders%2F7;x\n"),
    ],
)
def test_what_is_signed(template: str, text: bytes) -> None:
    """Every placeholder stands for what goes out, byte for byte."""
    made = signed(scheme(template), account="ü-1")
    assert value(made) == hmac.new(b"Jefe", text, sha256).hexdigest()


@pytest.mark.parametrize(
    ("timestamp_format", "expected"),
    [("unix", "1767355200"), ("unix_ms", "1767355200250"), ("rfc3339", "2026-01-02T12:00:00Z")],
)
def test_timestamp_and_nonce_are_told(timestamp_format: str, expected: str) -> None:
    """What is signed beside the request is sent in the headers that the scheme names."""
    wanted = scheme(
        "{timestamp}{nonce}{header:X-Time}",
        timestamp_header="X-Time",
        timestamp_format=timestamp_format,
        nonce_header="X-Nonce",
    )
    for now in (NOW, NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))):
        made = authorize(wanted, {"key": "Jefe"}, REQUEST, now, lambda: "n0nce")
        text = f"{expected}n0nce{expected}".encode()
        assert made.headers == (
            ("X-Time", expected),
            ("X-Nonce", "n0nce"),
            ("X-Signature", hmac.new(b"Jefe", text, sha256).hexdigest()),
        )


def test_the_golden_request() -> None:
    """A scheme with everything gives these bytes, today and after every change."""
    wanted = scheme(
        "{timestamp}\n{nonce}\n{method}\n{path}\n{query}\n{header:X-Key-Id}\n{bodyHash}",
        algorithm="sha512",
        encoding="base64",
        key_encoding="hex",
        timestamp_header="X-Timestamp",
        timestamp_format="unix_ms",
        nonce_header="X-Nonce",
        name="Authorization",
        prefix="HMAC {keyId}:",
        headers=(("X-Key-Id", "{keyId}"),),
        query=(("account", "{account}"),),
    )
    assert required_fields(wanted) == ("key", "keyId", "account")
    made = signed(wanted, key="00ff10", keyId="k-1", account="a b&c")
    text = (
        "1767355200250\nn0nce\nPOST\n/v1/orders%2F7;x\nb=2&a=%20&b=1&account=a%20b%26c\nk-1\n"
        + GOLDEN_BODY_HASH
    )
    golden = hmac.new(bytes.fromhex("00ff10"), text.encode(), "sha512").digest()
    assert golden == b64decode(GOLDEN)
    assert made == Authorization(
        headers=(
            ("X-Key-Id", "k-1"),
            ("X-Timestamp", "1767355200250"),
            ("X-Nonce", "n0nce"),
            ("Authorization", f"HMAC k-1:{GOLDEN}"),
        ),
        query=(("account", "a b&c"),),
    )


def test_a_signature_in_the_query() -> None:
    """A signature may be the last parameter; what it signs is the query before it."""
    request = OutgoingRequest("GET", "https://api.example.com/order?symbol=A&timestamp=1")
    made = signed(scheme("{query}", location="query", name="signature"), request)
    text = b"symbol=A&timestamp=1"
    assert made == Authorization(
        query=(("signature", hmac.new(b"Jefe", text, sha256).hexdigest()),)
    )


def test_headers_that_are_replaced_are_signed_as_they_will_be() -> None:
    """A header of the request that the scheme writes itself is signed with the scheme's value."""
    request = OutgoingRequest("GET", URL, (("x-time", "old"),))
    made = signed(scheme("{header:X-Time}", timestamp_header="X-Time"), request)
    assert value(made) == hmac.new(b"Jefe", b"1767355200", sha256).hexdigest()


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("https://API.example.com:443", "API.example.com", "/"),
        ("http://api.example.com:80/", "api.example.com", "/"),
        ("http://api.example.com:443/a//b", "api.example.com:443", "/a//b"),
        ("https://api.example.com:08443/?", "api.example.com:8443", "/"),
        ("https://api.example.com.?q=1", "api.example.com", "/"),
        ("http://[::1]:8080/a", "[::1]:8080", "/a"),
        ("http://[::1]/a", "[::1]", "/a"),
    ],
)
def test_host_and_path_are_those_of_the_wire(url: str, host: str, path: str) -> None:
    """Default ports are not in the Host header, and an empty path is the root."""
    made = signed(scheme("{host} {path}"), OutgoingRequest("GET", url))
    assert value(made) == hmac.new(b"Jefe", f"{host} {path}".encode(), sha256).hexdigest()


@pytest.mark.parametrize(
    ("wanted", "wrong"),
    [
        (AuthScheme("hmac"), "template"),
        (scheme(""), "template"),
        (scheme("{bodyhash}"), "template"),
        (scheme("{method:x}"), "template"),
        (scheme("{header:}"), "template"),
        (scheme("{field:}"), "template"),
        (scheme("{}"), "template"),
        (scheme("{method"), "template"),
        (scheme("x", algorithm="md5"), "algorithm"),
        (scheme("x", encoding="base32"), "encoding"),
        (scheme("x", key_encoding="rot13"), "keyEncoding"),
        (scheme("x", timestamp_format="iso"), "timestampFormat"),
        (scheme("x", timestamp_header="X Time"), "timestampHeader"),
        (scheme("x", nonce_header="X\r\nY"), "nonceHeader"),
        (scheme("x", name="X Signature"), "name"),
        (scheme("x", prefix="v1\n"), "prefix"),
        (scheme("x", prefix="{"), "prefix"),
        (scheme("x", prefix="{keyId:hex}"), "prefix"),
        (scheme("x", location="body"), "location"),
    ],
)
def test_schemes_that_mean_nothing(wanted: AuthScheme, wrong: str) -> None:
    """A scheme is understood whole or refused by the name of its property."""
    with pytest.raises(SchemeInvalid) as caught:
        signed(wanted, keyId="k", apiKey="k", **{"": "k"})
    assert caught.value.details == {"property": wrong}


@pytest.mark.parametrize(
    ("wanted", "fields", "field"),
    [
        (scheme("x", key_encoding="hex"), {"key": "abc"}, "key"),
        (scheme("x", key_encoding="base64"), {"key": "a b!"}, "key"),
        (scheme("x", key_encoding="base64"), {"key": "é"}, "key"),
        (scheme("x"), {"key": ""}, "key"),
        (scheme("x"), {"key": "\ud800"}, "key"),
        (scheme("x"), {"key": 5}, "key"),
        (scheme("{field:account}"), {"account": "a\n"}, "account"),
        (scheme("x", prefix="{account}:"), {"account": "a\r\nX: y"}, "account"),
    ],
)
def test_values_that_cannot_be_used(wanted: AuthScheme, fields: dict[str, Any], field: str) -> None:
    """A key that cannot be read is named by its field."""
    with pytest.raises(InvalidCredentials) as caught:
        signed(wanted, **fields)
    assert caught.value.details == {"field": field}


def test_missing_fields_are_named() -> None:
    """The key and every field of the templates are asked for at once."""
    with pytest.raises(CredentialsIncomplete) as caught:
        authorize(scheme("{field:account}", prefix="{id}:"), {}, REQUEST, NOW)
    assert caught.value.details == {"fields": ["key", "account", "id"]}


def test_nonces_differ() -> None:
    """A nonce is 128 bits that nobody has used."""
    nonces = {random_nonce() for _ in range(100)}
    assert len(nonces) == 100
    assert {len(bytes.fromhex(nonce)) for nonce in nonces} == {16}


@given(st.binary(max_size=60), st.text(st.characters(codec="ascii", exclude_characters="{}")))
def test_any_body_and_any_literal_are_signed(body: bytes, literal: str) -> None:
    """A body is signed as bytes, whatever they are, and literals as they stand."""
    request = OutgoingRequest("PUT", URL, (), body)
    made = signed(scheme(f"{literal}{{body}}"), request)
    text = literal.encode() + body
    assert value(made) == hmac.new(b"Jefe", text, sha256).hexdigest()
