"""What an upstream's answer means."""

import json
from http import HTTPStatus
from typing import Any

import pytest

from credentials.model import Authorization
from executor.errors import (
    CredentialsRefused,
    ExecutorError,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamUnavailable,
)
from executor.model import HttpResponse
from executor.response import CLASSES, MESSAGES, OUTCOMES, QUOTED, facts, judge, read
from tests.fakes import fixed_clock, json_response

KEY = Authorization((("Authorization", "Bearer topsecret"),))
SPECIAL = {
    401: CredentialsRefused,
    429: UpstreamRateLimited,
    502: UpstreamUnavailable,
    503: UpstreamUnavailable,
    504: UpstreamUnavailable,
}


def judged(response: HttpResponse) -> ExecutorError:
    """Answer the error that a response is judged to be."""
    with pytest.raises(ExecutorError) as caught:
        judge(response, (KEY,), fixed_clock)
    json.dumps(caught.value.details)
    return caught.value


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 226, 299])
def test_every_2xx_succeeds(status: int) -> None:
    """A success raises nothing."""
    judge(HttpResponse(status), (KEY,), fixed_clock)
    assert status // 100 in CLASSES


@pytest.mark.parametrize(
    "status",
    [*(s.value for s in HTTPStatus if s.value // 100 != 2), 499, 520, 599, 999],
)
def test_every_other_status_has_one_meaning(status: int) -> None:
    """The table covers every status; the details say which it was."""
    error = judged(json_response({"message": "no"}, status))
    assert type(error) is SPECIAL.get(status, UpstreamFailed)
    assert error.details["statusCode"] == status
    assert error.details["response"] == {"message": "no"}
    assert str(status) in error.message


def test_every_outcome_has_a_message() -> None:
    """The tables fit together."""
    outcomes = {outcome for outcome in OUTCOMES.values() if outcome} | {UpstreamFailed}
    assert outcomes == set(MESSAGES)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_wait_is_handed_on(status: int) -> None:
    """Where waiting helps, the time that the upstream named is in the error and its details."""
    error = judged(json_response({}, status, Retry_After="3"))
    assert error.retry_after_ms == error.details["retryAfterMs"] == 3000
    without = judged(json_response({}, status))
    assert without.retry_after_ms is None
    assert "retryAfterMs" not in without.details


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed_and_say_where_they_point(status: int) -> None:
    """The location is shown without query, fragment, user and secrets."""
    location = "https://user:pw@other.example/a/topsecret?token=topsecret#topsecret"
    error = judged(HttpResponse(status, (("Location", location),)))
    assert type(error) is UpstreamFailed
    assert error.details == {"statusCode": status, "location": "https://***@other.example/a/***"}


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        (b'{"a":1,"t":"topsecret"}', {"a": 1, "t": "***"}),
        (b"plain topsecret", "plain ***"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"0", 0),
    ],
)
def test_answers_are_quoted_without_secrets(body: bytes, quoted: Any) -> None:
    """Small JSON is quoted as JSON, all else as text."""
    assert judged(HttpResponse(400, (), body)).details["response"] == quoted


def test_an_empty_answer_is_not_quoted() -> None:
    """There is no `response` where there was none."""
    assert judged(HttpResponse(500)).details == {"statusCode": 500}


def test_long_answers_are_cut() -> None:
    """A quotation is at most two kibibytes long."""
    quoted = judged(json_response(["é" * 100_000], 500)).details["response"]
    assert isinstance(quoted, str)
    assert len(quoted) == QUOTED
    assert quoted.endswith("…")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
        "application/problem+json",
        "application/vnd.api+json;ext=a",
        "text/json",
        "application/x-json",
        None,
    ],
)
def test_json_is_read_as_it_came(content_type: str | None) -> None:
    """The bytes of a JSON answer stay as they are, numbers included."""
    headers = () if content_type is None else (("CONTENT-TYPE", content_type),)
    body = b' {"n": 9007199254740993, "x":1.0 }\n'
    data, value = read(HttpResponse(200, headers, body), (KEY,))
    assert data == body
    assert value == {"n": 9007199254740993, "x": 1.0}


@pytest.mark.parametrize(
    "response",
    [
        HttpResponse(204, (("Content-Type", "text/html"),), b""),
        HttpResponse(205),
        HttpResponse(200),
        HttpResponse(202, (("Content-Type", "text/plain"),), b" \r\n"),
        HttpResponse(200, (), b"\xef\xbb\xbf"),
    ],
)
def test_an_empty_success_is_null(response: HttpResponse) -> None:
    """No content is the result null, whatever its type says."""
    assert read(response, (KEY,)) == (b"null", None)


def test_a_byte_order_mark_is_taken_off() -> None:
    """JSON behind a BOM is read."""
    assert read(HttpResponse(200, (), b"\xef\xbb\xbf[1.0]"), (KEY,))[0] == b"[1.0]"


def test_another_charset_is_understood() -> None:
    """JSON in another declared charset is written in UTF-8."""
    response = HttpResponse(
        200, (("Content-Type", "application/json; charset=ISO-8859-1"),), '"é"'.encode("latin-1")
    )
    assert read(response, (KEY,))[0] == '"é"'.encode()


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        ("text/html; charset=utf-8", b"<h1>topsecret</h1>", "answered text/html where JSON"),
        ("text/plain", b"1", "answered text/plain where JSON"),
        ("application/xml", b"<a/>", "answered application/xml where JSON"),
        ("application/json", b'{"a":', "no valid JSON"),
        ("application/json", b"<html>", "no valid JSON"),
        ("application/json", b'{"a":NaN}', "no valid JSON"),
        ("application/json", b'"\xff"', "no valid JSON"),
        ("application/json; charset=klingon", b"1", "charset klingon is not known"),
        ("application/json; charset=ascii", b'"\xe9"', "no valid JSON"),
        ("application/json; charset=utf-16", b"123", "no valid JSON"),
        ("", b"hello", "no valid JSON"),
        ("application/json", b"[" * 100_000, "no valid JSON"),
    ],
)
def test_what_is_no_json_is_a_failure(content_type: str, body: bytes, words: str) -> None:
    """The error says what came instead, and quotes its beginning without secrets."""
    with pytest.raises(UpstreamFailed, match=words) as caught:
        read(HttpResponse(200, (("Content-Type", content_type),), body), (KEY,))
    assert caught.value.details["statusCode"] == 200
    assert "topsecret" not in repr(caught.value.details)
    assert caught.value.details["response"]


def test_facts_for_scripts() -> None:
    """Scripts see the status and the headers, named in lower case, repeated ones joined."""
    response = HttpResponse(201, (("Link", "<a>"), ("X-B", '"é"'), ("link", "<b>")))
    assert json.loads(facts(response)) == {
        "status": 201,
        "headers": {"link": "<a>, <b>", "x-b": '"é"'},
    }
