"""Everything about a method that can be worked out before a call: nothing is compiled per call."""

import re
from dataclasses import dataclass

from credentials.model import AuthScheme
from executor.completion import Defaults, defaults_of
from executor.errors import MethodNotCallable
from executor.headers import Headers, check_name
from executor.json_text import dump
from executor.lru import LeastRecentlyUsed
from executor.path import has_dot_segments
from executor.schema_check import SchemaCheck
from executor.schemes import scheme_of
from executor.template import CONFIG_PREFIX, Template, TemplateError, parse, split_query
from registry.model import Definition, Method, Schema

QUERY_VERBS = frozenset({"GET", "DELETE", "HEAD", "OPTIONS"})
VERBS = QUERY_VERBS | {"POST", "PUT", "PATCH"}
CONTENT_TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded"}

_NOT_YET = {
    "webhook": "verification of webhooks is not available yet",
    "graphql": "GraphQL is not available yet",
}
_ONE_ARGUMENT = re.compile(r"\bfunction\s+transform\s*\(\s*[A-Za-z_$][\w$]*\s*\)")
_CONTEXT_CLUES = re.compile(r"\btransform\b|\barguments\b")


@dataclass(frozen=True, slots=True)
class Script:
    """A transform's source. One that cannot see its context gets an empty one."""

    source: str
    takes_context: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A method, ready to be called.

    `body` is `json`, `form` or None when all goes into the query. `base_headers` are those of every
    call without a body, `body_headers` those with one. `consumed` are the parameters that the path,
    the query and the headers take away from the rest. `timeout` is in seconds.
    """

    method: str
    verb: str
    body: str | None
    server: Template
    path: Template
    query: Template
    headers: tuple[tuple[str, Template], ...]
    base_headers: Headers
    body_headers: Headers
    consumed: frozenset[str]
    fixed_path: str | None
    parameters: SchemaCheck | None
    result: SchemaCheck | None
    strict: bool
    defaults: Defaults | None
    request: Script | None
    response: Script | None
    scheme: AuthScheme | None
    timeout: float | None
    method_json: bytes


class Plans:
    """Keeps the plans of the methods that are called most."""

    __slots__ = ("_kept", "_user_agent")

    def __init__(self, size: int, user_agent: str) -> None:
        self._kept: LeastRecentlyUsed[tuple[str, str], Plan] = LeastRecentlyUsed(size)
        self._user_agent = user_agent

    def known(self, digest: str, method: str) -> Plan | None:
        """Answer a plan that was made before."""
        return self._kept.get((digest, method))

    def make(self, definition: Definition, method: Method) -> Plan:
        """Make and keep a plan; raises `MethodNotCallable` when that cannot be done."""
        plan = make_plan(definition, method, self._user_agent)
        self._kept.put((definition.digest, method.name), plan)
        return plan


def make_plan(definition: Definition, method: Method, user_agent: str) -> Plan:
    """Compile a method; raises `MethodNotCallable` naming what cannot be."""
    if definition.type != "http":
        reason = _NOT_YET.get(definition.type, f"the type {definition.type} is not known")
        raise MethodNotCallable(
            f"{method.name} cannot be executed: {reason}",
            method=method.name,
            type=definition.type,
        )
    verb, body = _verb_and_body(method)
    path, query = split_query(_template(_rooted(method.http.path), "path", method))
    headers = tuple(
        (name, _header_template(name, text, method)) for name, text in method.http.headers.items()
    )
    _check_path(path, method)
    base = (("Accept", "application/json"), ("User-Agent", user_agent))
    return Plan(
        method=method.name,
        verb=verb,
        body=body,
        server=_template(definition.server, "server", method),
        path=path,
        query=query,
        headers=headers,
        base_headers=base,
        body_headers=(*base, ("Content-Type", CONTENT_TYPES[body])) if body else base,
        consumed=frozenset(
            name
            for template in (path, query, *(template for _, template in headers))
            for name in template.names
            if not name.startswith(CONFIG_PREFIX)
        ),
        fixed_path=None if query.parts or headers else path.literal,
        parameters=_check(method.param_schema, "/parameters", method),
        result=None
        if definition.result_validation == "off"
        else _check(method.result_schema, "/data", method),
        strict=definition.result_validation == "strict",
        defaults=defaults_of(method.param_schema),
        request=_script(method.request_transform),
        response=_script(method.response_transform),
        scheme=scheme_of(definition),
        timeout=None if method.timeout_ms is None else method.timeout_ms / 1000,
        method_json=dump(method.name),
    )


def _verb_and_body(method: Method) -> tuple[str, str | None]:
    verb = method.http.method.upper()
    if verb not in VERBS:
        raise MethodNotCallable(
            f"{method.name} cannot be executed: {verb} is no verb of ours",
            method=method.name,
            verb=verb,
        )
    if verb in QUERY_VERBS or method.http.body == "none":
        return verb, None
    if method.http.body not in CONTENT_TYPES:
        raise MethodNotCallable(
            f"{method.name} cannot be executed: {method.http.body} bodies are not available yet",
            method=method.name,
            body=method.http.body,
        )
    return verb, method.http.body


def _rooted(path: str) -> str:
    return path if not path or path.startswith(("/", "{/", "?", "{?")) else f"/{path}"


def _template(text: str, place: str, method: Method) -> Template:
    try:
        template = parse(text)
    except TemplateError as error:
        raise _unusable(place, method, error) from None
    if any("#" in (p if isinstance(p, str) else p.operator.sign) for p in template.parts):
        raise _unusable(place, method, "a fragment is never sent")
    return template


def _header_template(name: str, text: str, method: Method) -> Template:
    check_name(name)
    try:
        return parse(text, literal=str)
    except TemplateError as error:
        raise _unusable(f"header {name}", method, error) from None


def _check_path(path: Template, method: Method) -> None:
    sample = "".join([part if isinstance(part, str) else "value" for part in path.parts])
    if has_dot_segments(sample):
        raise _unusable("path", method, "it has a segment that is . or ..")


def _check(schema: Schema, root: str, method: Method) -> SchemaCheck | None:
    if schema is True:
        return None
    try:
        return SchemaCheck(schema, root)
    except ValueError as error:
        raise _unusable(f"schema of {root}", method, error) from None


def _script(source: str | None) -> Script | None:
    return None if source is None else Script(source, takes_context(source))


def takes_context(source: str) -> bool:
    """Tell whether a script may look at its second argument; in doubt it may.

    Only the plain `function transform(input)` whose name occurs once is known not to.
    """
    clues = _CONTEXT_CLUES.findall(source)
    return clues != ["transform"] or not _ONE_ARGUMENT.search(source)


def _unusable(place: str, method: Method, reason: object) -> MethodNotCallable:
    return MethodNotCallable(
        f"{method.name} cannot be executed: its {place} is not usable: {reason}",
        method=method.name,
        place=place,
    )
