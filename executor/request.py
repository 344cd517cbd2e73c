"""From a caller's parameters to the exact HTTP request, without I/O.

Nothing is parsed and written again on its way: values are moved as slices of the text they came in.
"""

from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote_plus

from credentials.model import Authorization
from executor.arguments import Arguments, invalid
from executor.configuration import Configuration
from executor.errors import InvalidParameters, MethodNotCallable
from executor.headers import Headers, is_sendable, override
from executor.json_text import (
    TemplateValue,
    join,
    members,
    mentions,
    query_pairs,
    repeated_key,
    template_value,
)
from executor.model import HttpRequest
from executor.path import PathRefused, expand_path
from executor.plan import CONTENT_TYPES, Plan
from executor.schema_check import pointer
from executor.takeover import KEY, MARK, Takeover, takeover_of
from executor.template import CONFIG_PREFIX, encode


def bind(
    plan: Plan, configuration: Configuration, arguments: Arguments, transformed: bytes | None
) -> HttpRequest:
    """Write the request, without its credentials.

    `transformed` is the result of the method's requestTransform, None when it has none. Raises
    `InvalidParameters` for values that cannot stand where they are bound, `MethodNotCallable` for
    a result of the transform that cannot be bound.
    """
    takeover = None
    if transformed is not None and MARK in transformed:
        takeover = takeover_of(transformed)
    if takeover is not None:
        _check_origin(arguments)
    if transformed is None and plan.body == "json":
        _check_keys(arguments)
    if takeover is None and plan.fixed_path is not None and plan.body == "json":
        content = arguments.text if transformed is None else transformed
        url = _url(configuration, plan.fixed_path)
        return HttpRequest(plan.verb, url, plan.body_headers, content)
    try:
        sources = _Sources(plan, configuration, arguments.text, transformed, takeover)
        return _bound(sources) if takeover is None else _taken_over(sources, takeover)
    except PathRefused as error:
        raise _refused(error.names, str(error)) from None
    except ValueError as error:
        if transformed is None:
            raise invalid("/parameters", f"cannot be bound: {error}") from None
        raise MethodNotCallable(
            f"the result of the requestTransform of {plan.method} cannot be bound: {error}",
            method=plan.method,
        ) from None


def authorized(request: HttpRequest, authorization: Authorization) -> HttpRequest:
    """Add credentials; they win over headers of the same name.

    Raises `MethodNotCallable` for credentials that no header can carry.
    """
    for name, value in authorization.headers:
        if not is_sendable(value):
            raise MethodNotCallable(
                f"the credentials hold characters that the header {name} cannot carry", header=name
            )
    url = request.url
    if authorization.query:
        url += ("&" if "?" in url else "?") + encode_pairs(authorization.query)
    headers = override(request.headers, authorization.headers)
    return HttpRequest(request.method, url, headers, request.body, authorization.certificate)


def encode_pairs(pairs: Iterable[tuple[str, str]], escape: Callable[[str], str] = encode) -> str:
    """Write pairs as a query, or with `quote_plus` as a form."""
    return "&".join([f"{escape(name)}={escape(value)}" for name, value in pairs])


