"""From the text of a definition to JSON values: JSON by RFC 8259, or YAML, in UTF-8.

What one reader would understand differently from the next is refused: duplicate keys, YAML
aliases and tags, half surrogate pairs, numbers beyond a double.
"""

import json
from typing import Any, Final, NoReturn

from registry.canonical import Numeral, flaws, integer, members
from registry.model import Problem
from registry.problems import invalid_definition

MAX_BYTES: Final = 1024 * 1024
_FRAME_WIDTH: Final = 120


def read(text: bytes) -> Any:
    """Read a JSON or YAML text of at most `MAX_BYTES` bytes.

    Text that starts with a brace is JSON, everything else YAML. Raises `InvalidDefinition`.
    """
    if len(text) > MAX_BYTES:
        message = f"is {len(text)} bytes long; a definition has at most {MAX_BYTES}"
        raise invalid_definition([Problem("", message)])
    try:
        characters = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"is not UTF-8: byte {error.start} does not belong there"
        raise invalid_definition([Problem("", message)]) from None
    tree = _read_json(characters) if characters.lstrip()[:1] == "{" else _read_yaml(characters)
    if problems := tuple(flaws(tree)):
        raise invalid_definition(problems)
    return tree


def _read_json(text: str) -> Any:
    try:
        return json.loads(
            text,
            object_pairs_hook=members,
            parse_float=Numeral,
            parse_int=integer,
            parse_constant=_no_constant,
        )
    except json.JSONDecodeError as error:
        raise invalid_definition([_syntax_problem(text, error)]) from None
    except RecursionError:
        raise invalid_definition([Problem("", "is nested too deep")]) from None
    except _NoJsonNumber as error:
        raise invalid_definition([Problem("", f"{error} is no number of JSON")]) from None


class _NoJsonNumber(Exception):
    """NaN, Infinity or -Infinity, which Python would read."""


def _no_constant(name: str) -> NoReturn:
    raise _NoJsonNumber(name)


def _syntax_problem(text: str, error: json.JSONDecodeError) -> Problem:
    advice = ""
    if text[error.pos : error.pos + 1] == "`":
        advice = '; write a script as a JSON string with \\n, or the definition in YAML with "|"'
    frame = code_frame(text, error.lineno, error.colno)
    return Problem("", f"is not JSON: {error.msg}{advice}", error.lineno, error.colno, frame)


def _read_yaml(text: str) -> Any:
    # Imported here since a start, which it costs 25 ms, needs no YAML.
    from registry.yaml_reader import UnreadableYaml, read_yaml  # noqa: PLC0415

    try:
        return read_yaml(text)
    except UnreadableYaml as error:
        frame = code_frame(text, error.line, error.column) if error.line else ""
        problem = Problem("", f"is not YAML: {error.message}", error.line, error.column, frame)
        raise invalid_definition([problem]) from None


def code_frame(text: str, line: int, column: int) -> str:
    """Answer the line before and this one, numbered, with a mark below the column (both from 1)."""
    lines = text.split("\n")
    start = max(0, column - _FRAME_WIDTH)
    shown = [
        f"{number:>5} | {lines[number - 1][start : start + _FRAME_WIDTH]}"
        for number in (line - 1, line)
        if 1 <= number <= len(lines)
    ]
    return "\n".join([*shown, f"      | {' ' * (column - 1 - start)}^"])
