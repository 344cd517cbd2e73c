"""JSON Schema, decided and explained."""

from typing import Any

import pytest

from executor.schema_check import LONGEST_MESSAGE, MOST_PROBLEMS, SchemaCheck

CONTACT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "email": {"type": "string", "format": "email"},
        "when": {"format": "date-time"},
        "a/b~c": {"type": "array", "items": {"type": "integer"}},
    },
    "required": ["email"],
}


def test_a_valid_value_has_no_problems() -> None:
    """The usual case answers nothing."""
    check = SchemaCheck(CONTACT, "/parameters")
    assert check.problems({"email": "a@b.example", "when": "2023-09-01T00:00:00Z"}) == ()


def test_every_problem_has_its_path() -> None:
    """All problems come at once, each with a JSON Pointer."""
    problems = SchemaCheck(CONTACT, "/parameters").problems(
        {"email": "x", "when": "soon", "a/b~c": [1, "2"]}
    )
    assert {problem.path for problem in problems} == {
        "/parameters/email",
        "/parameters/when",
        "/parameters/a~1b~0c/1",
    }
    (missing,) = SchemaCheck(CONTACT, "/parameters").problems({})
    assert missing.path == "/parameters"
    assert "email" in missing.message


def test_problems_and_messages_are_bounded() -> None:
    """A value that is wrong a thousand times, at length, makes a short answer."""
    check = SchemaCheck({"items": {"type": "integer"}}, "/data")
    problems = check.problems(["x" * 10_000] * 1000)
    assert len(problems) == MOST_PROBLEMS
    assert all(len(problem.message) <= LONGEST_MESSAGE for problem in problems)


def test_a_pattern_cannot_hold_the_process_up() -> None:
    """A pattern that backtracks without end is given up, and the value refused."""
    check = SchemaCheck({"pattern": "^(a+)+$"}, "/parameters")
    (problem,) = check.problems("a" * 40 + "!")
    assert problem.path == "/parameters"


@pytest.mark.parametrize("schema", [{"type": "nonsense"}, {"$ref": "https://schemas.example/a"}])
def test_an_unusable_schema_is_a_value_error(schema: Any) -> None:
    """A malformed schema is refused at once, and a remote one is never fetched."""
    with pytest.raises(ValueError, match=r"\S"):
        SchemaCheck(schema, "")


def test_a_schema_that_allows_nothing_says_so() -> None:
    """`false` refuses every value."""
    assert SchemaCheck(False, "/data").problems({})  # noqa: FBT003 - a schema


def test_a_value_that_cannot_be_checked_is_a_problem() -> None:
    """A key that is no valid Unicode is a problem of the value, not a crash."""
    (problem,) = SchemaCheck({"propertyNames": {"minLength": 1}}, "/data").problems({"\ud800": 1})
    assert "cannot be checked" in problem.message
