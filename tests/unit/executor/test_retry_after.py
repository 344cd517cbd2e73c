"""How long an upstream asks us to wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.retry_after import LONGEST_MS, retry_after_ms
from tests.fakes import NOON

EPOCH = int(NOON.timestamp())


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "120"}, 120_000),
        ({"retry-after": " 1.5 "}, 1_500),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "Fri, 02 Jan 2026 12:00:30 GMT"}, 30_000),
        ({"Retry-After": "Friday, 02-Jan-26 12:00:30 GMT"}, 30_000),
        ({"Retry-After": "Fri, 02 Jan 2026 11:00:00 GMT"}, 0),
        ({"Retry-After": "2026-01-02T12:01:00Z"}, 60_000),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "1e400"}, None),
        ({"Retry-After": "999999999"}, LONGEST_MS),
        ({"X-RateLimit-Reset": "30"}, 30_000),
        ({"X-RateLimit-Reset": str(EPOCH + 45)}, 45_000),
        ({"X-RateLimit-Reset": str((EPOCH + 45) * 1000)}, 45_000),
        ({"X-Rate-Limit-Reset": str(EPOCH - 45)}, 0),
        ({"RateLimit-Reset": "7"}, 7_000),
        ({"X-RateLimit-Reset-After": "0.25"}, 250),
        ({"X-RateLimit-Reset": "2026-01-02T12:00:10+00:00"}, 10_000),
        ({"X-RateLimit-Reset": "2026-01-02T12:00:10"}, 10_000),
        ({"X-RateLimit-Reset": "later"}, None),
        ({"Retry-After": "5", "X-RateLimit-Reset": str(EPOCH + 60)}, 60_000),
        ({"Retry-After": "90", "X-RateLimit-Reset": "junk"}, 90_000),
    ],
)
def test_understands_every_form(headers: dict[str, str], expected: int | None) -> None:
    """Seconds, dates and moments are understood, junk is ignored, the longest wait wins."""
    assert retry_after_ms(tuple(headers.items()), NOON) == expected


@given(st.sampled_from(["Retry-After", "X-RateLimit-Reset"]), st.text(max_size=40))
def test_no_value_breaks_it(name: str, value: str) -> None:
    """Whatever an upstream sends, the answer is a wait of at most a day, or none."""
    wait = retry_after_ms(((name, value),), NOON)
    assert wait is None or 0 <= wait <= LONGEST_MS
