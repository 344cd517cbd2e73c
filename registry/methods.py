"""Reading the methods of a definition."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from registry.binding import Variables, by_convention, read_binding
from registry.fields import Fields, Findings, kind
from registry.model import HttpBinding, Method, Problem, RateLimits, RetryConfig, Schema
from registry.schemas import properties_of
from registry.templates import ConfigFields

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_EXTENSIONS: Final = ("pagination", "errors", "deprecated", "examples", "tags")
_LATER: Final = ("rateLimits", "retryConfig", "pagination", "errors")
_LONGEST_DELAY_MS: Final = 3_600_000
_MOST_METHODS: Final = 1000

SchemaCheck = Callable[[Any, str], tuple[Problem, ...]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading depends on: the definition's type and config, and how schemas are checked."""

    definition_type: str
    check_schema: SchemaCheck
    config: ConfigFields
    findings: Findings


def read_methods(top: Fields, reading: Reading) -> tuple[Method, ...]:
    """Read `methods`; their names are unique."""
    listed = top.raw("methods", [])
    if not isinstance(listed, list):
        top.refuse("methods", f"must be a list, not {kind(listed)}")
        return ()
    if top.has("methods") and not 1 <= len(listed) <= _MOST_METHODS:
        top.refuse("methods", f"must have 1 to {_MOST_METHODS} methods, not {len(listed)}")
        return ()
    methods = tuple(_read_methods(listed, top.at("methods"), reading))
    _check_unique(methods, top)
    return methods


def _read_methods(listed: list[Any], path: str, reading: Reading) -> Iterator[Method]:
    for index, item in enumerate(listed):
        yield _read_method(Fields(item, f"{path}/{index}", reading.findings), reading)


def _check_unique(methods: tuple[Method, ...], top: Fields) -> None:
    first: dict[str, int] = {}
    for index, method in enumerate(methods):
        at = first.setdefault(method.name, index)
        if at != index and method.name:
            message = f"is the name of method {at} too; names are unique"
            top.findings.refuse(f"{top.at('methods')}/{index}/name", message)


def _read_method(fields: Fields, reading: Reading) -> Method:
    fields.required("name")
    param_schema = read_schema(fields, "paramSchema", reading.check_schema)
    _warn_of_no_object(fields, param_schema)
    method = Method(
        name=_name(fields),
        description=fields.text("description"),
        param_schema=param_schema,
        result_schema=read_schema(fields, "resultSchema", reading.check_schema),
        request_transform=_script(fields, "requestTransform"),
        response_transform=_script(fields, "responseTransform"),
        timeout_ms=fields.whole("timeoutMs", 1, 600_000),
        rate_limits=_rate_limits(fields),
        retry_config=_retry_config(fields),
        http=_http(fields, param_schema, reading),
        extensions=fields.rest(_EXTENSIONS),
    )
    fields.warn_of_later(*_LATER)
    return method


def read_schema(fields: Fields, name: str, check: SchemaCheck) -> Schema:
    """Read a JSON Schema; without one, everything matches."""
    schema = fields.raw(name, default=True)
    if fields.has(name):
        fields.findings.add(check(schema, fields.at(name)))
    return schema if isinstance(schema, Mapping | bool) else True


def _warn_of_no_object(fields: Fields, schema: Schema) -> None:
    kinds = schema.get("type", "object") if isinstance(schema, Mapping) else "object"
    if "object" not in (kinds if isinstance(kinds, list) else [kinds]):
        message = "matches nothing: parameters are always an object"
        fields.findings.warn(fields.at("paramSchema"), message)


def _name(fields: Fields) -> str:
    name = fields.text("name")
    if fields.has("name") and not _NAME.fullmatch(name):
        fields.refuse("name", "must be a letter and up to 63 letters, digits and underscores")
    return name


def _script(fields: Fields, name: str) -> str | None:
    source = fields.text(name)
    if fields.has(name) and not source.strip():
        fields.refuse(name, "is empty; leave it out where nothing is transformed")
    return source if fields.has(name) else None


def _http(fields: Fields, param_schema: Schema, reading: Reading) -> HttpBinding:
    http = fields.inner("http")
    if http is not None:
        return read_binding(http, Variables(properties_of(param_schema), reading.config))
    name = fields.raw("name")
    binding = by_convention(name if isinstance(name, str) else "", reading.definition_type)
    if reading.definition_type == "http":
        message = f"has no http; by convention it is {binding.method} {binding.path}"
        fields.findings.warn(fields.path, f"{message}. Say so with http to be sure")
    return binding


def _rate_limits(fields: Fields) -> RateLimits | None:
    limits = fields.inner("rateLimits")
    if limits is None:
        return None
    limits.required("requestsPerMinute")
    per_minute = limits.whole("requestsPerMinute", 1, 10_000_000)
    burst = limits.whole("burstLimit", 1, 10_000_000)
    limits.rest(())
    return RateLimits(per_minute or 1, burst)


def _retry_config(fields: Fields) -> RetryConfig | None:
    retry = fields.inner("retryConfig")
    if retry is None:
        return None
    default = RetryConfig()
    retries = retry.whole("maxRetries", 0, 20)
    initial = retry.whole("initialDelayMs", 0, _LONGEST_DELAY_MS)
    multiplier = retry.number("backoffMultiplier", 1, 100)
    longest = retry.whole("maxDelayMs", 0, _LONGEST_DELAY_MS)
    errors = retry.texts("retryableErrors")
    retry.rest(())
    return RetryConfig(
        max_retries=default.max_retries if retries is None else retries,
        initial_delay_ms=default.initial_delay_ms if initial is None else initial,
        backoff_multiplier=default.backoff_multiplier if multiplier is None else multiplier,
        max_delay_ms=default.max_delay_ms if longest is None else longest,
        retryable_errors=errors,
    )