class _Sources:
    """Where the variables of a method's templates get their values."""

    def __init__(
        self,
        plan: Plan,
        configuration: Configuration,
        parameters: bytes,
        transformed: bytes | None,
        takeover: Takeover | None,
    ) -> None:
        self.plan = plan
        self.configuration = configuration
        self.content = parameters if transformed is None else transformed
        self.transformed = transformed is not None
        self.parameters = members(parameters)
        self.result: dict[str, bytes] = {}
        if transformed is not None and takeover is None:
            self.result = self._read(transformed)

    def _read(self, transformed: bytes) -> dict[str, bytes]:
        if transformed.startswith(b"{"):
            return members(transformed)
        if transformed == b"null" or self.plan.body == "json":
            return {}
        raise ValueError("a query or a form needs an object")

    def values(self, names: frozenset[str]) -> dict[str, TemplateValue]:
        """Answer variables of path and headers: parameters before the transform's result."""
        return {name: self._value(name, self.parameters, self.result) for name in names}

    def query_values(self, names: frozenset[str]) -> dict[str, TemplateValue]:
        """Answer variables of the query: where a transform writes it, from its result only."""
        if self.transformed and self.plan.body is None:
            return {name: self._value(name, self.result, {}) for name in names}
        return self.values(names)

    def _value(
        self, name: str, first: Mapping[str, bytes], second: Mapping[str, bytes]
    ) -> TemplateValue:
        if name.startswith(CONFIG_PREFIX):
            return self.configuration.lookup(name)
        text = first.get(name) or second.get(name)
        return None if text is None else template_value(text)

    def rest(self) -> dict[str, bytes]:
        """Answer what no template has taken."""
        source = self.result if self.transformed else self.parameters
        consumed = self.plan.consumed
        return {name: text for name, text in source.items() if name not in consumed}

    def body(self) -> bytes | None:
        """Write the body."""
        if self.plan.body is None:
            return None
        if self.plan.body == "form":
            return encode_pairs(query_pairs(self.rest()), quote_plus).encode()
        if self.transformed or self.plan.consumed.isdisjoint(self.parameters):
            return self.content
        return join(self.rest())

    def path(self) -> str:
        """Expand the path."""
        return expand_path(self.plan.path, self.values(self.plan.path.names))

    def query(self) -> str:
        """Expand the query that stands in the template."""
        return self.plan.query.expand(self.query_values(self.plan.query.names)).lstrip("?&")

    def headers(self) -> Headers:
        """Expand the headers; one whose variables are undefined is left out."""
        filled = []
        for name, template in self.plan.headers:
            values = self.values(template.names)
            if None in values.values():
                continue
            value = template.fill(values)
            if not is_sendable(value):
                raise _refused(
                    sorted(template.names), f"holds characters that the header {name} cannot carry"
                )
            filled.append((name, value))
        return tuple(filled)


def _bound(sources: _Sources) -> HttpRequest:
    plan, configuration = sources.plan, sources.configuration
    body = sources.body()
    query = sources.query()
    if plan.body is None:
        query = _both(query, encode_pairs(query_pairs(sources.rest())))
    url = _url(configuration, sources.path(), query)
    base = plan.base_headers if body is None else plan.body_headers
    return HttpRequest(plan.verb, url, override(base, sources.headers()), body)


def _taken_over(sources: _Sources, takeover: Takeover) -> HttpRequest:
    plan = sources.plan
    path, query = takeover.path, ""
    if path is None:
        path, query = sources.path(), sources.query()
    if takeover.query is not None:
        query = _both(query, encode_pairs(query_pairs(takeover.query)))
    body, headers = takeover.body, plan.base_headers
    if body is not None:
        kind = plan.body or "json"
        headers = (*headers, ("Content-Type", CONTENT_TYPES[kind]))
        if kind == "form":
            body = encode_pairs(query_pairs(members(body)), quote_plus).encode()
    headers = override(override(headers, sources.headers()), takeover.headers)
    url = _url(sources.configuration, path, query)
    return HttpRequest(takeover.method or plan.verb, url, headers, body)


def _check_origin(arguments: Arguments) -> None:
    """Refuse a takeover that a caller may have smuggled through a script: it is the author's."""
    if mentions(arguments.values, KEY):
        raise invalid("/parameters", f"must not hold {KEY}: it is reserved for scripts")
    if mentions(arguments.metadata_values, KEY):
        raise invalid("/metadata", f"must not hold {KEY}: it is reserved for scripts")


def _check_keys(arguments: Arguments) -> None:
    """Refuse what goes out as it came when the upstream may read it otherwise than we did."""
    try:
        key = repeated_key(arguments.text, arguments.values)
    except ValueError as error:
        raise invalid("/parameters", f"cannot be bound: {error}") from None
    if key is not None:
        raise invalid("/parameters", f"hold the key {key!r} twice in one object")


def _both(first: str, second: str) -> str:
    return f"{first}&{second}" if first and second else first or second


def _url(configuration: Configuration, path: str, query: str = "") -> str:
    if configuration.query:
        query = _both(configuration.query, query)
    return f"{configuration.base}{path}?{query}" if query else configuration.base + path


def _refused(names: list[str], reason: str) -> InvalidParameters | MethodNotCallable:
    """Blame the parameters among the variables, else the config."""
    parameters = [name for name in names if not name.startswith(CONFIG_PREFIX)]
    if not parameters:
        return MethodNotCallable(f"{', '.join(names)} {reason}", variables=names)
    return InvalidParameters(
        f"{', '.join(parameters)} {reason}",
        problems=[{"path": f"/parameters{pointer([n])}", "message": reason} for n in parameters],
    )
