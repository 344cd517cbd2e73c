"""From the text of a definition or a config to JSON values: JSON by RFC 8259, or YAML, in UTF-8.

What one reader would understand differently from the next is refused: duplicate keys, YAML
aliases and tags, half surrogate pairs, numbers beyond a double.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any, Final, NoReturn

from registry.canonical import LONGEST_DOUBLE, Numeral, flaws, integer, members
from registry.model import Problem
from registry.problems import invalid_definition, invalid_instance

MAX_BYTES: Final = 1024 * 1024
_FRAME_WIDTH: Final = 120


def read(text: bytes) -> Any:
    """Read a JSON or YAML text of at most `MAX_BYTES` bytes.

    Text that starts with a brace is JSON, everything else YAML. Raises `InvalidDefinition`.
    """
    try:
        characters = _decoded(text, "a definition")
        if characters.lstrip()[:1] == "{":
            tree = _read_json(characters, Numeral, integer)
        else:
            tree = _read_yaml(characters)
    except _Unreadable as error:
        raise invalid_definition([error.problem]) from None
    if problems := tuple(flaws(tree)):
        raise invalid_definition(problems)
    return tree


def read_config(text: bytes) -> Any:
    """Read the JSON text of a config, of at most `MAX_BYTES` bytes; its numbers are Python's.

    Raises `InvalidInstance`, which quotes nothing of the text: there are secrets in it.
    """
    try:
        tree = _read_json(_decoded(text, "a config"), float, _whole)
    except _Unreadable as error:
        raise invalid_instance([replace(error.problem, path="/config", code_frame="")]) from None
    if problems := tuple(flaws(tree, "/config")):
        raise invalid_instance(problems)
    return tree


class _Unreadable(Exception):
    """A text that is none of its language."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def _decoded(text: bytes, what: str) -> str:
    if len(text) > MAX_BYTES:
        message = f"is {len(text)} bytes long; {what} has at most {MAX_BYTES}"
        raise _Unreadable(Problem("", message))
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"is not UTF-8: byte {error.start} does not belong there"
        raise _Unreadable(Problem("", message)) from None


def _whole(digits: str) -> float:
    # Infinity has no place in JSON, so that a number which is too long is found where it stands.
    return int(digits) if len(digits) <= LONGEST_DOUBLE else inf


def _read_json(text: str, decimal: Callable[[str], float], whole: Callable[[str], float]) -> Any:
    try:
        return json.loads(
            text,
            object_pairs_hook=members,
            parse_float=decimal,
            parse_int=whole,
            parse_constant=_no_constant,
        )
    except json.JSONDecodeError as error:
        raise _Unreadable(_syntax_problem(text, error)) from None
    except RecursionError:
        raise _Unreadable(Problem("", "is nested too deep")) from None
    except _NoJsonNumber as error:
        raise _Unreadable(Problem("", f"{error} is no number of JSON")) from None


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
        raise _Unreadable(problem) from None


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
