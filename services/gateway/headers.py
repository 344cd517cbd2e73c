"""Request headers that mean something to an rpc; all others stay outside."""

import re
from collections.abc import Mapping
from functools import cache
from itertools import count
from secrets import token_hex

from multidict import istr

from services.gateway.errors import InvalidRequest

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])")
# gRPC over HTTP/2, "Timeout".
_UNIT_SECONDS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
# Longer than any call may take; a deadline far beyond that is more than clocks of gRPC can hold.
LONGEST_TIMEOUT = 3600.0
_numbers = count()
# As `istr`, a name is folded once and not at every look-up.
REQUEST_ID = istr("X-Request-Id")
GRPC_TIMEOUT = istr("Grpc-Timeout")
_FORWARDED = tuple(
    (istr(name), name) for name in ("authorization", "idempotency-key", "traceparent", "tracestate")
)


def request_id(headers: Mapping[str, str]) -> str:
    """The caller's id of the request if it is a usable one, else a new one."""
    given = headers.get(REQUEST_ID)
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return f"{_process_id()}-{next(_numbers):x}"


@cache
def _process_id() -> str:
    """Tells the ids of this process from those of all others, at one system call in its life."""
    return token_hex(8)


def metadata(headers: Mapping[str, str], request_id: str) -> list[tuple[str, str]]:
    """What goes along with the call; a value that gRPC cannot carry is left behind."""
    pairs = [("x-request-id", request_id)]
    for name, key in _FORWARDED:
        value = headers.get(name)
        if value is not None and value.isascii() and value.isprintable():
            pairs.append((key, value))
    return pairs


def timeout(text: str) -> float:
    """Seconds of a `Grpc-Timeout`, an hour at most; raises `InvalidRequest`."""
    match = _TIMEOUT.fullmatch(text)
    if match is None:
        raise InvalidRequest(
            f"Grpc-Timeout has to be up to 8 digits and one of H M S m u n, not '{text[:40]}'"
        )
    return min(int(match[1]) * _UNIT_SECONDS[match[2]], LONGEST_TIMEOUT)
