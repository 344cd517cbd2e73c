"""Values in a path: whatever a caller sends, it stays inside the place it was given."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from executor.json_text import TemplateValue
from executor.template import Template, encode_reserved

_SEPARATORS = re.compile(r"[/\\]")
_DOTS = frozenset({".", ".."})
_MUST_BE_THERE = frozenset({"", "+"})


class PathRefused(Exception):
    """Values cannot stand in a path; `names` are the variables they belong to."""

    def __init__(self, names: Iterable[str], message: str) -> None:
        super().__init__(message)
        self.names = sorted(names)


def expand_path(template: Template, values: Mapping[str, TemplateValue]) -> str:
    """Expand the path of a URL; raises `PathRefused`.

    Every value is percent-encoded, `/` included; only `{+name}` keeps the slashes of its value.
    Dot segments are refused in every disguise that a lenient server may undo.
    """
    for expression in template.expressions():
        reserved = expression.operator.reserved
        for variable in expression.variables:
            value = values.get(variable.name)
            if not value:
                if value == "" or expression.operator.sign in _MUST_BE_THERE:
                    raise PathRefused(
                        (variable.name,), "is needed in the path and must not be empty"
                    )
                continue
            for piece in _pieces(value):
                _check(variable.name, piece, keeps_slashes=reserved)
    path = template.expand(values).replace("?", "%3F").replace("#", "%23")
    if has_dot_segments(path):
        raise PathRefused(template.names, "together make a path segment that is . or ..")
    return path


def has_dot_segments(path: str) -> bool:
    """Tell whether a segment is `.` or `..`, also when it is percent-encoded."""
    if "." not in path and "%" not in path:
        return False
    return not _DOTS.isdisjoint(_SEPARATORS.split(unquote(path)))


def fixed_path(path: str) -> str:
    """Encode a path that a script wrote; raises ValueError when it could leave its place."""
    if not path.startswith("/"):
        raise ValueError("it must start with /")
    if "?" in path or "#" in path:
        raise ValueError("it must not hold ? or #: give the query as `query`")
    if has_dot_segments(path):
        raise ValueError("it must not hold a segment that is . or ..")
    return encode_reserved(path)


def _pieces(value: str | list[str] | list[tuple[str, str]]) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    return [text for item in value for text in ((item,) if isinstance(item, str) else item)]


def _check(name: str, piece: str, *, keeps_slashes: bool) -> None:
    if not piece or (keeps_slashes and "" in piece.split("/")):
        raise PathRefused((name,), "must not make an empty segment of the path")
    if has_dot_segments(piece):
        raise PathRefused((name,), "must not hold a path segment that is . or ..")
