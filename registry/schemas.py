"""Is this a JSON Schema, and may it be one of ours?

Checked is what the dialect's meta-schema says, and what `jsonschema_rs`, which validates at run
time, can compile. References lead to places in the same schema only: validating waits for no other
server, and asks none.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from registry.fields import did_you_mean, kind
from registry.model import Problem, Schema
from registry.problems import MOST_SHOWN, pointer

_DIALECTS: Final = (
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-04/schema",
)
_TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_DATA_KEYWORDS: Final = {"const", "default", "enum", "example", "examples"}
_LONGEST_MESSAGE: Final = 300
_LONGEST_PATTERN: Final = 5000


def schema_problems(schema: Any, path: str) -> tuple[Problem, ...]:
    """Answer what is wrong with a schema that stands at `path` of a definition."""
    if isinstance(schema, bool):
        return ()
    if not isinstance(schema, dict):
        return (
            Problem(path, f"must be a JSON Schema: an object or a boolean, not {kind(schema)}"),
        )
    dialect = schema.get("$schema", _DIALECTS[0])
    if not isinstance(dialect, str) or dialect.rstrip("#") not in _DIALECTS:
        message = f"is not a dialect that is known here; known are {', '.join(_DIALECTS)}"
        return (Problem(path + pointer("$schema"), message),)
    grammar = _grammar(dialect.rstrip("#"))
    errors = islice(grammar.iter_errors(schema), MOST_SHOWN)
    wrong = [_grammar_problem(error, path) for error in errors]
    found = tuple(dict.fromkeys([*wrong, *_own_problems(schema, path)]))
    return found or tuple(_compiler_problems(schema, path))


@cache
def _grammar(dialect: str) -> jsonschema_rs.Validator:
    meta_schema = {"$schema": dialect, "$ref": dialect}
    return jsonschema_rs.validator_for(meta_schema, offline=True, validate_formats=True)


def _grammar_problem(error: jsonschema_rs.ValidationError, path: str) -> Problem:
    place = path + pointer(*error.instance_path)
    if error.instance_path[-1:] == ["type"] and error.kind.name == "anyOf":
        hint = did_you_mean(str(error.instance), _TYPES)
        return Problem(place, f"must be of {', '.join(_TYPES)}, or a list of them{hint}")
    return Problem(place, f"is no JSON Schema: {_short(error.message)}")


def _compiler_problems(schema: dict[str, Any], path: str) -> Iterator[Problem]:
    try:
        jsonschema_rs.validator_for(schema, offline=True, validate_formats=True)
    except jsonschema_rs.ValidationError as error:
        place = path + pointer(*error.instance_path)
        yield Problem(place, f"cannot be compiled: {_short(error.message)}")
    except (ValueError, TypeError, jsonschema_rs.ReferencingError) as error:
        yield Problem(path, f"cannot be compiled: {_short(str(error))}")


def _own_problems(schema: Any, path: str) -> Iterator[Problem]:
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _own_problems(item, f"{path}/{index}")
    if not isinstance(schema, dict):
        return
    for keyword in _REFERENCES:
        target = schema.get(keyword, "#")
        if isinstance(target, str) and not target.startswith("#"):
            message = "leads out of this schema; copy the target under $defs and write #/$defs/…"
            yield Problem(path + pointer(keyword), message)
    yield from _pattern_problems(schema, path)
    for name, item in schema.items():
        if name not in _DATA_KEYWORDS:
            yield from _own_problems(item, path + pointer(name))


def _pattern_problems(schema: dict[str, Any], path: str) -> Iterator[Problem]:
    by_name = schema.get("patternProperties")
    patterns = list(by_name) if isinstance(by_name, dict) else []
    places = [(pattern, pointer("patternProperties", pattern)) for pattern in patterns]
    for pattern, place in [*places, (schema.get("pattern"), pointer("pattern"))]:
        if isinstance(pattern, str) and len(pattern) > _LONGEST_PATTERN:
            at = (path + place)[:_LONGEST_MESSAGE]
            yield Problem(at, f"is longer than {_LONGEST_PATTERN} characters")


def _short(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + "…"


def properties_of(schema: Schema) -> Mapping[str, Any] | None:
    """Answer the properties a schema lists at its top, None where it lists none."""
    listed = schema.get("properties") if isinstance(schema, Mapping) else None
    return listed if isinstance(listed, Mapping) else None
