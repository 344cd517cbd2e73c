"""Keeps secrets out of what an upstream's answer is quoted for."""

import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Iterable
from html import escape
from typing import Any
from urllib.parse import quote, quote_plus

from credentials.model import Authorization

MASK = "***"
SHORTEST = 4  # what is shorter guards nothing, and masking it would wreck the text

_AWS = "AWS4-HMAC-SHA256 "


class Redaction:
    """Masks the secrets of authorizations wherever they stand in a text, in any common form."""

    __slots__ = ("_forms",)

    def __init__(self, *authorizations: Authorization) -> None:
        found = (secret for shown in authorizations for secret in _secrets(shown))
        secrets = {secret for secret in found if len(secret) >= SHORTEST}
        forms = {form for secret in secrets for form in _forms(secret)}
        self._forms = sorted(forms, key=len, reverse=True)

    @property
    def longest(self) -> int:
        """The length of the longest form."""
        return len(self._forms[0]) if self._forms else 0

    def text(self, text: str) -> str:
        """Mask every secret in a text."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return text

    def value(self, value: Any) -> Any:
        """Mask every secret in the strings of a JSON value, keys included."""
        match value:
            case str():
                return self.text(value)
            case list():
                return [self.value(item) for item in value]
            case dict():
                return {self.text(key): self.value(item) for key, item in value.items()}
            case int() | float() if not isinstance(value, bool) and self.text(str(value)) == MASK:
                return MASK
            case _:
                return value


def _secrets(authorization: Authorization) -> Iterable[str]:
    """Take the values apart: what is echoed may be one word of them, or what a word encodes."""
    for _, value in (*authorization.headers, *authorization.query):
        yield value
        if value.startswith(_AWS):
            # The rest is no secret, and what AWS answers is of no use without it.
            yield value.rpartition("Signature=")[2]
            continue
        yield value.partition(" ")[2]
        for word in value.replace(",", " ").replace(";", " ").split():
            yield from _parts(word.strip('"'))


def _parts(word: str) -> Iterable[str]:
    """Take a word apart: `dXNlcjpwdw==` is also `user:pw` and `pw`, `token=x` is also `x`."""
    for text in (word, _decoded(word)):
        yield text
        yield text.partition("=")[2].strip('"')
        yield text.partition(":")[2]


def _decoded(text: str) -> str:
    try:
        decoded = b64decode(text, validate=True).decode()
    except ValueError:
        return ""
    return decoded if decoded.isprintable() else ""


def _forms(secret: str) -> Iterable[str]:
    raw = secret.encode()
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1].replace("/", "\\/")
    yield escape(secret)
    for encoded in (quote(secret, safe=""), quote_plus(secret)):
        yield encoded
        yield _lower_triplets(encoded)
    for packed in (b64encode(raw).decode(), urlsafe_b64encode(raw).decode()):
        yield packed
        yield packed.rstrip("=")
    yield raw.hex()


def _lower_triplets(text: str) -> str:
    head, *pieces = text.split("%")
    return head + "".join("%" + piece[:2].lower() + piece[2:] for piece in pieces)
