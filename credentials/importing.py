"""Tokens that an owner brings along, read strictly: what is stored must be usable."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final

from credentials.errors import InvalidCredentials
from credentials.grants import Grant

_MOST_SECONDS: Final = 10 * 365 * 86_400
_VISIBLE: Final = re.compile(r"[\x21-\x7e]{1,16384}")
_PRINTABLE: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{0,16384}")


def read_tokens(data: Mapping[str, Any], now: float, margin: float | None) -> Grant:
    """Read `access_token`, `refresh_token`, `token_type`, `scope`, `expires_at`, `expires_in`.

    `expires_at` is RFC 3339 or seconds since 1970, and wins over `expires_in`; with neither of them
    the token has no known end. Raises `InvalidCredentials`, naming the field.
    """
    access_token = _text(data, "access_token")
    if not _VISIBLE.fullmatch(access_token):
        raise _invalid("access_token", "must be visible ASCII, at most 16384 characters")
    return Grant(
        access_token=access_token,
        refresh_token=_text(data, "refresh_token"),
        token_type=_text(data, "token_type") or "Bearer",
        scope=_text(data, "scope"),
        received_at=now,
        expires_at=_expiry(data, now),
        margin=margin,
    )


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or not _PRINTABLE.fullmatch(value):
        raise _invalid(name, "must be a printable text")
    return value


def _expiry(data: Mapping[str, Any], now: float) -> float | None:
    at, seconds = data.get("expires_at"), data.get("expires_in")
    if isinstance(at, str):
        try:
            moment = datetime.fromisoformat(at)
            return _bounded(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp(), now)
        except (ValueError, OverflowError):
            raise _invalid("expires_at", "must be a time (RFC 3339)") from None
    if at is not None:
        return _bounded(_number("expires_at", at), now)
    return None if seconds is None else _bounded(now + _number("expires_in", seconds), now)


def _number(name: str, value: Any) -> float:
    try:
        number = value if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = False
    if isinstance(number, bool) or not isfinite(number):
        raise _invalid(name, "must be a number of seconds")
    return number


def _bounded(end: float, now: float) -> float:
    return min(max(end, 0.0), now + _MOST_SECONDS)


def _invalid(name: str, problem: str) -> InvalidCredentials:
    return InvalidCredentials(f"Credentials field {name!r} {problem}", field=name)
