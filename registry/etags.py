"""Etags: how often something was written, and something no other writer can have made up."""

from secrets import token_hex


def first_etag() -> str:
    """Answer the etag of something new."""
    return f"1-{token_hex(4)}"


def next_etag(etag: str) -> str:
    """Answer the etag that follows one of ours."""
    count, _, _ = etag.partition("-")
    return f"{int(count) + 1}-{token_hex(4)}"
