"""The config of an instance: completing it with defaults, and what is wrong with it.

Messages speak of names and of what the schema asks for, never of values: any of them may be secret.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

import jsonschema_rs

from registry.canonical import flaws
from registry.model import Definition, Instance, Problem, Schema
from registry.problems import pointer
from registry.schemas import properties_of
from registry.secrecy import Secrecy

_LONGEST_NAME: Final = 200
_LONGEST_CAPTURED: Final = 2048
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNSENDABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SAME_VALUE: Final = ("allOf", "anyOf", "oneOf")
_BRANCHES: Final = ("if", "then", "else", "not")
# Where each auth type has its credentials: properties of `AuthPlacement` that name the fields.
_CREDENTIALS: Final[Mapping[str, tuple[str, ...]]] = {
    "api_key": ("field",),
    "bearer": ("field",),
    "basic": ("username_field", "field"),
}
_Message = Callable[[Mapping[str, Any]], str]


def completed(config: Mapping[str, Any], definition: Definition) -> dict[str, Any]:
    """Put the definition's `defaultConfig`, then its schema's `default`s, below a config."""
    described = properties_of(definition.config_schema) or {}
    defaults = {
        name: schema["default"]
        for name, schema in described.items()
        if isinstance(schema, Mapping) and "default" in schema
    }
    return {**defaults, **definition.default_config, **config}


def config_problems(
    config: Mapping[str, Any], definition: Definition, kept: Collection[str] = ()
) -> tuple[Problem, ...]:
    """Answer everything that is wrong with a completed config, each below `/config`.

    `kept` are the secrets the instance holds already: present, whatever they are.
    """
    if flawed := (*flaws(dict(config), "/config"), *_unsendable(config, definition)):
        return flawed
    schema = _knowing(definition.config_schema, definition.captured_fields)
    schema = _without(schema, kept) if kept else schema
    validator = jsonschema_rs.validator_for(_plain(schema), offline=True, validate_formats=True)
    candidate = {**dict.fromkeys(kept, ""), **config}
    if validator.is_valid(candidate):
        return ()
    found = dict.fromkeys(_problem(error) for error in validator.iter_errors(candidate))
    return tuple(problem for problem in found if not _is_of(problem.path, kept))


def captured_problems(
    captured: Mapping[str, Any], instance: Instance, definition: Definition
) -> tuple[Problem, ...]:
    """Answer what is wrong with what an API has told for the config of an instance.

    It has to fit the configSchema, where that describes it, and no secret is among it.
    """
    found = tuple(problem for item in captured.items() if (problem := _capture_problem(*item)))
    _, secret = Secrecy(definition.config_schema).split(captured)
    found += tuple(Problem(pointer("config", name), "is secret") for name in secret)
    if found:
        return found
    whole = {**instance.config, **captured}
    problems = config_problems(whole, definition, instance.secret_fields)
    return tuple(problem for problem in problems if _is_of(problem.path, captured))


def _capture_problem(name: str, value: Any) -> Problem | None:
    place = pointer("config", name)
    if not isinstance(value, str):
        return Problem(place, "must be a text")
    if _CONTROL.search(value) or len(value.encode()) > _LONGEST_CAPTURED:
        message = f"must have at most {_LONGEST_CAPTURED} bytes, and no control characters"
        return Problem(place, message)
    return None


def _knowing(schema: Schema, captured: Collection[str]) -> Schema:
    """Answer the schema where captured fields may stand, whatever it says of unknown ones."""
    if isinstance(schema, bool) or not captured:
        return schema
    open_ = dict(schema)
    described = schema.get("properties", {})
    if isinstance(described, Mapping):
        open_["properties"] = {**dict.fromkeys(captured, True), **described}
    for keyword in _SAME_VALUE:
        if isinstance(schema.get(keyword), list):
            open_[keyword] = [_knowing(item, captured) for item in schema[keyword]]
    return open_


def _unsendable(config: Mapping[str, Any], definition: Definition) -> Iterator[Problem]:
    """Name the credentials that no request could carry, whatever a schema allows."""
    for place in _CREDENTIALS.get(definition.auth_type, ()):
        name: str = getattr(definition.auth, place)
        value = config.get(name)
        if isinstance(value, str) and _UNSENDABLE.search(value):
            yield Problem(pointer("config", name), "must not have control characters")


def name_problems(name: str) -> tuple[Problem, ...]:
    """Answer what is wrong with the name of an instance."""
    if name.strip() and len(name) <= _LONGEST_NAME and not _CONTROL.search(name):
        return ()
    message = f"must have 1 to {_LONGEST_NAME} characters, none of them a control"
    return (Problem("/name", message),)


def _plain(schema: Schema) -> dict[str, Any] | bool:
    return schema if isinstance(schema, bool) else dict(schema)


def _without(schema: Any, names: Collection[str]) -> Any:
    """Answer the schema without what it says about the values of these top-level properties."""
    if not isinstance(schema, dict):
        return schema
    loose = dict(schema)
    described = schema.get("properties")
    if isinstance(described, dict):
        opened = {name: True for name in names if name in described}
        loose["properties"] = {**described, **opened}
    for keyword in _SAME_VALUE:
        if isinstance(schema.get(keyword), list):
            loose[keyword] = [_without(item, names) for item in schema[keyword]]
    loose.update({key: _without(schema[key], names) for key in _BRANCHES if key in schema})
    return loose


def _problem(error: jsonschema_rs.ValidationError) -> Problem:
    details = error.kind.as_dict()
    place = ["config", *error.instance_path]
    if error.kind.name == "required":
        place.append(details["property"])
    if error.schema_path[-1:] == ["additionalProperties"] and "unexpected" not in details:
        return Problem(pointer(*place), "has fields, and none are known")
    say = _MESSAGES.get(error.kind.name)
    message = say(details) if say else f"does not satisfy {error.kind.name} of configSchema"
    return Problem(pointer(*place), message)


def _is_of(path: str, fields: Collection[str]) -> bool:
    """Tell whether a path leads to or into one of these top-level fields of the config."""
    places = [pointer("config", name) for name in fields]
    return any(path == place or path.startswith(place + "/") for place in places)


def _shown(values: Any) -> str:
    return ", ".join(json.dumps(value, ensure_ascii=False) for value in values)


_MESSAGES: Final[Mapping[str, _Message]] = {
    "required": lambda _: "is missing",
    "type": lambda d: f"must be of type {' or '.join(sorted(d['types']))}",
    "enum": lambda d: f"must be one of {_shown(d['options'])}",
    "const": lambda d: f"must be {_shown([d['expected_value']])}",
    "format": lambda d: f"must be a valid {d['format']}",
    "pattern": lambda d: (
        f"must match the pattern {d['pattern']}"
        if "pattern" in d
        else "takes too long to be matched with its pattern"
    ),
    "minLength": lambda d: f"must have at least {d['limit']} characters",
    "maxLength": lambda d: f"must have at most {d['limit']} characters",
    "minimum": lambda d: f"must be at least {d['limit']}",
    "maximum": lambda d: f"must be at most {d['limit']}",
    "exclusiveMinimum": lambda d: f"must be more than {d['limit']}",
    "exclusiveMaximum": lambda d: f"must be less than {d['limit']}",
    "multipleOf": lambda d: f"must be a multiple of {d['multiple_of']}",
    "minItems": lambda d: f"must have at least {d['limit']} items",
    "maxItems": lambda d: f"must have at most {d['limit']} items",
    "uniqueItems": lambda _: "must not have the same item twice",
    "minProperties": lambda d: f"must have at least {d['limit']} fields",
    "maxProperties": lambda d: f"must have at most {d['limit']} fields",
    "additionalProperties": lambda d: f"has fields that are not known: {_shown(d['unexpected'])}",
    "unevaluatedProperties": lambda d: f"has fields that are not known: {_shown(d['unexpected'])}",
    "propertyNames": lambda _: "has a field whose name is not allowed",
    "anyOf": lambda _: "matches none of the alternatives (anyOf) of configSchema",
    "oneOf": lambda _: "must match exactly one of the alternatives (oneOf) of configSchema",
    "not": lambda _: "matches what configSchema excludes (not)",
    "falseSchema": lambda _: "must not be given",
}
