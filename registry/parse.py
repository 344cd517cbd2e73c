"""From text to `Definition`, or every problem at once, each with its path."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from registry.access import DEFAULT_SERVER, read_server, read_verification
from registry.canonical import write
from registry.fields import Fields, Findings
from registry.methods import Reading, SchemaCheck, read_methods, read_schema
from registry.model import Definition, DefinitionStatus, ParsedDefinition, Problem
from registry.oauth.captures import captured_fields
from registry.oauth.config import read_oauth2, read_refresh
from registry.placing import read_auth
from registry.problems import invalid_definition, pointer
from registry.schemas import properties_of, schema_problems
from registry.secrecy import Secrecy
from registry.templates import ConfigFields
from registry.text import read

TYPES: Final = ("http", "webhook", "graphql")
AUTH_TYPES: Final = (
    *("none", "api_key", "basic", "bearer", "oauth2", "oauth2_client_credentials"),
    *("jwt_bearer", "hmac", "aws_sigv4", "custom"),
)
_PLAIN: Final = frozenset(
    {"name", "description", "version", "type", "authType", "methods"}
    | {"configSchema", "defaultConfig", "oauth2Config"}
)
_EXTENSIONS: Final = ("webhook", "errors", "limits", "tags", "documentationUrl")
_LATER: Final = ("errors", "limits", "webhook")
_INITIAL_STATUSES: Final = (DefinitionStatus.DRAFT, DefinitionStatus.PUBLISHED)
_LONGEST_NAME: Final = 200
# https://semver.org/#is-there-a-suggested-regular-expression-regex-to-check-a-semver-string
_NUMBER: Final = r"(?:0|[1-9][0-9]{0,15})"
_LABEL: Final = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER: Final = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}"
    rf"(?:-{_LABEL}(?:\.{_LABEL})*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def parse(text: bytes) -> ParsedDefinition:
    """Read a definition from JSON or YAML, at most 1 MiB of UTF-8.

    Raises `InvalidDefinition` with everything that is wrong. Whether its scripts compile is not
    known here.
    """
    parsed, problems = examine(text)
    if problems:
        raise invalid_definition(problems)
    return parsed


def examine(text: bytes) -> tuple[ParsedDefinition, tuple[Problem, ...]]:
    """Read a definition as far as it goes, and answer what is wrong with it beside it.

    Raises `InvalidDefinition` only where there is no object to read.
    """
    tree = read(text)
    findings = Findings()
    if not isinstance(tree, dict):
        Fields(tree, "", findings)
        raise invalid_definition(findings.problems)
    status = _take_status(tree, findings)
    definition = _build(write(tree).encode(), findings, schema_problems)
    parsed = ParsedDefinition(definition, tuple(findings.warnings), status)
    return parsed, tuple(findings.problems)


def parse_document(document: bytes) -> Definition:
    """Read a canonical text that `parse` has made; nothing is checked again."""
    return _build(document, Findings(), lambda _schema, _path: ())


def _take_status(tree: dict[str, Any], findings: Findings) -> DefinitionStatus:
    """Take the status out: where a definition starts is no part of its content."""
    top = Fields(tree, "", findings)
    status = top.word("status", _INITIAL_STATUSES, DefinitionStatus.PUBLISHED)
    tree.pop("status", None)
    return DefinitionStatus(status)


def _build(document: bytes, findings: Findings, check_schema: SchemaCheck) -> Definition:
    tree: dict[str, Any] = json.loads(document)
    top = Fields(tree, "", findings)
    top.required("name", "version", "type", "authType", "methods")
    type_ = top.word("type", TYPES)
    auth_type = top.word("authType", AUTH_TYPES)
    config_schema = read_schema(top, "configSchema", check_schema)
    secret = Secrecy(config_schema).fields()
    described = properties_of(config_schema)
    captured = captured_fields(tree.get("oauth2Config"))
    config = ConfigFields(described, secret, captured)
    methods = read_methods(top, Reading(type_, check_schema, config, findings))
    server = read_server(top, config)
    _warn_of_no_server(top, type_, config)
    _warn_of_required(top, config)
    _warn_of_open_secrets(top, described, secret)
    definition = Definition(
        name=_line(top, "name"),
        version=_version(top),
        type=type_,
        auth_type=auth_type,
        methods=methods,
        document=document,
        digest=hashlib.sha256(document).hexdigest(),
        description=_description(top),
        config_schema=config_schema,
        default_config=_default_config(top, secret),
        oauth2_config=read_oauth2(top, auth_type, config),
        server=server,
        auth=read_auth(top, auth_type, config),
        result_validation=top.word("resultValidation", ("warn", "strict", "off"), "warn"),
        secret_fields=secret,
        captured_fields=captured,
        verification=read_verification(top, config),
        extensions={name: tree[name] for name in tree if name not in _PLAIN},
    )
    read_refresh(top)
    top.rest(_EXTENSIONS)
    top.warn_of_later(*_LATER)
    return definition


def _line(top: Fields, field: str) -> str:
    text = top.text(field)
    if isinstance(top.raw(field), str) and (
        not text.strip() or len(text) > _LONGEST_NAME or _CONTROL.search(text)
    ):
        top.refuse(field, f"must have 1 to {_LONGEST_NAME} characters, none of them a control")
    return text


def _description(top: Fields) -> str:
    text = top.text("description")
    if "\x00" in text:
        top.refuse("description", "must not have the character U+0000")
    return text


def _version(top: Fields) -> str:
    version = top.text("version")
    if isinstance(top.raw("version"), str) and not _is_version(version):
        top.refuse("version", "must be a semantic version such as 1.0.0 (semver.org)")
    return version


def _is_version(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and _SEMVER.fullmatch(text) is not None


def _default_config(top: Fields, secret: tuple[str, ...]) -> Mapping[str, Any]:
    values = dict(top.items("defaultConfig"))
    for name in values:
        if name in secret:
            message = "is secret and must not stand in a definition, which others read"
            top.findings.refuse(top.at("defaultConfig") + pointer(name), message)
    return values


def _warn_of_no_server(top: Fields, type_: str, config: ConfigFields) -> None:
    if top.has("server") or type_ == "webhook":
        return
    if "baseUrl" not in {*(config.described or ()), *config.captured}:
        message = f"has no baseUrl, and without server every call goes to {DEFAULT_SERVER}"
        top.findings.warn("/configSchema", f"{message}; add either")
    elif "baseUrl" in config.secret:
        top.findings.warn("/configSchema", "keeps baseUrl secret, so no call can be addressed")


def _warn_of_required(top: Fields, config: ConfigFields) -> None:
    schema = top.raw("configSchema")
    required = schema.get("required") if isinstance(schema, Mapping) else None
    for name in required if isinstance(required, list) else ():
        if name in config.captured:
            message = f"asks for {name} before anybody connects, which is when it is captured"
            top.findings.warn("/configSchema/required", message)


def _warn_of_open_secrets(
    top: Fields, described: Mapping[str, Any] | None, secret: tuple[str, ...]
) -> None:
    for name, schema in (described or {}).items():
        if name in secret and isinstance(schema, Mapping) and "default" in schema:
            path = top.at("configSchema") + pointer("properties", name, "default")
            top.findings.warn(path, "is the default of a secret, and everybody can read it here")


def transforms(definition: Definition) -> tuple[tuple[str, str], ...]:
    """Answer the scripts of a definition, each with its path."""
    return tuple(
        (f"/methods/{index}/{name}", source)
        for index, method in enumerate(definition.methods)
        for name, source in (
            ("requestTransform", method.request_transform),
            ("responseTransform", method.response_transform),
        )
        if source is not None
    )


def with_path(problem: Problem, path: str) -> Problem:
    """Answer a problem of a script as one of the definition it stands in."""
    return Problem(
        path + problem.path, problem.message, problem.line, problem.column, problem.code_frame
    )
