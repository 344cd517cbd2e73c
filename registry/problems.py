"""Problems and where they are: JSON Pointers (RFC 6901), and problems as details of an error."""

from collections.abc import Iterable
from typing import Any, Final

from registry.errors import InvalidDefinition, InvalidInstance, InvalidPageRequest
from registry.model import Problem

MOST_SHOWN: Final = 100
"""So many problems are shown in full; nobody mends more at once."""


def pointer(*parts: str | int) -> str:
    """Answer the JSON Pointer of these reference tokens; the empty text points at the whole."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def as_details(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Answer problems as JSON-able objects; line, column and codeFrame only where known."""
    return [_as_detail(problem) for problem in problems]


def _as_detail(problem: Problem) -> dict[str, Any]:
    optional = {"line": problem.line, "column": problem.column, "codeFrame": problem.code_frame}
    known = {name: value for name, value in optional.items() if value}
    return {"path": problem.path, "message": problem.message, **known}


def summary(problems: tuple[Problem, ...]) -> str:
    """Answer one sentence for people: the first problem and how many follow."""
    first = problems[0]
    rest = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    where = f"{first.path}: " if first.path else ""
    return f"{where}{first.message}{rest}"


def invalid_definition(problems: Iterable[Problem]) -> InvalidDefinition:
    """Answer the error that lists these problems, of which there must be one at least."""
    found = tuple(problems)
    message = f"The definition is not valid: {summary(found)}"
    return InvalidDefinition(message, problems=as_details(found))


def invalid_instance(problems: Iterable[Problem]) -> InvalidInstance:
    """Answer the error that lists these problems, of which there must be one at least."""
    found = tuple(problems)
    message = f"The instance is not valid: {summary(found)}"
    return InvalidInstance(message, problems=as_details(found))


def invalid_page_request(problems: Iterable[Problem]) -> InvalidPageRequest:
    """Answer the error that lists these problems, of which there must be one at least."""
    found = tuple(problems)
    message = f"The list cannot be answered: {summary(found)}"
    return InvalidPageRequest(message, problems=as_details(found))


def from_details(details: object) -> tuple[Problem, ...]:
    """Answer the problems of which `as_details` made these objects."""
    listed = details if isinstance(details, list) else []
    return tuple(
        Problem(
            path=item["path"],
            message=item["message"],
            line=item.get("line", 0),
            column=item.get("column", 0),
            code_frame=item.get("codeFrame", ""),
        )
        for item in listed
    )
