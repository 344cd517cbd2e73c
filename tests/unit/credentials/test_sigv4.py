"""AWS Signature Version 4, held against the signer of AWS's own client."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from credentials.errors import CredentialsIncomplete, InvalidCredentials
from credentials.model import Authorization, AuthScheme, AwsSigning, OutgoingRequest
from credentials.schemes import authorize, required_fields

NOW = datetime(2026, 1, 2, 12, 0, 59, tzinfo=UTC)
KEYS = {"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
SESSION = {**KEYS, "sessionToken": "IQoJb3JpZ2luX2VjE//x=="}
HOST = "https://api.eu-west-1.amazonaws.com"

WORDS = st.text(min_size=1, max_size=8).filter(
    lambda text: max(text) < "\ud800" or min(text) > "\udfff"
)
SEGMENTS = WORDS.filter(lambda text: text not in {".", ".."})
PAIRS = st.lists(
    st.tuples(st.sampled_from(["a", "A", "b=", "ü"]) | WORDS, WORDS | st.just("")), max_size=6
)
NAMES = st.sampled_from(
    ["Accept", "Content-Type", "X-Amz-Target", "x-trace", "X-Trace", "User-Agent"]
)
VALUES = st.from_regex(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", fullmatch=True)


def scheme(service: str, region: str = "eu-west-1") -> AuthScheme:
    """Answer a scheme for a service of AWS."""
    return AuthScheme("aws_sigv4", aws=AwsSigning(service, region))


@contextmanager
def at_noon() -> Iterator[None]:
    """Let the oracle's clock stand still."""
    with patch("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None)):
        yield


def oracle(
    service: str, request: OutgoingRequest, fields: Mapping[str, str] = KEYS
) -> dict[str, str]:
    """Answer the headers that AWS's client sends with a request, by their names in lower case."""
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    path = urlsplit(request.url).path or "/"  # as it is sent
    url = urlsplit(request.url)._replace(path=path).geturl()
    theirs = AWSRequest(request.method, url, None, request.body)
    for name, value in request.headers:
        theirs.headers.add_header(name, value)
    keys = Credentials(fields["accessKeyId"], fields["secretAccessKey"], fields.get("sessionToken"))
    with at_noon():
        signer(keys, service, "eu-west-1").add_auth(theirs)
    return {name.lower(): value for name, value in theirs.headers.items()}


def agree(service: str, request: OutgoingRequest, fields: Mapping[str, str] = KEYS) -> None:
    """Assert that both sign a request the same way, and that all they add is the same."""
    made = authorize(scheme(service), fields, request, NOW)
    theirs = oracle(service, request, fields)
    sent = {name.lower() for name, _ in request.headers}
    added = {name.lower(): value for name, value in made.headers}
    assert added == {name: value for name, value in theirs.items() if name not in sent}
    assert made.query == ()


@pytest.mark.parametrize("service", ["execute-api", "dynamodb", "s3"])
@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", HOST),
        ("GET", f"{HOST}/"),
        ("GET", f"{HOST}?Action=List&Version=2010-05-08"),
        ("POST", f"{HOST}/2015-03-31/functions/f%3Aone/invocations"),
        ("GET", f"{HOST}/%E1%88%B4/a%20b/c"),
        ("GET", f"{HOST}/a%2Fb/~c_d-e.f/"),
        ("GET", f"{HOST}/x?b=2&a=1&B=3&a=0&a=&c"),
        ("GET", f"{HOST}/x?a-b=1&a=2&a%20b=0&%C3%BC=1"),
        ("DELETE", "http://localhost:8000/x"),
        ("PUT", "https://localhost:443/x"),
        ("PATCH", "http://[::1]:8000/x"),
    ],
)
def test_the_same_as_the_oracle(service: str, method: str, url: str) -> None:
    """Paths, queries and hosts of every kind give the oracle's signature."""
    agree(service, OutgoingRequest(method, url, (("Content-Type", "a/b"),), b"{}"))
    agree(service, OutgoingRequest(method, url), SESSION)


@pytest.mark.parametrize("path", ["//", "/a//b", "//a/", "/a/./b", "/a/../b/", "/..", "/a/.."])
def test_paths_are_normalised_but_for_s3(path: str) -> None:
    """Keys of objects keep their dots and slashes; other services see the path without them."""
    for service in ("execute-api", "s3"):
        agree(service, OutgoingRequest("GET", HOST + path))


@given(
    service=st.sampled_from(["execute-api", "s3"]),
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    segments=st.lists(SEGMENTS, max_size=4),
    pairs=PAIRS,
    body=st.binary(max_size=20),
)
def test_any_path_query_and_body(
    service: str, method: str, segments: list[str], pairs: list[tuple[str, str]], body: bytes
) -> None:
    """Unicode, repeated keys and reserved characters give the oracle's signature."""
    path = "".join("/" + quote(segment, safe="") for segment in segments)
    query = "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in pairs)
    agree(service, OutgoingRequest(method, f"{HOST}{path}{'?' if query else ''}{query}", (), body))


