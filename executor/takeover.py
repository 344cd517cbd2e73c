"""`{"$request": {…}}`: a requestTransform that writes the request itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from executor.errors import MethodNotCallable
from executor.headers import Headers, check_name, is_sendable
from executor.json_text import members, scalar
from executor.path import fixed_path
from executor.plan import VERBS

Part = TypeVar("Part")

KEY = "$request"
FIELDS = ("method", "path", "query", "headers", "body")
MARK = b'"$request"'


@dataclass(frozen=True, slots=True)
class Takeover:
    """What the script decided; None leaves a part to the method's binding, but sends no body."""

    method: str | None
    path: str | None
    query: dict[str, bytes] | None
    headers: Headers
    body: bytes | None


def takeover_of(text: bytes) -> Takeover | None:
    """Read the result of a requestTransform, None when it is an ordinary one.

    One without `MARK` always is, and need not be asked about. Raises `MethodNotCallable` when it
    takes over but is not understood.
    """
    try:
        outer = members(text)
    except ValueError:
        return None
    if KEY not in outer:
        return None
    if len(outer) > 1:
        raise _misunderstood(KEY, "it must stand alone in the result")
    inner = _part(KEY, outer[KEY], members)
    for name in inner:
        if name not in FIELDS:
            raise _misunderstood(f"{KEY}.{name}", f"only {', '.join(FIELDS)} are known")
    given = {name: value for name, value in inner.items() if value != b"null" or name == "body"}
    return Takeover(
        method=_part("method", given["method"], _verb) if "method" in given else None,
        path=_part("path", given["path"], _path) if "path" in given else None,
        query=_part("query", given["query"], members) if "query" in given else None,
        headers=_part("headers", given["headers"], _headers) if "headers" in given else (),
        body=given.get("body"),
    )


def _part(name: str, text: bytes, read: Callable[[bytes], Part]) -> Part:
    try:
        return read(text)
    except ValueError as error:
        raise _misunderstood(f"{KEY}.{name}", str(error)) from None


def _string(text: bytes) -> str:
    if not text.startswith(b'"'):
        raise ValueError("it must be a string")
    return scalar(text)


def _verb(text: bytes) -> str:
    verb = _string(text).upper()
    if verb not in VERBS:
        raise ValueError(f"it must be one of {', '.join(sorted(VERBS))}")
    return verb


def _path(text: bytes) -> str:
    return fixed_path(_string(text))


def _headers(text: bytes) -> Headers:
    headers = []
    for name, value in members(text).items():
        check_name(name)
        if value == b"null":
            continue
        content = scalar(value)
        if value[:1] in b"[{" or not is_sendable(content):
            raise ValueError(f"{name} must be a string of visible ASCII characters")
        headers.append((name, content))
    return tuple(headers)


def _misunderstood(place: str, reason: str) -> MethodNotCallable:
    return MethodNotCallable(f"the requestTransform's {place} is not usable: {reason}", place=place)
