"""Which headers may go out, and how those of several sources become one list."""

import re

from executor.errors import MethodNotCallable

Headers = tuple[tuple[str, str], ...]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# The framing of a message and its way are the client's business (RFC 9110 §7.6.1, RFC 9112 §6).
OURS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def check_name(name: str) -> None:
    """Raise `MethodNotCallable` for a header that a definition may not set."""
    if not _TOKEN.fullmatch(name):
        raise MethodNotCallable(f"{name!r} is no name of a header", header=name)
    if name.lower() in OURS:
        raise MethodNotCallable(f"a definition cannot set the header {name}", header=name)


# Tells whether a value is visible ASCII and spaces only (RFC 9110 §5.5, without obs-text).
is_sendable = re.compile(r"[\x20-\x7e]*").fullmatch


def override(base: Headers, more: Headers) -> Headers:
    """Add headers; one of the same name, in any case, replaces those of the base."""
    names = set(map(str.lower, dict(more)))
    # What mostly is the case, found out without a comprehension: that would be a call of its own.
    if names.isdisjoint(map(str.lower, dict(base))):
        return base + more
    return (*[header for header in base if header[0].lower() not in names], *more)
