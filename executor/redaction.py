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


class Redaction:
    """Masks the secrets of one authorization wherever they stand in a text, in any common form."""

    __slots__ = ("_forms",)

    def __init__(self, authorization: Authorization) -> None:
        secrets = {secret for secret in _secrets(authorization) if len(secret) >= SHORTEST}
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
    """Take the values apart: `Basic dXNlcjpwdw==` is also `dXNlcjpwdw==`, `user:pw` and `pw`."""
    for _, value in (*authorization.headers, *authorization.query):
        yield value
        for word in value.replace(",", " ").replace(";", " ").split():
            yield word.strip('"')
            _, _, assigned = word.partition("=")
            yield assigned.strip('"')
        scheme, _, rest = value.partition(" ")
        yield rest
        if scheme.lower() == "basic":
            user_and_password = _decoded(rest)
            yield user_and_password
            yield user_and_password.partition(":")[2]


def _decoded(text: str) -> str:
    try:
        return b64decode(text, validate=True).decode()
    except ValueError:
        return ""


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
