"""JSON values as written, and their canonical text.

Canonical is compact, with the members in the order and the numbers in the spelling of the author:
9007199254740993 and 1.0 come back as such. It is what a definition's digest is taken of.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from registry.model import Problem
from registry.problems import pointer

MAX_DEPTH: Final = 64
LONGEST_DOUBLE: Final = 308  # decimal digits that always fit


class Numeral(float):
    """A number that remembers how it is written."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Repeated(dict[str, Any]):
    """An object in which `names` stand more than once."""

    __slots__ = ("names",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs)
        self.names = {name for name, count in counts.items() if count > 1}


def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its members, remembering names that repeat."""
    plain = dict(pairs)
    return plain if len(plain) == len(pairs) else Repeated(pairs)


def integer(text: str) -> int | Numeral:
    """Read a whole number; one that Python would spell differently, or refuse, stays as written."""
    return Numeral(text) if text == "-0" or len(text) > LONGEST_DOUBLE else int(text)


def flaws(value: Any, path: str = "", depth: int = 0) -> Iterator[Problem]:
    """Name what the next reader of this tree would understand differently, or not at all."""
    if isinstance(value, dict):
        yield from _flaws_of_object(value, path, depth)
    elif isinstance(value, list):
        yield from _too_deep(path, depth)
        if depth < MAX_DEPTH:
            for index, item in enumerate(value):
                yield from flaws(item, f"{path}/{index}", depth + 1)
    elif isinstance(value, str) and not _is_unicode(value):
        yield Problem(path, "has half of a surrogate pair; write the character itself")
    elif isinstance(value, float) and not math.isfinite(value):
        yield Problem(path, "is no number of JSON, or one beyond 1.79e308")


def _flaws_of_object(value: dict[str, Any], path: str, depth: int) -> Iterator[Problem]:
    yield from _too_deep(path, depth)
    if isinstance(value, Repeated):
        for name in sorted(value.names):
            yield Problem(path + _pointer(name), "stands more than once; keep one")
    if depth >= MAX_DEPTH:
        return
    for name, item in value.items():
        if not _is_unicode(name):
            yield Problem(path, "has a name with half of a surrogate pair")
        yield from flaws(item, path + _pointer(name), depth + 1)


def _pointer(name: str) -> str:
    return pointer(name if _is_unicode(name) else name.encode("ascii", "replace").decode())


def _too_deep(path: str, depth: int) -> Iterator[Problem]:
    if depth >= MAX_DEPTH:
        yield Problem(path, f"is nested more than {MAX_DEPTH} levels deep")


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def write(value: Any) -> str:
    """Write a tree without flaws in its canonical form."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{write(name)}:{write(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(write, value)) + "]"
    return value.text if isinstance(value, Numeral) else json.dumps(value, ensure_ascii=False)
