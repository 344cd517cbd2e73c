"""What token endpoints answer: every usable token is found, and nothing makes the reader fall."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oauthlib.oauth2 import OAuth2Error, WebApplicationClient

from credentials.model import SecretRecord
from credentials.oauth.answers import TokenAnswer, TokenRefusal, read_token_answer
from credentials.records import encode
from tests.unit.credentials.oauth.profiles import CLIENT, profile

JSON_TYPE = {"content-type": "application/json"}
FORM_TYPE = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
HTML_TYPE = {"content-type": "text/html"}
TEN_YEARS = 10 * 365 * 86_400.0
PLAIN = profile()
SLACK = profile(
    tokenResponse={
        "accessToken": "authed_user.access_token",
        "refreshToken": "authed_user.refresh_token",
        "expiresIn": "authed_user.expires_in",
        "scope": "authed_user.scope",
    },
    scopeDelimiter=",",
)
TIKTOK = profile(
    tokenResponse={
        "accessToken": "data.access_token",
        "refreshToken": "data.refresh_token",
        "expiresIn": "data.expires_in",
        "refreshExpiresIn": "data.refresh_expires_in",
        "error": "data.error_code",
    }
)
DEFAULTS = profile(defaultExpiresIn=1800)
MILLISECONDS = profile(expiresInUnit="ms")
ABSOLUTE = profile(expiresInUnit="absolute", tokenResponse={"expiresIn": "expires_at"})
FITBIT = profile(tokenResponse={"error": "errors.0.errorType"})


def body(**members: Any) -> bytes:
    """Write an answer with a token and these members."""
    return json.dumps({"access_token": "at-1", **members}).encode()


def rotated(**members: Any) -> bytes:
    """Write an answer with both tokens and these members."""
    return body(refresh_token="rt-2", **members)


def token(raw: str) -> bytes:
    """Write an answer with a token whose lifetime is written so."""
    return f'{{"access_token":"at-1","refresh_token":"rt-2","expires_in":{raw}}}'.encode()


def expect(**values: Any) -> TokenAnswer:
    """Make the answer that is expected."""
    return TokenAnswer(**{"access_token": "at-1", "refresh_token": "rt-2", **values})


USABLE = {
    "bare": (PLAIN, JSON_TYPE, body(), expect(refresh_token=None)),
    "of RFC 6749 5.1": (
        PLAIN,
        {"content-type": "application/json;charset=UTF-8"},
        (
            b'{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"example","expires_in":3600,'
            b'"refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA","example_parameter":"example_value"}'
        ),
        TokenAnswer(
            "2YotnFZFEjr1zCsicMWpAA",
            "tGzv3JOkF0XG5Qx2TlKWIA",
            "example",
            expires_in=3600.0,
            extras={"example_parameter": "example_value"},
        ),
    ),
    "rotated": (PLAIN, JSON_TYPE, rotated(expires_in=60), expect(expires_in=60.0)),
    "missing refresh token": (
        PLAIN,
        JSON_TYPE,
        body(expires_in=60),
        expect(expires_in=60.0, refresh_token=None),
    ),
    "empty refresh token": (PLAIN, JSON_TYPE, body(refresh_token=""), expect(refresh_token=None)),
    "null refresh token": (PLAIN, JSON_TYPE, body(refresh_token=None), expect(refresh_token=None)),
    "refresh token of another type": (
        PLAIN,
        JSON_TYPE,
        body(refresh_token=["rt"]),
        expect(refresh_token=None),
    ),
    "refresh token with a line end": (
        PLAIN,
        JSON_TYPE,
        body(refresh_token="rt\r\n"),
        expect(refresh_token=None),
    ),
    "refresh token with a blank": (
        PLAIN,
        JSON_TYPE,
        body(refresh_token="rt 2"),
        expect(refresh_token="rt 2"),
    ),
    "expires_in as text": (PLAIN, JSON_TYPE, token('"3600"'), expect(expires_in=3600.0)),
    "expires_in as text with blanks": (PLAIN, JSON_TYPE, token('" 60 "'), expect(expires_in=60.0)),
    "expires_in as fraction": (PLAIN, JSON_TYPE, token("3600.5"), expect(expires_in=3600.5)),
    "expires_in as fraction in text": (
        PLAIN,
        JSON_TYPE,
        token('"3600.5"'),
        expect(expires_in=3600.5),
    ),
    "expires_in with exponent": (PLAIN, JSON_TYPE, token("3.6e3"), expect(expires_in=3600.0)),
    "expires_in empty": (PLAIN, JSON_TYPE, token('""'), expect()),
    "expires_in null": (PLAIN, JSON_TYPE, token("null"), expect()),
    "expires_in a word": (PLAIN, JSON_TYPE, token('"abc"'), expect()),
    "expires_in a list": (PLAIN, JSON_TYPE, token("[]"), expect()),
    "expires_in an object": (PLAIN, JSON_TYPE, token("{}"), expect()),
    "expires_in true": (PLAIN, JSON_TYPE, token("true"), expect()),
    "expires_in NaN": (PLAIN, JSON_TYPE, token("NaN"), expect()),
    "expires_in NaN as text": (PLAIN, JSON_TYPE, token('"NaN"'), expect()),
    "expires_in infinite": (PLAIN, JSON_TYPE, token("Infinity"), expect()),
    "expires_in 1e400": (PLAIN, JSON_TYPE, token("1e400"), expect()),
    "expires_in with underscores": (PLAIN, JSON_TYPE, token('"3_600"'), expect()),
    "expires_in in other digits": (PLAIN, JSON_TYPE, token('"\uff13\uff16"'), expect()),
    "expires_in zero": (PLAIN, JSON_TYPE, token("0"), expect(expires_in=0.0)),
    "expires_in negative": (PLAIN, JSON_TYPE, token("-5"), expect(expires_in=0.0)),
    "expires_in 1e308": (PLAIN, JSON_TYPE, token("1e308"), expect(expires_in=TEN_YEARS)),
    "expires_in of 31 digits": (
        PLAIN,
        JSON_TYPE,
        token("1" + "0" * 30),
        expect(expires_in=TEN_YEARS),
    ),
    "expires_in of 350 digits": (PLAIN, JSON_TYPE, token("9" * 350), expect(expires_in=TEN_YEARS)),
    "expires_in of 5000 digits": (PLAIN, JSON_TYPE, token("9" * 5000), expect()),
    "junk has the default": (DEFAULTS, JSON_TYPE, token('"abc"'), expect(expires_in=1800.0)),
    "none has the default": (DEFAULTS, JSON_TYPE, rotated(), expect(expires_in=1800.0)),
    "some has no default": (DEFAULTS, JSON_TYPE, token("60"), expect(expires_in=60.0)),
    "milliseconds": (MILLISECONDS, JSON_TYPE, token("3600000"), expect(expires_in=3600.0)),
    "absolute seconds": (
        ABSOLUTE,
        {**JSON_TYPE, "date": "Sun, 01 Mar 2026 12:00:00 GMT"},
        rotated(expires_at=1_772_366_460),
        expect(expires_in=60.0),
    ),
    "absolute milliseconds": (
        ABSOLUTE,
        {**JSON_TYPE, "date": "Sun, 01 Mar 2026 12:00:00 GMT"},
        rotated(expires_at="1772366460000"),
        expect(expires_in=60.0),
    ),
    "absolute RFC 3339": (
        ABSOLUTE,
        {**JSON_TYPE, "date": "Sun, 01 Mar 2026 12:00:00 GMT"},
        rotated(expires_at="2026-03-01T13:01:00+01:00"),
        expect(expires_in=60.0),
    ),
    "absolute without a date": (ABSOLUTE, JSON_TYPE, rotated(expires_at=1_772_366_460), expect()),
    "refresh_expires_in": (
        PLAIN,
        JSON_TYPE,
        rotated(refresh_expires_in=1800),
        expect(refresh_expires_in=1800.0, extras={"refresh_expires_in": 1800}),
    ),
    "refresh_expires_in zero is for ever": (
        PLAIN,
        JSON_TYPE,
        rotated(refresh_expires_in=0),
        expect(extras={"refresh_expires_in": 0}),
    ),
    "refresh_token_expires_in as text": (
        PLAIN,
        JSON_TYPE,
        rotated(refresh_token_expires_in="15897600"),
        expect(refresh_expires_in=15_897_600.0, extras={"refresh_token_expires_in": "15897600"}),
    ),
    "form": (
        PLAIN,
        FORM_TYPE,
        b"access_token=at-1&expires_in=28800&refresh_token=rt-2&scope=repo%2Cgist&token_type=bearer",
        expect(
            expires_in=28_800.0,
            scope="repo,gist",
            token_type="bearer",
            extras={"scope": "repo,gist"},
        ),
    ),
    "form as text": (
        PLAIN,
        {"content-type": "text/plain"},
        b"access_token=at-1&refresh_token=rt-2",
        expect(),
    ),
    "form without a content type": (PLAIN, {}, b"access_token=at-1&refresh_token=rt-2", expect()),
    "form that says JSON": (PLAIN, JSON_TYPE, b"access_token=at-1&refresh_token=rt-2", expect()),
    "JSON that says form": (PLAIN, FORM_TYPE, rotated(), expect()),
    "JSON that says HTML": (PLAIN, HTML_TYPE, rotated(), expect()),
    "JSON without a content type": (PLAIN, {}, rotated(), expect()),
    "JSON with a BOM": (PLAIN, JSON_TYPE, b"\xef\xbb\xbf" + rotated(), expect()),
    "JSON with blanks around": (PLAIN, JSON_TYPE, b"\r\n " + rotated() + b"\n", expect()),
    "Latin-1": (
        PLAIN,
        JSON_TYPE,
        b'{"access_token":"at-1","refresh_token":"rt-2","name":"Jos\xe9"}',
        expect(extras={"name": "Jos\u00e9"}),
    ),
    "narrowed scope": (
        PLAIN,
        JSON_TYPE,
        rotated(scope="a"),
        expect(scope="a", extras={"scope": "a"}),
    ),
    "comma scope": (
        PLAIN,
        JSON_TYPE,
        rotated(scope="a,b"),
        expect(scope="a,b", extras={"scope": "a,b"}),
    ),
    "scope as list": (
        PLAIN,
        JSON_TYPE,
        rotated(scope=["a", "b", 5]),
        expect(scope="a b", extras={"scope": ["a", "b", 5]}),
    ),
    "scope null": (PLAIN, JSON_TYPE, rotated(scope=None), expect(extras={"scope": None})),
    "scope with a line end": (
        PLAIN,
        JSON_TYPE,
        rotated(scope="a\nb"),
        expect(extras={"scope": "a\nb"}),
    ),
    "error null beside a token": (
        PLAIN,
        JSON_TYPE,
        rotated(error=None),
        expect(extras={"error": None}),
    ),
    "error beside a token": (
        PLAIN,
        JSON_TYPE,
        rotated(error="slow_down"),
        expect(extras={"error": "slow_down"}),
    ),
    "token type missing": (PLAIN, JSON_TYPE, rotated(), expect(token_type="Bearer")),
    "token type with a line end": (
        PLAIN,
        JSON_TYPE,
        rotated(token_type="a\r\nX-Evil: 1"),
        expect(token_type="Bearer"),
    ),
    "token type a number": (PLAIN, JSON_TYPE, rotated(token_type=5), expect(token_type="Bearer")),
    "duplicate keys": (
        PLAIN,
        JSON_TYPE,
        b'{"access_token":"at-0","refresh_token":"rt-2","access_token":"at-1","refresh_token":null}',
        expect(),
    ),
    "duplicate form fields": (
        PLAIN,
        FORM_TYPE,
        b"access_token=at-1&refresh_token=rt-2&access_token=&refresh_token=",
        expect(),
    ),
    "16 KiB": (PLAIN, JSON_TYPE, body(access_token="a" * 16_384), TokenAnswer("a" * 16_384)),
    "large extras": (PLAIN, JSON_TYPE, rotated(profile="x" * 200_000), expect()),
    "deep extras": (
        PLAIN,
        JSON_TYPE,
        b'{"access_token":"at-1","refresh_token":"rt-2","x":' + b"[" * 500 + b"]" * 500 + b"}",
        expect(),
    ),
    "extras that are no JSON": (
        PLAIN,
        JSON_TYPE,
        b'{"access_token":"at-1","refresh_token":"rt-2","a":NaN,"b":"\\ud800","c":1e999,"d":'
        + b"9" * 300
        + b',"\\ud800":1}',
        expect(extras={"a": None, "c": None}),
    ),
    "only the refresh token is usable": (
        PLAIN,
        JSON_TYPE,
        b'{"access_token":"x\\r\\nX-Evil: 1","refresh_token":"rt-2"}',
        expect(access_token=""),
    ),
    "Slack nested": (
        SLACK,
        JSON_TYPE,
        json.dumps(
            {
                "ok": True,
                "team": {"id": "T1"},
                "authed_user": {
                    "id": "U1",
                    "scope": "chat:write,users:read",
                    "access_token": "at-1",
                    "refresh_token": "rt-2",
                    "expires_in": 43_200,
                },
            }
        ).encode(),
        expect(
            expires_in=43_200.0,
            scope="chat:write,users:read",
            extras={
                "ok": True,
                "team": {"id": "T1"},
                "authed_user": {"id": "U1", "scope": "chat:write,users:read"},
            },
        ),
    ),
    "Slack refreshed": (SLACK, JSON_TYPE, rotated(ok=True), expect(extras={"ok": True})),
    "TikTok": (
        TIKTOK,
        JSON_TYPE,
        json.dumps(
            {
                "data": {
                    "access_token": "at-1",
                    "refresh_token": "rt-2",
                    "expires_in": 86_400,
                    "refresh_expires_in": 31_536_000,
                    "error_code": 0,
                    "open_id": "o",
                },
                "message": "success",
            }
        ).encode(),
        expect(
            expires_in=86_400.0,
            refresh_expires_in=31_536_000.0,
            extras={
                "data": {"refresh_expires_in": 31_536_000, "error_code": 0, "open_id": "o"},
                "message": "success",
            },
        ),
    ),
}


@pytest.mark.parametrize(("read", "headers", "answer", "expected"), USABLE.values(), ids=USABLE)
def test_every_usable_token_is_read(
    read: Any, headers: dict[str, str], answer: bytes, expected: TokenAnswer
) -> None:
    """However odd the rest is, the tokens come out, and every store can keep all of it."""
    found = read_token_answer(read, 200, headers, answer)
    assert found == expected
    assert isinstance(found, TokenAnswer)
    assert encode(SecretRecord({"extras": found.extras, "token": found.access_token}))


GONE = {"permanent": True}
FAULT = {"client_fault": True}
REFUSED: dict[str, tuple[int, dict[str, str], bytes, dict[str, Any]]] = {
    "of RFC 6749 5.2": (
        400,
        JSON_TYPE,
        b'{"error":"invalid_request"}',
        {"error": "invalid_request", **FAULT},
    ),
    "empty": (200, JSON_TYPE, b"", {"error": "no_token"}),
    "token null": (200, JSON_TYPE, b'{"access_token":null}', {"error": "no_token"}),
    "token empty": (200, JSON_TYPE, b'{"access_token":""}', {"error": "no_token"}),
    "token an object": (200, JSON_TYPE, b'{"access_token":{"a":"b"}}', {"error": "no_token"}),
    "token a list": (200, JSON_TYPE, b'{"access_token":["at"]}', {"error": "no_token"}),
    "token a number": (200, JSON_TYPE, b'{"access_token":5}', {"error": "no_token"}),
    "token with a header in it": (
        200,
        JSON_TYPE,
        b'{"access_token":"x\\r\\nX-Evil: 1"}',
        {"error": "no_token"},
    ),
    "token with a blank": (200, JSON_TYPE, b'{"access_token":"a b"}', {"error": "no_token"}),
    "token not ASCII": (200, JSON_TYPE, b'{"access_token":"\xc3\xa9"}', {"error": "no_token"}),
    "token of 16 KiB and 1": (
        200,
        JSON_TYPE,
        json.dumps({"access_token": "a" * 16_385}).encode(),
        {"error": "no_token"},
    ),
    "JSON list": (200, JSON_TYPE, b'[{"access_token":"at"}]', {"error": "no_token"}),
    "JSON text": (200, JSON_TYPE, b'"access_token"', {"error": "no_token"}),
    "JSON null": (200, JSON_TYPE, b"null", {"error": "no_token"}),
    "half of JSON": (200, JSON_TYPE, b'{"access_token":"at', {"error": "no_token"}),
    "deep JSON": (200, JSON_TYPE, b"[" * 200_000, {"error": "no_token"}),
    "deep objects": (200, JSON_TYPE, b'{"a":' * 50_000, {"error": "no_token"}),
    "HTML": (200, HTML_TYPE, b"<html><body>Sign in</body></html>", {"error": "no_token"}),
    "HTML with a token in a link": (
        200,
        HTML_TYPE,
        b'<a href="https://x/?a=b&access_token=at-1&c=d">',
        {"error": "no_token"},
    ),
    "form of 1000 fields": (
        200,
        FORM_TYPE,
        b"access_token=at-1" + b"&a=b" * 1000,
        {"error": "no_token"},
    ),
    "1 MB": (200, JSON_TYPE, rotated(x="x" * 1_000_000), {"error": "answer_too_large"}),
    "NUL bytes": (200, JSON_TYPE, b"\x00" * 100, {"error": "no_token"}),
    "redirect": (302, HTML_TYPE, b"", {"error": "http_302"}),
    "token in a refusal": (
        400,
        JSON_TYPE,
        rotated(error="invalid_grant"),
        {"error": "invalid_grant", **GONE},
    ),
    "token in a failure": (500, JSON_TYPE, rotated(), {"error": "http_500"}),
    "invalid_grant": (
        400,
        JSON_TYPE,
        b'{"error":"invalid_grant","error_description":"Token has been expired or revoked."}',
        {
            "error": "invalid_grant",
            "description": "Token has been expired or revoked.",
            **GONE,
        },
    ),
    "invalid_grant as form": (
        400,
        FORM_TYPE,
        b"error=invalid_grant&error_description=no+more",
        {"error": "invalid_grant", "description": "no more", **GONE},
    ),
    "invalid_grant with 401": (
        401,
        JSON_TYPE,
        b'{"error":"invalid_grant"}',
        {"error": "invalid_grant", **GONE},
    ),
    "invalid_grant with 503": (
        503,
        JSON_TYPE,
        b'{"error":"invalid_grant"}',
        {"error": "invalid_grant"},
    ),
    "invalid_grant with 429": (
        429,
        JSON_TYPE,
        b'{"error":"invalid_grant"}',
        {"error": "invalid_grant"},
    ),
    "GitHub": (
        200,
        FORM_TYPE,
        b"error=bad_verification_code&error_description=The+code+is+incorrect.",
        {
            "error": "bad_verification_code",
            "description": "The code is incorrect.",
            **GONE,
        },
    ),
    "GitHub's client": (
        200,
        JSON_TYPE,
        b'{"error":"incorrect_client_credentials"}',
        {"error": "incorrect_client_credentials", **FAULT},
    ),
    "Slack": (
        200,
        JSON_TYPE,
        b'{"ok":false,"error":"invalid_refresh_token"}',
        {"error": "invalid_refresh_token", **GONE},
    ),
    "Zoho": (200, JSON_TYPE, b'{"error":"invalid_code"}', {"error": "invalid_code", **GONE}),
    "device: pending": (
        400,
        JSON_TYPE,
        b'{"error":"authorization_pending"}',
        {"error": "authorization_pending"},
    ),
    "device: slow down": (400, JSON_TYPE, b'{"error":"slow_down"}', {"error": "slow_down"}),
    "device: too late": (
        400,
        JSON_TYPE,
        b'{"error":"expired_token"}',
        {"error": "expired_token", **GONE},
    ),
    "device: denied": (400, JSON_TYPE, b'{"error":"access_denied"}', {"error": "access_denied"}),
    "invalid_client": (
        401,
        JSON_TYPE,
        b'{"error":"invalid_client"}',
        {"error": "invalid_client", **FAULT},
    ),
    "unauthorized_client": (
        400,
        JSON_TYPE,
        b'{"error":"unauthorized_client"}',
        {"error": "unauthorized_client", **FAULT},
    ),
    "unsupported_grant_type": (
        400,
        JSON_TYPE,
        b'{"error":"unsupported_grant_type"}',
        {"error": "unsupported_grant_type", **FAULT},
    ),
    "invalid_scope": (
        400,
        JSON_TYPE,
        b'{"error":"invalid_scope"}',
        {"error": "invalid_scope", **FAULT},
    ),
    "401 without a word": (401, HTML_TYPE, b"<html>", {"error": "http_401", **FAULT}),
    "404": (404, HTML_TYPE, b"<html>", {"error": "http_404"}),
    "temporarily_unavailable": (
        400,
        JSON_TYPE,
        b'{"error":"temporarily_unavailable"}',
        {"error": "temporarily_unavailable"},
    ),
    "Facebook": (
        400,
        JSON_TYPE,
        b'{"error":{"message":"Session has expired","type":"OAuthException","code":190}}',
        {"error": "OAuthException", "description": "Session has expired"},
    ),
    "error a list": (400, JSON_TYPE, b'{"error":["a"]}', {"error": "http_400"}),
    "error true": (
        400,
        JSON_TYPE,
        b'{"error":true,"message":"no"}',
        {"error": "unreadable", "description": "no"},
    ),
    "error a number": (400, JSON_TYPE, b'{"error":17}', {"error": "17"}),
    "error a sentence": (
        400,
        JSON_TYPE,
        b'{"error":"Refresh token is no good."}',
        {"error": "unreadable", "description": "Refresh token is no good."},
    ),
    "error with control characters": (
        400,
        JSON_TYPE,
        b'{"error":"a\\r\\nb","error_description":"c\\u0000\\u202ed\\u001b[31m"}',
        {"error": "unreadable", "description": "c d [31m"},
    ),
    "error with a token": (
        400,
        JSON_TYPE,
        b'{"error":"invalid_grant","error_description":"Unknown token 1//0gXyZ-abcdefghijklmnopq"}',
        {"error": "invalid_grant", "description": "Unknown token ***", **GONE},
    ),
    "error with our secret": (
        401,
        JSON_TYPE,
        json.dumps(
            {"error": "invalid_client", "error_description": f"bad {CLIENT['clientSecret']}!"}
        ).encode(),
        {"error": "invalid_client", "description": "bad ***!", **FAULT},
    ),
    "error with a short token of its own": (
        400,
        JSON_TYPE,
        b'{"error":"x","access_token":"at-77","message":"at-77 is old"}',
        {"error": "x", "description": "*** is old"},
    ),
    "Retry-After": (429, {"retry-after": "120"}, b"", {"error": "http_429", "retry_after": 120.0}),
    "Retry-After as date": (
        503,
        {
            "retry-after": "Sun, 01 Mar 2026 12:01:00 GMT",
            "date": "Sun, 01 Mar 2026 12:00:00 GMT",
        },
        b"",
        {"error": "http_503", "retry_after": 60.0},
    ),
    "Retry-After for ever": (
        503,
        {"retry-after": "99999999999"},
        b"",
        {"error": "http_503", "retry_after": 86_400.0},
    ),
    "Retry-After junk": (503, {"retry-after": "soon"}, b"", {"error": "http_503"}),
    "Retry-After negative": (
        503,
        {"retry-after": "-1"},
        b"",
        {"error": "http_503", "retry_after": 0.0},
    ),
}


@pytest.mark.parametrize(("status", "headers", "answer", "expected"), REFUSED.values(), ids=REFUSED)
def test_everything_else_is_a_refusal_that_says_why(
    status: int, headers: dict[str, str], answer: bytes, expected: dict[str, Any]
) -> None:
    """Whether it is the grant, the client or the weather that is at fault can be told apart."""
    assert read_token_answer(PLAIN, status, headers, answer) == TokenRefusal(**expected)


def test_there_are_enough_of_them() -> None:
    """The two tables have the sixty answers that a refresh has to stand, and more."""
    assert len(USABLE) >= 30
    assert len(USABLE) + len(REFUSED) >= 100


def test_a_definition_says_where_errors_are() -> None:
    """Fitbit's list and TikTok's number are found where the definition says."""
    fitbit = b'{"success":false,"errors":[{"errorType":"invalid_grant","message":"no"}]}'
    refusal = read_token_answer(FITBIT, 400, JSON_TYPE, fitbit)
    assert refusal == TokenRefusal("invalid_grant", permanent=True)
    tiktok = b'{"data":{"error_code":10008,"description":"x"},"message":"error"}'
    refusal = read_token_answer(TIKTOK, 200, JSON_TYPE, tiktok)
    assert refusal == TokenRefusal("10008", "error")
    usual = b'{"data":{"error_code":0},"error":"invalid_grant"}'
    assert read_token_answer(TIKTOK, 400, JSON_TYPE, usual) == TokenRefusal(
        "invalid_grant", permanent=True
    )
    fine = b'{"data":{"error_code":0},"message":""}'
    assert read_token_answer(TIKTOK, 200, JSON_TYPE, fine) == TokenRefusal("no_token")


@pytest.mark.parametrize(
    ("value", "captured"),
    [
        ("https://acme.my.salesforce.com", {"instanceUrl": "https://acme.my.salesforce.com"}),
        ("https://acme.my.salesforce.com.evil.com", {}),
        ("https://acme.my.salesforce.com\n", {}),
        ("x" * 2000, {}),
        (None, {}),
        (["a"], {}),
    ],
)
def test_hosts_are_captured_when_they_have_the_right_form(
    value: Any, captured: dict[str, str]
) -> None:
    """Salesforce's instance URL goes into the config; what doesn't match is left out."""
    rule = {"path": "instance_url", "pattern": r"https://[a-z0-9-]+\.my\.salesforce\.com"}
    read = profile(captureFromToken={"instanceUrl": rule, "company": "user.company_id"})
    answer = read_token_answer(
        read, 200, JSON_TYPE, body(instance_url=value, user={"company_id": 17})
    )
    assert isinstance(answer, TokenAnswer)
    assert answer.captured == {**captured, "company": "17"}


def test_a_malicious_pattern_takes_no_time() -> None:
    """Patterns come from anybody who writes definitions, so none may run for long."""
    rule = {"path": "x", "pattern": "(a+)+(a|aa)+b"}
    read = profile(captureFromToken={"x": rule})
    answer = read_token_answer(read, 200, JSON_TYPE, body(x="a" * 1000))
    assert isinstance(answer, TokenAnswer)
    assert answer.captured == {}


def test_texts_are_cut() -> None:
    """A page full of words is no error message."""
    answer = json.dumps({"error": "x", "error_description": "word " * 10_000}).encode()
    refusal = read_token_answer(PLAIN, 400, JSON_TYPE, answer)
    assert isinstance(refusal, TokenRefusal)
    assert len(refusal.description) == 512
    assert refusal.description.endswith("…")


def test_no_token_is_printed() -> None:
    """The text of an answer shows nothing of it."""
    assert repr(read_token_answer(PLAIN, 200, JSON_TYPE, rotated())) == "TokenAnswer(***)"


NAMES = st.sampled_from(
    [
        *("access_token", "refresh_token", "expires_in", "scope", "error", "error_description"),
        *("token_type", "refresh_expires_in", "message", "data", "authed_user", "errors", "status"),
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["at-1", "invalid_grant", "1e5", "2026-03-01", "99999-01-01", "-", "\ud800"])
    | st.integers(min_value=10**18, max_value=10**350)
)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(NAMES | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=12,
)
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "retry-after", "date"]),
    st.text(max_size=30)
    | st.sampled_from(
        [
            *("application/json", "application/x-www-form-urlencoded", "text/html"),
            *("Sun, 01 Mar 2026 12:00:00 GMT", "Sun, 99 Mar 99999 99:00:00 +9999", "1e999"),
        ]
    ),
)
PROFILES = st.sampled_from([PLAIN, SLACK, TIKTOK, DEFAULTS, MILLISECONDS, ABSOLUTE, FITBIT])


def check(found: TokenAnswer | TokenRefusal) -> None:
    """See that what was read can be stored and shown."""
    if isinstance(found, TokenRefusal):
        assert found.error.isascii()
        assert len(found.description) <= 512
        assert found.retry_after is None or 0 <= found.retry_after <= 86_400
        return
    assert found.access_token or found.refresh_token
    assert found.expires_in is None or 0 <= found.expires_in <= TEN_YEARS
    fields = {name: getattr(found, name) for name in TokenAnswer.__dataclass_fields__}
    assert encode(SecretRecord({**fields, "captured": dict(found.captured)}))


@settings(max_examples=400)
@given(read=PROFILES, status=st.integers(100, 599), headers=HEADERS, answer=st.binary(max_size=400))
def test_no_bytes_make_it_fall(
    read: Any, status: int, headers: dict[str, str], answer: bytes
) -> None:
    """Any bytes at all are a token or a refusal."""
    check(read_token_answer(read, status, headers, answer))


@settings(max_examples=600)
@given(read=PROFILES, status=st.sampled_from([200, 400, 401, 500]), headers=HEADERS, answer=TREES)
def test_no_json_makes_it_fall(
    read: Any, status: int, headers: dict[str, str], answer: Any
) -> None:
    """Any JSON at all is a token or a refusal."""
    check(read_token_answer(read, status, headers, json.dumps(answer).encode()))


@settings(max_examples=300)
@given(
    members=st.dictionaries(NAMES.filter(lambda name: "token" not in name), TREES), headers=HEADERS
)
def test_a_token_among_anything_is_found(members: dict[str, Any], headers: dict[str, str]) -> None:
    """Whatever stands beside them, both tokens of a rotation come out."""
    found = read_token_answer(PLAIN, 200, headers, rotated(**members))
    assert isinstance(found, TokenAnswer)
    assert (found.access_token, found.refresh_token) == ("at-1", "rt-2")
    check(found)


@given(
    access=st.text("abcXYZ019-._~+/=", min_size=1, max_size=40),
    refresh=st.none() | st.text("abcXYZ019-._~+/=", min_size=1, max_size=40),
    expires_in=st.integers(1, 10**7),
)
def test_what_oauthlib_reads_is_read_alike(
    access: str, refresh: str | None, expires_in: int
) -> None:
    """Where another parser understands an answer, ours understands the same."""
    members = {"access_token": access, "token_type": "Bearer", "expires_in": expires_in}
    if refresh is not None:
        members["refresh_token"] = refresh
    text = json.dumps(members)
    theirs = WebApplicationClient("c").parse_request_body_response(text)
    ours = read_token_answer(PLAIN, 200, JSON_TYPE, text.encode())
    assert isinstance(ours, TokenAnswer)
    assert ours.access_token == theirs["access_token"]
    assert ours.refresh_token == theirs.get("refresh_token")
    assert ours.expires_in == float(theirs["expires_in"])


@pytest.mark.parametrize("code", ["invalid_grant", "invalid_client", "invalid_scope"])
def test_what_oauthlib_refuses_is_refused_by_the_same_name(code: str) -> None:
    """Errors of RFC 6749 have the code that another parser finds."""
    text = json.dumps({"error": code})
    with pytest.raises(OAuth2Error) as theirs:
        WebApplicationClient("c").parse_request_body_response(text)
    ours = read_token_answer(PLAIN, 400, JSON_TYPE, text.encode())
    assert isinstance(ours, TokenRefusal)
    assert ours.error == theirs.value.error
