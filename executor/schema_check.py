"""JSON Schema, compiled once.

jsonschema-rs both decides and explains: its regular expressions have a backtracking limit, while
`^(a+)+$` would hold jsonschema, and with it the event loop, for minutes on forty characters.
"""

from itertools import islice
from typing import Any

import jsonschema_rs

from executor.json_text import parsed
from registry.model import Problem, Schema

MOST_PROBLEMS = 50
LONGEST_MESSAGE = 300


class SchemaCheck:
    """Tells what is wrong with a value. `root` is the JSON Pointer of the values checked."""

    __slots__ = ("_root", "_validator")

    def __init__(self, schema: Schema, root: str) -> None:
        """Compile the schema; raises ValueError when it is none or refers to remote ones."""
        self._root = root
        self._validator = jsonschema_rs.validator_for(
            schema if isinstance(schema, bool) else dict(schema),
            validate_formats=True,
            offline=True,
        )

    def problems(self, value: Any) -> tuple[Problem, ...]:
        """Answer nothing for a valid value, else the first fifty problems with their paths."""
        try:
            if self._validator.is_valid(value):
                return ()
            return tuple(
                Problem(self._root + pointer(error.instance_path), shorten(error.message))
                for error in islice(self._validator.iter_errors(value), MOST_PROBLEMS)
            )
        except ValueError as error:
            return (Problem(self._root, f"cannot be checked: {shorten(str(error))}"),)

    def problems_in(self, text: bytes) -> tuple[Problem, ...]:
        """Answer the problems of a value that a script wrote as JSON."""
        try:
            value = parsed(text)
        except ValueError as error:
            return (Problem(self._root, f"cannot be checked: {shorten(str(error))}"),)
        return self.problems(value)


def pointer(path: list[str | int]) -> str:
    """Write a JSON Pointer (RFC 6901)."""
    return "".join(["/" + str(step).replace("~", "~0").replace("/", "~1") for step in path])


def shorten(message: str) -> str:
    """Cut a message that quotes a long value."""
    return message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 1] + "…"
