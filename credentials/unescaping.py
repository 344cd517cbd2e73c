"""Reads through the escapes of a text, and remembers where each character came from.

Writers differ in what they escape (encodeURIComponent leaves `!`, Java leaves `*`, one JSON writer
escapes `/`, another writes é as it is), but all escapes of a family are read in one way only.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from html import unescape
from typing import Final, NamedTuple


class View(NamedTuple):
    """A reading of a text: its characters, where each begins in the original, and where all end."""

    text: str
    starts: Sequence[int]


Characters = Iterator[tuple[str, int]]  # each with its offset inside of the escape

DEPTH: Final = 2  # JSON in a URL, a URL in JSON
SHORT_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def views(text: str) -> Iterator[View]:
    """Answer the text as it is, and every reading of it through up to two layers of escapes."""
    level = [View(text, range(len(text) + 1))]
    seen = {text}
    for _ in range(DEPTH):
        yield from level
        readings = [reading for view in level for reading in _readings(view)]
        level = []
        for reading in readings:
            if reading.text not in seen:
                seen.add(reading.text)
                level.append(reading)
    yield from level


def _readings(view: View) -> Iterator[View]:
    for mark, pattern, read in FAMILIES:
        if mark in view.text:
            yield _read(view, pattern, read)


def _read(view: View, pattern: re.Pattern[str], read: Callable[[str], Characters]) -> View:
    pieces: list[str] = []
    starts: list[int] = []
    done = 0
    for escape in pattern.finditer(view.text):
        pieces.append(view.text[done : escape.start()])
        starts += view.starts[done : escape.start()]
        for character, offset in read(escape.group()):
            pieces.append(character)
            starts.append(view.starts[escape.start() + offset])
        done = escape.end()
    pieces.append(view.text[done:])
    starts += view.starts[done:]
    return View("".join(pieces), starts)


def _percents(escape: str) -> Characters:
    return _octets(escape.replace("%", ""), 3)


def _backslash(escape: str) -> Characters:
    match escape[1]:
        case "x":  # as Python prints bytes
            yield from _octets(escape.replace("\\x", ""), 4)
        case "u" if len(escape) > len("\\u"):
            yield json.loads(f'"{escape}"'), 0
        case "U" if len(escape) > len("\\U"):  # as Python prints what has no glyph
            yield escape.encode().decode("unicode_escape"), 0
        case letter:
            yield SHORT_ESCAPES.get(letter, letter), 0


def _entity(escape: str) -> Characters:
    character = unescape(escape)
    if len(character) == 1:
        yield character, 0
    else:  # no entity
        for offset, itself in enumerate(escape):
            yield itself, offset


def _octets(digits: str, width: int) -> Characters:
    """Read UTF-8, and what is none as Latin-1; each octet was written in `width` characters."""
    offset = 0
    for character in bytes.fromhex(digits).decode(errors="surrogateescape"):
        octets = character.encode(errors="surrogateescape")
        yield (octets.decode("latin-1") if len(octets) == 1 else character), offset
        offset += width * len(octets)


_HEX: Final = "[0-9a-fA-F]"
FAMILIES: Final = (
    ("%", re.compile(f"(?:%{_HEX}{{2}})+"), _percents),
    (
        "\\",
        re.compile(
            rf"\\u[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}"
            rf"|\\u{_HEX}{{4}}|\\U00(?:0{_HEX}|10){_HEX}{{4}}|(?:\\x{_HEX}{{2}})+|\\."
        ),
        _backslash,
    ),
    ("&", re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});"), _entity),
)