@given(headers=st.lists(st.tuples(NAMES, VALUES), max_size=6))
def test_any_headers(headers: list[tuple[str, str]]) -> None:
    """Runs of blanks, repeated headers and those that are not signed are as with the oracle."""
    agree("execute-api", OutgoingRequest("GET", HOST, tuple(headers)))


def test_reserved_characters_of_a_query_are_signed_as_their_servers_see_them() -> None:
    """A query that is not encoded as AWS does it is signed as if it were."""
    plain = authorize(scheme("x"), KEYS, OutgoingRequest("GET", f"{HOST}/?a=b:c/d&k=%7e"), NOW)
    coded = authorize(scheme("x"), KEYS, OutgoingRequest("GET", f"{HOST}/?a=b%3Ac%2Fd&k=~"), NOW)
    assert plain == coded


def test_a_declared_payload_hash_is_kept() -> None:
    """Who says that the payload is not signed, or gives its hash, is believed."""
    request = OutgoingRequest(
        "PUT", f"{HOST}/b/k", (("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"),), b"large"
    )
    made = authorize(scheme("s3"), KEYS, request, NOW)
    assert [name for name, _ in made.headers] == ["X-Amz-Date", "Authorization"]
    theirs = AWSRequest("PUT", request.url, dict(request.headers), b"large")
    theirs.context["payload_signing_enabled"] = False
    with at_noon():
        SigV4Auth(Credentials(*KEYS.values()), "s3", "eu-west-1").add_auth(theirs)
    assert dict(made.headers)["Authorization"] == theirs.headers["Authorization"]


def test_headers_of_an_earlier_signature_do_not_count() -> None:
    """What the signature replaces is not part of what it signs."""
    old = (("x-amz-date", "19700101T000000Z"), ("authorization", "x"), ("host", "evil.example"))
    request = OutgoingRequest("GET", HOST)
    assert authorize(scheme("x"), KEYS, request, NOW) == authorize(
        scheme("x"), KEYS, OutgoingRequest("GET", HOST, old), NOW
    )


def test_scope_from_fields() -> None:
    """Region and service may be the instance's own, and keys may have other names."""
    wanted = AuthScheme("aws_sigv4", aws=AwsSigning("", "", "id", "secret", "token"))
    assert required_fields(wanted) == ("id", "secret", "region", "service")
    assert required_fields(AuthScheme("aws_sigv4")) == (*KEYS, "region", "service")
    fields: dict[str, Any] = {
        "id": KEYS["accessKeyId"],
        "secret": KEYS["secretAccessKey"],
        "region": "eu-west-1",
        "service": "sqs",
        "token": None,
    }
    request = OutgoingRequest("GET", HOST)
    assert authorize(wanted, fields, request, NOW) == authorize(scheme("sqs"), KEYS, request, NOW)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("accessKeyId", "AKID/x"),
        ("accessKeyId", "AKID, Signature=x"),
        ("accessKeyId", "AKID\r\nX: y"),
        ("accessKeyId", ""),
        ("secretAccessKey", "a b"),
        ("secretAccessKey", ""),
        ("secretAccessKey", 7),
        ("sessionToken", "a\nb"),
        ("region", "eu/west"),
        ("region", ""),
    ],
)
def test_values_that_cannot_be_used(field: str, wrong: Any) -> None:
    """A key, token or region that cannot stand in the header is refused by its field."""
    wanted = replace(scheme("s3"), aws=AwsSigning("s3", ""))
    with pytest.raises(InvalidCredentials) as caught:
        authorize(
            wanted, {**SESSION, "region": "eu", field: wrong}, OutgoingRequest("GET", HOST), NOW
        )
    assert caught.value.details == {"field": field}


def test_missing_keys_are_named() -> None:
    """Both keys are asked for at once; the session token is not, for most have none."""
    with pytest.raises(CredentialsIncomplete) as caught:
        authorize(scheme("s3"), {}, OutgoingRequest("GET", HOST), NOW)
    assert caught.value.details == {"fields": ["accessKeyId", "secretAccessKey"]}


def test_nothing_is_signed_into_the_query() -> None:
    """Signatures go into headers; nothing that a log of URLs could keep is made."""
    made = authorize(scheme("s3"), SESSION, OutgoingRequest("GET", HOST), NOW)
    assert type(made) is Authorization
    assert [name for name, _ in made.headers] == [
        *("X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256", "Authorization"),
    ]
    assert made.query == ()
