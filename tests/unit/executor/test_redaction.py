"""Secrets in what is quoted from an upstream."""

import json
from base64 import b64encode, urlsafe_b64encode
from html import escape
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.model import Authorization
from executor.errors import ExecutorError
from executor.json_text import mentions
from executor.model import HttpResponse
from executor.redaction import MASK, Redaction
from executor.response import QUOTED, judge
from tests.fakes import fixed_clock

SECRET = "s3cr3t/+key=é&<\"'>~~?"
SECRETS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="*"),
    min_size=4,
    max_size=40,
)
FILLER = st.text("abc XYZ\n", max_size=30)


@pytest.mark.parametrize(
    "authorization",
    [
        Authorization((("Authorization", f"Bearer {SECRET}"),)),
        Authorization((("X-Api-Key", SECRET),)),
        Authorization((), (("key", SECRET),)),
        Authorization((("Cookie", f"session={SECRET}"),)),
        Authorization(
            (("Authorization", "Basic " + b64encode(f"user:{SECRET}".encode()).decode()),)
        ),
    ],
)
@pytest.mark.parametrize(
    "shown",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        b64encode(SECRET.encode()).decode(),
        b64encode(SECRET.encode()).decode().rstrip("="),
        urlsafe_b64encode(SECRET.encode()).decode(),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1].replace("/", "\\/"),
        escape(SECRET),
        SECRET.encode().hex(),
    ],
)
def test_every_form_of_a_secret_is_masked(authorization: Authorization, shown: str) -> None:
    """A secret is found with and without its prefix, encoded in any common way."""
    assert Redaction(authorization).text(f"got <{shown}>!") == f"got <{MASK}>!"


def test_the_parts_of_basic_credentials_are_masked() -> None:
    """User and password together, the password alone, and the encoded pair are secrets."""
    pair = b64encode(b"someone:hunter22").decode()
    redaction = Redaction(Authorization((("Authorization", f"Basic {pair}"),)))
    text = redaction.text(f"{pair} someone:hunter22 hunter22 someone")
    assert text == f"{MASK} {MASK} {MASK} someone"


@pytest.mark.parametrize(
    ("value", "echo", "shown"),
    [
        ("HMAC k-id:signature", "bad signature", f"bad {MASK}"),
        ("Custom " + b64encode(b"mail@b.example/token:hunter22").decode(), "hunter22?", f"{MASK}?"),
        ("token=hunter22;v=1", "hunter22", MASK),
        (
            (
                "AWS4-HMAC-SHA256 Credential=AKID/20260102/eu/s3/aws4_request, "
                "SignedHeaders=host;x-amz-date, Signature=0a1b2c"
            ),
            "host;x-amz-date 0a1b2c",
            f"host;x-amz-date {MASK}",
        ),
    ],
)
def test_the_parts_of_composed_values_are_masked(value: str, echo: str, shown: str) -> None:
    """What an upstream quotes of a value made of several is masked; names of headers are not."""
    assert Redaction(Authorization((("Authorization", value),))).text(echo) == shown


def test_the_secrets_of_several_authorizations_are_masked() -> None:
    """A call that was authorized twice has shown two secrets."""
    first, second = (Authorization((("X-Key", key),)) for key in ("first-1", "second-2"))
    assert Redaction(first, second).text("first-1 second-2") == f"{MASK} {MASK}"


@pytest.mark.parametrize("pair", ["not base64!", "/w=="])
def test_basic_credentials_that_are_none_are_masked_whole(pair: str) -> None:
    """What cannot be taken apart is masked as it is."""
    redaction = Redaction(Authorization((("Authorization", f"Basic {pair}"),)))
    assert redaction.text(f"Basic {pair}") == MASK


def test_values_are_masked_at_every_depth() -> None:
    """Strings and keys of a JSON value are looked at; what is no secret stays as it is."""
    redaction = Redaction(Authorization((("X-Key", "12345678"),)))
    value = {"a": ["x12345678", 12345678, 1.5, None, True], "12345678": {"b": "ok"}}
    assert redaction.value(value) == {"a": [f"x{MASK}", MASK, 1.5, None, True], MASK: {"b": "ok"}}


def test_short_values_are_left_alone() -> None:
    """Masking what is shorter than four characters would wreck every text."""
    assert Redaction(Authorization((("X-Key", "a"),))).text("banana") == "banana"
    assert Redaction(Authorization()).longest == 0


@given(SECRETS, FILLER, FILLER, st.integers(0, QUOTED + 50), st.sampled_from(["json", "text"]))
def test_no_quotation_holds_a_secret(
    secret: str, before: str, after: str, padding: int, kind: str
) -> None:
    """Wherever a secret stands in an answer, also across the cut, no detail holds it."""
    text = "-" * padding + before + secret + after
    body = orjson.dumps({"message": text, secret: [text]}) if kind == "json" else text.encode()
    authorization = Authorization((("Authorization", f"Bearer {secret}"),))
    with pytest.raises(ExecutorError) as caught:
        judge(HttpResponse(400, (), body), (authorization,), fixed_clock)
    assert not mentions(caught.value.details["response"], secret)


@given(SECRETS, st.integers(QUOTED - 60, QUOTED + 5))
def test_a_secret_across_the_cut_is_not_shown_in_part(secret: str, padding: int) -> None:
    """Where a quotation ends inside a secret, not even the beginning of it is shown."""
    body = ("-" * padding + secret + "-" * QUOTED).encode()
    authorization = Authorization((("X-Key", secret),))
    with pytest.raises(ExecutorError) as caught:
        judge(HttpResponse(400, (), body), (authorization,), fixed_clock)
    quoted = caught.value.details["response"]
    assert isinstance(quoted, str)
    assert set(quoted) <= set("-*…")


@given(SECRETS, st.integers(50, 400), st.integers(0, 40))
def test_a_secret_that_comes_again_and_again_is_never_shown_in_part(
    secret: str, times: int, padding: int
) -> None:
    """Masks are shorter than secrets, and what moves up behind them is masked as well."""
    body = ("-" * padding + f"{secret} " * times).encode()
    authorization = Authorization((("X-Key", secret),))
    with pytest.raises(ExecutorError) as caught:
        judge(HttpResponse(400, (), body), (authorization,), fixed_clock)
    quoted = caught.value.details["response"]
    assert isinstance(quoted, str)
    assert set(quoted) <= set("-* …")
