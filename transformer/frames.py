"""Shows an author where in the source something went wrong."""

import re
from dataclasses import dataclass

from transformer.model import Script

GUEST_SCRIPT_NAME = "transform.js"
_PLACE = re.compile(r"transform\.js:(\d+):(\d+)")
_CONTEXT_LINES = 1
_MAX_LINE_CHARS = 160


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a source: both 1-based, the column in UTF-16 units as engines count."""

    line: int
    column: int


def place_in(stack: str) -> Place | None:
    """The innermost position of the script in a QuickJS stack trace."""
    found = _PLACE.search(stack)
    return Place(int(found[1]), int(found[2])) if found else None


def renamed(stack: str, script: Script) -> str:
    """The stack trace with the script's own name in it."""
    return stack.rstrip().replace(GUEST_SCRIPT_NAME, script.name)


def code_frame(script: Script, place: Place) -> str | None:
    """The line at fault with its neighbours and a caret below the column."""
    lines = script.source.splitlines()
    if not 1 <= place.line <= len(lines):
        return None
    first = max(1, place.line - _CONTEXT_LINES)
    last = min(len(lines), place.line + _CONTEXT_LINES)
    width = len(str(last))
    shown = []
    for number in range(first, last + 1):
        at_fault = number == place.line
        text, offset = _window(lines[number - 1], place.column if at_fault else 1)
        shown.append(f"{'>' if at_fault else ' '} {number:>{width}} | {text}".rstrip())
        if at_fault:
            shown.append(f"  {' ' * width} | {_indent(text, place.column - offset)}^")
    return "\n".join(shown)


def _window(line: str, column: int) -> tuple[str, int]:
    """A part of a long line that holds the column, and how far in it starts."""
    offset = max(0, column - _MAX_LINE_CHARS // 2) if len(line) > _MAX_LINE_CHARS else 0
    return line[offset : offset + _MAX_LINE_CHARS], offset


def _indent(text: str, column: int) -> str:
    return "".join("\t" if char == "\t" else " " for char in text[: max(0, column - 1)])
