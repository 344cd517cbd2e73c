"""What an upstream's answer means: judged by one table, then read."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import orjson

from credentials.model import Authorization
from executor.errors import (
    CredentialsRefused,
    ExecutorError,
    Postponed,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamUnavailable,
)
from executor.json_text import dump
from executor.model import HttpResponse
from executor.redaction import Redaction
from executor.retry_after import retry_after_ms

QUOTED = 2048
REDIRECTION = 3
NULL = b"null"

Outcome = type[ExecutorError] | None
Shown = tuple[Authorization, ...]

OUTCOMES: Mapping[int, Outcome] = MappingProxyType(
    {
        401: CredentialsRefused,
        429: UpstreamRateLimited,
        502: UpstreamUnavailable,
        503: UpstreamUnavailable,
        504: UpstreamUnavailable,
    }
)
CLASSES: Mapping[int, Outcome] = MappingProxyType({2: None})
MESSAGES: Mapping[type[ExecutorError], str] = MappingProxyType(
    {
        CredentialsRefused: "the upstream refused our credentials",
        UpstreamRateLimited: "the upstream's rate limit is used up",
        UpstreamUnavailable: "the upstream is not available for the moment",
        UpstreamFailed: "the upstream answered with an error",
    }
)

_JSON = re.compile(r"[^/;\s]+/(?:[^/;\s]+[+-])?json", re.IGNORECASE)
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\";\s]+)", re.IGNORECASE)
_USUAL = frozenset({"", "application/json"})
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_BOM = b"\xef\xbb\xbf"


def refuses(response: HttpResponse) -> bool:
    """Tell whether the answer means that our credentials are not, or no longer, good."""
    return OUTCOMES.get(response.status) is CredentialsRefused


def judge(response: HttpResponse, shown: Shown, clock: Callable[[], datetime]) -> None:
    """Return for a success; else raise what the status stands for, quoting the scrubbed answer.

    `shown` are the authorizations whose secrets the answer may hold.
    """
    status = response.status
    outcome = OUTCOMES.get(status, CLASSES.get(status // 100, UpstreamFailed))
    if outcome is None:
        return
    message = f"{MESSAGES[outcome]} ({status})"
    details = {"statusCode": status, **_quotation(response, shown)}
    if status // 100 == REDIRECTION:
        location = response.header("location") or ""
        where = Redaction(*shown).text(location.partition("?")[0].partition("#")[0])
        message = f"the upstream points elsewhere ({status}), and redirects are not followed"
        details["location"] = _without_userinfo(where)
    if issubclass(outcome, Postponed):
        wait = retry_after_ms(response.headers, clock())
        raise outcome(message, retry_after_ms=wait, **details)
    raise outcome(message, **details)


def read(response: HttpResponse, shown: Shown) -> tuple[bytes, Any]:
    """Answer the JSON text of a success, its bytes as they came, and the value parsed from it.

    An empty answer is `null`.

    Raises `UpstreamFailed` for what is no JSON.
    """
    body = response.body.removeprefix(_BOM)
    if response.status in {204, 205} or not body or body.isspace():
        return NULL, None
    media_type, charset = _content_type(response.header("content-type") or "")
    if media_type not in _USUAL and not _JSON.fullmatch(media_type):
        raise UpstreamFailed(
            f"the upstream answered {media_type} where JSON was expected",
            statusCode=response.status,
            **_quotation(response, shown),
        )
    try:
        if charset not in _UTF8:
            body = _utf8(body, charset)
        return body, orjson.loads(body)
    except ValueError as error:
        raise UpstreamFailed(
            f"the upstream's answer is no valid JSON: {error}",
            statusCode=response.status,
            **_quotation(response, shown),
        ) from None


def facts(response: HttpResponse) -> bytes:
    """Write what a responseTransform may know of the answer: its status and headers."""
    headers: dict[str, str] = {}
    for name, value in response.headers:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return b'{"status":%d,"headers":%b}' % (response.status, dump(headers))


@lru_cache(maxsize=256)  # an upstream says the same with every answer
def _content_type(text: str) -> tuple[str, str]:
    """Answer the media type and the charset, both in lower case."""
    charset = _CHARSET.search(text)
    return text.partition(";")[0].strip().lower(), charset[1].lower() if charset else "utf-8"


def _utf8(body: bytes, charset: str) -> bytes:
    try:
        return body.decode(charset).encode()
    except LookupError:
        raise ValueError(f"the charset {charset} is not known") from None


def _quotation(response: HttpResponse, shown: Shown) -> dict[str, object]:
    if not response.body:
        return {}
    redaction = Redaction(*shown)
    if len(response.body) <= QUOTED:
        try:
            return {"response": redaction.value(orjson.loads(response.body))}
        except ValueError:
            pass
    return {"response": _cut(response.body, redaction)}


def _cut(body: bytes, redaction: Redaction) -> str:
    """Quote the beginning. A secret that the window cuts in two is not recognised: it goes."""
    size = QUOTED + redaction.longest
    start = body[: size * 4].decode("utf-8", "replace")
    text = redaction.text(start[:size])
    if len(start) > size or len(body) > size * 4:
        text = text[: max(0, len(text) - redaction.longest)]
    elif len(text) <= QUOTED:
        return text
    return text[: QUOTED - 1] + "…"


def _without_userinfo(location: str) -> str:
    return re.sub(r"//[^/]*@", "//***@", location)
