"""How long an upstream asks us to wait."""

from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite

from executor.headers import Headers

LONGEST_MS = 24 * 3600 * 1000

_RETRY_AFTER = "retry-after"
_RESETS = frozenset(
    {"ratelimit-reset", "x-ratelimit-reset", "x-rate-limit-reset", "x-ratelimit-reset-after"}
)
# A reset is a moment or a number of seconds from now; the size of the number tells which.
_EPOCH_SECONDS = 1_000_000_000
_EPOCH_MILLISECONDS = 1_000_000_000_000


def retry_after_ms(headers: Headers, now: datetime) -> int | None:
    """Answer the longest wait that any header names, at most a day; None when none does.

    Understands Retry-After in seconds and as an HTTP date (RFC 9110 §10.2.3), and the reset of rate
    limits in seconds from now, epoch seconds, epoch milliseconds and as a date.
    """
    waits = [wait for wait in _waits(headers, now) if wait is not None]
    if not waits:
        return None
    return min(max(0, round(max(waits) * 1000)), LONGEST_MS)


def _waits(headers: Headers, now: datetime) -> Iterable[float | None]:
    for name, value in headers:
        key = name.lower()
        if key == _RETRY_AFTER:
            yield _seconds(value) if _is_number(value) else _until(value, now)
        elif key in _RESETS:
            yield _reset(value, now)


def _reset(value: str, now: datetime) -> float | None:
    if not _is_number(value):
        return _until(value, now)
    number = _seconds(value)
    if number is None or number < _EPOCH_SECONDS:
        return number
    seconds = number / 1000 if number >= _EPOCH_MILLISECONDS else number
    return seconds - now.timestamp()


def _is_number(value: str) -> bool:
    return value.strip()[:1] in set("0123456789.-+") and "T" not in value


def _seconds(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _until(value: str, now: datetime) -> float | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(value.strip())
        except (ValueError, OverflowError):
            continue
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (aware - now).total_seconds()
    return None
