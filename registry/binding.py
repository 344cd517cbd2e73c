"""How a method is bound to HTTP: as written, or else by convention."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from registry.fields import Fields
from registry.model import HttpBinding
from registry.problems import pointer
from registry.templates import (
    CONFIG,
    ConfigFields,
    MalformedTemplate,
    header_variables,
    uri_variables,
)

HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")  # RFC 9110 §5.6.2
_VERBS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_BODILESS: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
_BODIES: Final = ("json", "form", "none")
_LATER_BODIES: Final = frozenset({"multipart", "text"})
_OURS: Final = frozenset(
    {"connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding"}
    | {"upgrade", "proxy-connection", "expect"}
)
_FIRST_WORD: Final = re.compile(r"[A-Z]?[a-z]*")
_CONVENTION: Final = {
    **dict.fromkeys(("get", "list", "search", "find", "fetch", "read"), "GET"),
    **dict.fromkeys(("delete", "remove"), "DELETE"),
    **dict.fromkeys(("update", "replace"), "PUT"),
    "patch": "PATCH",
}


@dataclass(frozen=True, slots=True)
class Variables:
    """What a method's templates may name: its parameters, and fields of the config.

    `parameters` are the properties of the paramSchema, None where it lists none.
    """

    parameters: Collection[str] | None
    config: ConfigFields

    def problem(self, variable: str) -> str:
        """Answer what is wrong with a variable; nothing when it can stand in a template."""
        if variable.startswith(CONFIG):
            return self.config.problem(variable)
        if self.parameters is not None and variable not in self.parameters:
            return f"uses {{{variable}}}, which is no property of the method's paramSchema"
        return ""


def by_convention(method_name: str, definition_type: str) -> HttpBinding:
    """Bind a method that doesn't say how: the verb by its first word, the path by its name.

    GraphQL has one place and one verb for everything.
    """
    if definition_type == "graphql":
        return HttpBinding("POST", "", by_convention=True)
    first = _FIRST_WORD.match(method_name)
    verb = _CONVENTION.get(first.group().lower() if first else "", "POST")
    body = "none" if verb in _BODILESS else "json"
    return HttpBinding(verb, f"/{method_name}", body=body, by_convention=True)


def read_binding(http: Fields, variables: Variables) -> HttpBinding:
    """Read a method's `http`."""
    http.required("method", "path")
    verb = _verb(http)
    binding = HttpBinding(
        method=verb,
        path=_path(http, variables),
        headers=_headers(http, variables),
        body=_body(http, "none" if verb in _BODILESS else "json"),
        idempotency_header=read_header_name(http, "idempotencyHeader"),
    )
    http.rest(())
    http.warn_of_later("idempotencyHeader")
    return binding


def _verb(http: Fields) -> str:
    written = http.text("method", "GET")
    verb = written.upper()
    if verb not in _VERBS:
        http.refuse("method", f"must be one of {', '.join(_VERBS)}")
    return verb


def _path(http: Fields, variables: Variables) -> str:
    path = http.text("path")
    try:
        names = uri_variables(path)
    except MalformedTemplate as error:
        http.refuse("path", f"is no RFC 6570 template: {error}")
        return path
    for problem in path_problems(path):
        http.refuse("path", problem)
    _check_variables(http, "path", names, variables)
    return path


def path_problems(path: str) -> Iterator[str]:
    """Name what is wrong with a path that is put behind a server's address."""
    if path and not path.startswith(("/", "{/", "{?", "?")):
        yield 'must start with "/"'
    if path.startswith("//"):
        yield 'must start with one "/" only'
    if "#" in path:
        yield "must have no fragment; it would never be sent"


def _check_variables(
    http: Fields, field: str, names: tuple[str, ...], variables: Variables
) -> None:
    for name in dict.fromkeys(names):
        if problem := variables.problem(name):
            http.refuse(field, problem)


def _headers(http: Fields, variables: Variables) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in http.items("headers"):
        problem = _header_problem(name, value)
        if problem:
            http.findings.refuse(http.at("headers") + pointer(name), problem)
            continue
        headers[name] = value
        _check_variables(http, "headers", header_variables(value), variables)
    return headers


def header_name_problem(name: str) -> str:
    """Answer what is wrong with the name of a header that is to be sent, or nothing."""
    if not HEADER_NAME.fullmatch(name):
        return "is no name of a header"
    return "is set by the service itself" if name.lower() in _OURS else ""


def _header_problem(name: str, value: Any) -> str:
    if problem := header_name_problem(name):
        return problem
    if not isinstance(value, str):
        return "must be a text"
    try:
        header_variables(value)
    except MalformedTemplate as error:
        return f"is no RFC 6570 template of visible ASCII: {error}"
    return ""


def read_header_name(holder: Fields, field: str) -> str:
    """Read the name of a header; empty where there is none."""
    name = holder.text(field)
    if name and header_name_problem(name):
        holder.refuse(field, f"must be the name of a header that may be set, not {name[:80]!r}")
    return name


def _body(http: Fields, default: str) -> str:
    written = http.raw("body")
    if isinstance(written, str) and written in _LATER_BODIES:
        http.refuse("body", f"{written} is not available yet; use {', '.join(_BODIES)}")
        return default
    return http.word("body", _BODIES, default)
