"""How parameters are bound to bodies, queries and headers."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.model import Authorization
from executor.errors import InvalidParameters, MethodNotCallable
from executor.request import authorized
from tests.unit.executor.binding import NUMBERS, TEXT, bound
from tests.unit.executor.world import method


@given(st.dictionaries(TEXT, NUMBERS, max_size=5))
def test_numbers_reach_a_body_as_written(numbers: dict[str, str]) -> None:
    """The caller's very bytes are the body."""
    text = ("{ " + ", ".join(f"{json.dumps(k)} : {n}" for k, n in numbers.items()) + " }").encode()
    assert bound(method(), text).body == text


@given(st.dictionaries(TEXT, NUMBERS, max_size=5))
def test_numbers_reach_a_query_as_written(numbers: dict[str, str]) -> None:
    """Every number of a query has the digits that the caller wrote, in the caller's order."""
    text = ("{" + ",".join(f"{json.dumps(k)}:{n}" for k, n in numbers.items()) + "}").encode()
    query = urlsplit(bound(method(verb="GET"), text).url).query
    assert parse_qsl(query, keep_blank_values=True) == list(numbers.items())


@given(TEXT, NUMBERS)
def test_what_the_path_takes_leaves_the_rest_as_written(identifier: str, number: str) -> None:
    """Without its path variable a body keeps the order and digits of the rest."""
    text = f'{{"z":{number},"id":{json.dumps("i" + identifier.replace(".", ""))},"a":{number}}}'
    if {"\\", "/"}.isdisjoint(identifier):
        body = bound(method(path="/x/{id}"), text.encode()).body
        assert body == f'{{"z":{number},"a":{number}}}'.encode()


@pytest.mark.parametrize("text", [b'{"n":1,"n":2}', b'{"a":[{"n":1,"n":2}],"id":"x"}'])
@pytest.mark.parametrize("path", ["/x", "/x{?id}"])
def test_a_key_that_stands_twice_is_refused(text: bytes, path: str) -> None:
    """What we checked and what the upstream reads must be the same; a transform writes anew."""
    with pytest.raises(InvalidParameters, match="'n' twice"):
        bound(method(path=path), text)
    assert bound(method(path=path), text, b'{"n":2}').body == b'{"n":2}'


def test_a_body_kind_of_none_sends_the_rest_in_the_query() -> None:
    """POST without a body is possible."""
    request = bound(method(body="none"), b'{"a":1}')
    assert (request.body, request.url) == (None, "https://crm.example/createContact?a=1")
    assert "Content-Type" not in dict(request.headers)


@pytest.mark.parametrize("result", [b"[1]", b"1", b'"a"', b"null"])
def test_a_transform_may_answer_any_json_for_a_body(result: bytes) -> None:
    """The result of a transform is the body, whatever it is, also beside path variables."""
    assert bound(method(path="/x/{id}"), b'{"id":1}', result).body == result
    assert bound(method(), b"{}", result).body == result


def test_a_transform_of_a_query_may_answer_null() -> None:
    """Null binds nothing."""
    assert bound(method(verb="GET"), b'{"a":1}', b"null").url == "https://crm.example/createContact"


@pytest.mark.parametrize("result", [b"[1]", b"1", b'"a"', b'{"a":"\\ud800"}'])
def test_a_transform_of_a_query_must_answer_an_object(result: bytes) -> None:
    """What cannot be spread over a query is a fault of the definition."""
    with pytest.raises(MethodNotCallable, match="requestTransform"):
        bound(method(verb="GET"), b"{}", result)


def test_the_path_may_take_its_value_from_the_transform() -> None:
    """What the parameters do not have, the transform may provide; the parameters come first."""
    of = method(path="/x/{id}/{more}")
    assert bound(of, b'{"id":1}', b'{"id":2,"more":3}').url == "https://crm.example/x/1/3"


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b", "é", "a\tb", "\x7f"])
def test_a_header_value_cannot_break_out(value: str) -> None:
    """Control characters and what is no visible ASCII are refused, naming the parameter."""
    with pytest.raises(InvalidParameters) as caught:
        bound(method(headers={"X-A": "v={a}"}), orjson.dumps({"a": value}))
    problems: Any = caught.value.details["problems"]
    assert problems[0]["path"] == "/parameters/a"
    with pytest.raises(MethodNotCallable, match=r"config\.a"):
        bound(
            method(headers={"X-A": "{config.a}"}),
            b"{}",
            config={"baseUrl": "https://a.example", "a": value},
        )


def test_parameters_in_headers_are_not_sent_twice() -> None:
    """A header takes its parameter away from the body."""
    request = bound(method(headers={"If-Match": "{etag}"}), b'{"etag":"x y","a":1.0}')
    assert dict(request.headers)["If-Match"] == "x y"
    assert request.body == b'{"a":1.0}'


def test_credentials_win_and_must_be_sendable() -> None:
    """Headers of credentials replace the binding's; a value that no header can carry is refused."""
    request = bound(method(headers={"Authorization": "mine"}), b"{}")
    with_key = authorized(request, Authorization((("AUTHORIZATION", "Bearer k"),)))
    assert [value for name, value in with_key.headers if name.lower() == "authorization"] == [
        "Bearer k"
    ]
    with pytest.raises(MethodNotCallable) as caught:
        authorized(request, Authorization((("X-Key", "k\r\nX: 1"),)))
    assert "k\r" not in caught.value.message + repr(caught.value.details)


def test_a_request_does_not_print_its_secrets() -> None:
    """Neither headers nor the query are in the representation."""
    request = authorized(
        bound(method(), b"{}"), Authorization((("X-Key", "hidden"),), (("key", "hidden"),))
    )
    assert "key=hidden" in request.url
    assert "hidden" not in repr(request)
