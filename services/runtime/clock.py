"""The time of day, for those who are given a clock."""

from datetime import UTC, datetime


def now() -> datetime:
    """Answer the present moment, aware, in UTC."""
    return datetime.now(UTC)
