"""Texts of other people's servers, made fit to be shown."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.oauth.texts import code_text, plain_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("The code is incorrect.", "The code is incorrect."),
        (
            "see https://docs.example.com/errors/tokens",
            "see https://docs.example.com/errors/tokens",
        ),
        (
            "AADSTS70008: The refresh token has expired",
            "AADSTS70008: The refresh token has expired",
        ),
        ("trace 255d1aef-8c98-452f-ac51-23d051240864", "trace ***"),
        ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln is bad", "*** is bad"),
        ("token=ya29.a0AfH6SMBx_abcdefgh", "***"),
        ("a\r\n\x00b\u202ec", "a b c"),
        ("secret1 and secret12", "*** and ***"),
        ("", ""),
        (None, ""),
        (5, ""),
    ],
)
def test_texts_are_plain_and_without_tokens(text: object, shown: str) -> None:
    """Words stay; control characters, secrets and what looks like a token do not."""
    assert plain_text(text, ("secret1", "secret12", "")) == shown


@given(
    words=st.lists(st.sampled_from(["the", "token", "is", "gone", "\n", "\u2066"]), max_size=5),
    secret=st.text("abcdefXYZ0123456789-._~+/=", min_size=20, max_size=200).filter(
        lambda text: any(letter.isdigit() for letter in text)
    ),
)
def test_no_long_token_is_shown(words: list[str], secret: str) -> None:
    """Whatever stands around it, a token that the server repeats is masked."""
    shown = plain_text(" ".join([*words, secret, *words]))
    assert secret not in shown
    assert len(shown) <= 512


UNREADABLE: list[Any] = ["", "a b", "a\n", "<b>", "x" * 65, None, True, []]


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("invalid_grant", "invalid_grant"),
        ("BAD_REFRESH_TOKEN_OF_A_USER", "BAD_REFRESH_TOKEN_OF_A_USER"),
        ("a.b:c/d", "a.b:c/d"),
        ("17", "17"),
        *((code, "unreadable") for code in UNREADABLE),
        (190, "190"),
        ("ya29.a0AfH6SMBxabcdefgh", "***"),
    ],
)
def test_codes_are_codes(code: Any, shown: str) -> None:
    """What is no code is not shown as one."""
    assert code_text(code) == shown
