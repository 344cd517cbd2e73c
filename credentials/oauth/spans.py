"""How long something lasts, as servers say it."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any, Final

LONGEST: Final = 10 * 365 * 86_400.0  # ten years
_LONGEST_WAIT: Final = 86_400.0
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,400}(?:\.[0-9]{1,400})?(?:[eE][+-]?[0-9]{1,3})?")
_MILLISECONDS_FROM: Final = 1e11  # as seconds that were the year 5138


def lifetime(value: Any, unit: str, headers: Mapping[str, str]) -> float | None:
    """Answer seconds from now, from 0 to ten years; None for what says nothing.

    `unit` is s, ms, or absolute: seconds or milliseconds since 1970, or RFC 3339; that needs the
    answer's own `Date` to be a span.
    """
    if unit == "absolute":
        return _until(value, headers)
    amount = number(value)
    if amount is None:
        return None
    return min(max(amount / 1000 if unit == "ms" else amount, 0.0), LONGEST)


def number(value: Any) -> float | None:
    """Answer a finite number, or the text of one; None for anything else."""
    if isinstance(value, str):
        text = value.strip()
        value = float(text) if _NUMBER.fullmatch(text) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        amount = float(value)
    except OverflowError:
        amount = LONGEST if value > 0 else 0.0
    return amount if isfinite(amount) else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Answer the seconds of `Retry-After` (RFC 9110 §10.2.3), at most a day; None without one."""
    value = headers.get("retry-after", "").strip()
    amount = number(value)
    if amount is None:
        then, now = _http_date(value), _http_date(headers.get("date", ""))
        amount = (then - now).total_seconds() if then and now else None
    return None if amount is None else min(max(amount, 0.0), _LONGEST_WAIT)


def _until(value: Any, headers: Mapping[str, str]) -> float | None:
    now = _http_date(headers.get("date", ""))
    end = number(value)
    if end is None:
        end = _timestamp(value)
    elif end >= _MILLISECONDS_FROM:
        end /= 1000
    if now is None or end is None:
        return None
    return min(max(end - now.timestamp(), 0.0), LONGEST)


def _timestamp(value: Any) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
