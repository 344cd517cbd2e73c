"""Texts of other people's servers, made fit to be shown: short, plain, and without a token."""

import re
from collections.abc import Iterable
from typing import Any, Final

LONGEST: Final = 512
UNREADABLE: Final = "unreadable"
_LONGEST_READ: Final = 4096
_SHORTEST_SECRET: Final = 4
_CONTROL: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+"
)
_TOKEN_LIKE: Final = re.compile(r"[A-Za-z0-9._~+/=%-]{20,}")
_CODE: Final = re.compile(r"[A-Za-z0-9._:/-]{1,64}")


def plain_text(value: Any, secrets: Iterable[str] = ()) -> str:
    """Answer a text of at most 512 characters, nothing for what is no text.

    `secrets` are masked wherever they stand, and so is every long word that could be one: a word of
    20 characters or more with a digit or both cases in it.
    """
    if not isinstance(value, str):
        return ""
    text = _CONTROL.sub(" ", value[:_LONGEST_READ])
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    masked = _TOKEN_LIKE.sub(_mask, text).strip()
    return masked if len(masked) <= LONGEST else f"{masked[: LONGEST - 1]}…"


def code_text(value: Any) -> str:
    """Answer an error code as it may be shown; `unreadable` for what is none."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _CODE.fullmatch(text):
        return UNREADABLE
    return _TOKEN_LIKE.sub(_mask, text)


def _mask(match: re.Match[str]) -> str:
    word = match.group()
    mixed = word != word.upper() and word[1:] != word[1:].lower()
    return "***" if mixed or any(letter.isdigit() for letter in word) else word
