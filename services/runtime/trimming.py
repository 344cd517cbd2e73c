"""Errors cut to a size that every client takes.

They travel in HTTP/2 trailers. A client refuses trailers over its limit, 8 KiB by default for many
(gRPC's C core from there on now and then, grpc-java always, base64 and all), and then its caller
learns nothing of the error, not even that sending the call again is no use.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

DETAILS_BYTES = 4096
MESSAGE_BYTES = 512
MOST_MEMBERS = 20
# The longest text, the most items of a list: each step is tried when the one before was not enough.
STEPS = ((2000, 20), (1000, 15), (500, 10), (200, 5), (80, 3))
CUT = "…"


def message(text: str) -> str:
    """Answer a message that is short enough; one that was cut ends with an ellipsis."""
    encoded = text.encode()
    if len(encoded) <= MESSAGE_BYTES:
        return text
    return encoded[: MESSAGE_BYTES - len(CUT.encode())].decode(errors="ignore") + CUT


def details(facts: Mapping[str, object]) -> bytes:
    """Answer details as JSON that is short enough; those that were cut say `truncated`."""
    text = orjson.dumps(facts, option=orjson.OPT_NON_STR_KEYS)
    return text if len(text) <= DETAILS_BYTES else _longest(orjson.loads(text))


def _longest(facts: dict[str, Any]) -> bytes:
    fitting = (text for text in _attempts(facts) if len(text) <= DETAILS_BYTES)
    return next(fitting, b'{"truncated":true}')


def _attempts(facts: dict[str, Any]) -> Iterator[bytes]:
    for characters, items in STEPS:
        yield orjson.dumps({**_cut(facts, characters, items), "truncated": True})


def _cut(value: Any, characters: int, items: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= characters else value[: characters - 1] + CUT
    if isinstance(value, list):
        return [_cut(item, characters, items) for item in value[:items]]
    if isinstance(value, dict):
        kept = list(value.items())[:MOST_MEMBERS]
        return {name[:characters]: _cut(member, characters, items) for name, member in kept}
    return value
