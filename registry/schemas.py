"""Is this a JSON Schema, and may it be one of ours?

`jsonschema` is the authority on the schema language; because `jsonschema_rs` validates at run
time, it has to understand the schema too. References lead to places in the same schema only, so
that validating never waits for another server, nor asks one.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import jsonschema_rs

from registry.fields import kind
from registry.model import Problem, Schema
from registry.problems import pointer

_DIALECTS: Final = (
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-04/schema",
)
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_DATA_KEYWORDS: Final = {"const", "default", "enum", "example", "examples"}
_LONGEST_MESSAGE: Final = 300


def schema_problems(schema: Any, path: str) -> tuple[Problem, ...]:
    """Answer everything that is wrong with a schema that stands at `path` of a definition."""
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
    found = (*_foreign_references(schema, path), *_grammar_problems(schema, path))
    return found or tuple(_compiler_problems(schema, path))


def _grammar_problems(schema: dict[str, Any], path: str) -> Iterator[Problem]:
    # Only registering needs this import, and with its format checkers it may take seconds.
    from jsonschema.validators import Draft202012Validator, validator_for  # noqa: PLC0415

    meta_schema = validator_for(schema, default=Draft202012Validator).META_SCHEMA
    grammar = validator_for(meta_schema)
    checker = grammar(meta_schema, format_checker=grammar.FORMAT_CHECKER)
    for error in checker.iter_errors(schema):
        message = error.message
        if len(message) > _LONGEST_MESSAGE:
            message = message[:_LONGEST_MESSAGE] + "…"
        yield Problem(path + pointer(*error.absolute_path), f"is no JSON Schema: {message}")


def _compiler_problems(schema: dict[str, Any], path: str) -> Iterator[Problem]:
    try:
        jsonschema_rs.validator_for(schema, offline=True, validate_formats=True)
    except jsonschema_rs.ValidationError as error:
        reason = error.message[:_LONGEST_MESSAGE]
        yield Problem(path + pointer(*error.instance_path), f"cannot be compiled: {reason}")
    except (ValueError, TypeError, jsonschema_rs.ReferencingError) as error:
        yield Problem(path, f"cannot be compiled: {str(error)[:_LONGEST_MESSAGE]}")


def _foreign_references(schema: Any, path: str) -> Iterator[Problem]:
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _foreign_references(item, f"{path}/{index}")
    if not isinstance(schema, dict):
        return
    for keyword in _REFERENCES:
        target = schema.get(keyword, "#")
        if isinstance(target, str) and not target.startswith("#"):
            message = "leads out of this schema; copy the target under $defs and write #/$defs/…"
            yield Problem(path + pointer(keyword), message)
    for name, item in schema.items():
        if name not in _DATA_KEYWORDS:
            yield from _foreign_references(item, path + pointer(name))


def properties_of(schema: Schema) -> Mapping[str, Any] | None:
    """Answer the properties a schema lists at its top, None where it lists none."""
    listed = schema.get("properties") if isinstance(schema, Mapping) else None
    return listed if isinstance(listed, Mapping) else None
