"""The routing table, read from the `google.api.http` annotations of service descriptors."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor

from services.gateway import template as path_template
from services.gateway.errors import (
    InvalidRoutes,
    InvalidTemplate,
    MethodNotAllowed,
    RequestRefused,
    RouteNotFound,
)
from services.gateway.matcher import Matcher
from services.gateway.template import Path, Template

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Route:
    """One binding of an rpc: a verb, a path and where the body goes.

    `body` is "" (none), "*" (the whole request message) or the name of a field.
    """

    http_method: str
    template: Template
    body: str
    rpc: MethodDescriptor

    @property
    def rpc_path(self) -> str:
        """`/package.Service/Method`, as gRPC spells it."""
        return f"/{self.rpc.containing_service.full_name}/{self.rpc.name}"


def read_routes(services: Iterable[ServiceDescriptor]) -> tuple[Route, ...]:
    """Read every binding of every unary rpc; raises `InvalidRoutes` with all that is wrong."""
    routes: list[Route] = []
    problems: list[str] = []
    for rpc in (rpc for service in services for rpc in service.methods):
        for rule in _rules(rpc):
            try:
                routes.append(_route(rpc, rule))
            except (InvalidRoutes, InvalidTemplate) as error:
                problems.extend(
                    f"{rpc.full_name}: {text}"
                    for text in error.details.get("problems", [error.message])
                )
    problems.extend(_duplicates(routes))
    if problems:
        raise InvalidRoutes(problems)
    return tuple(routes)


def _rules(rpc: MethodDescriptor) -> Iterator[HttpRule]:
    options = rpc.GetOptions()
    if options.HasExtension(annotations_pb2.http):
        rule = options.Extensions[annotations_pb2.http]
        yield rule
        yield from rule.additional_bindings


def _route(rpc: MethodDescriptor, rule: HttpRule) -> Route:
    method, path = _method_and_path(rule)
    route = Route(method, path_template.parse(path), rule.body, rpc)
    problems = [*_rule_problems(rpc, rule), *_field_problems(route)]
    if problems:
        raise InvalidRoutes(problems)
    return route


def _method_and_path(rule: HttpRule) -> tuple[str, str]:
    pattern = rule.WhichOneof("pattern")
    if pattern is None:
        raise InvalidRoutes(["its http rule has no path"])
    if pattern == "custom":
        return rule.custom.kind.upper(), rule.custom.path
    return pattern.upper(), getattr(rule, pattern)


def _rule_problems(rpc: MethodDescriptor, rule: HttpRule) -> Iterator[str]:
    if rule.response_body:
        yield f"response_body '{rule.response_body}' is not supported; answer the message itself"
    if rpc.client_streaming or rpc.server_streaming:
        yield "only unary rpcs can be bound to REST"


def _field_problems(route: Route) -> Iterator[str]:
    fields = route.rpc.input_type.fields_by_name
    if route.body not in ("", "*") and route.body not in fields:
        yield f"body '{route.body}' is not a field of {route.rpc.input_type.full_name}"
    for variable in route.template.variables:
        name = ".".join(variable.field_path)
        field = _leaf(route.rpc, variable.field_path)
        if field is None:
            yield f"'{name}' is not a field of {route.rpc.input_type.full_name}"
        elif field.is_repeated or field.message_type is not None:
            yield f"'{name}' cannot stand in a path: only single scalars can"
        elif route.body == variable.field_path[0]:
            yield f"'{name}' is bound to the path and to the body"


def _leaf(rpc: MethodDescriptor, path: Sequence[str]) -> FieldDescriptor | None:
    message = rpc.input_type
    for name in path[:-1]:
        parent = message.fields_by_name.get(name)
        if parent is None or parent.is_repeated or parent.message_type is None:
            return None
        message = parent.message_type
    return message.fields_by_name.get(path[-1])


def _duplicates(routes: Sequence[Route]) -> Iterator[str]:
    seen: dict[object, Route] = {}
    for route in routes:
        key = (route.http_method, route.template.segments, route.template.verb)
        first = seen.setdefault(key, route)
        if first is not route:
            yield (
                f"{route.rpc.full_name} and {first.rpc.full_name} "
                f"both answer {route.http_method} {route.template.text}"
            )


class RoutingTable(Generic[T]):
    """Finds what answers a request, by method and raw path."""

    def __init__(self, routes: Iterable[tuple[Route, T]]) -> None:
        self._matcher: Matcher[dict[str, tuple[T, str]]] = Matcher()
        for route, value in routes:
            methods = self._matcher.setdefault(route.template, {})
            methods[route.http_method] = value, route.template.verb

    def find(self, method: str, path: str) -> tuple[T, Path]:
        """Answer the value of the best route and the path's segments, less the verb.

        `path` is as received, without its query. HEAD is answered by GET. Raises `RouteNotFound`,
        `MethodNotAllowed` and, for a path that is not well-formed, `InvalidRequest`.
        """
        segments = path_template.split(path)
        ends = self._matcher.find(segments)
        wanted = ("HEAD", "GET") if method == "HEAD" else (method,)
        for name in wanted:
            for methods in ends:
                if name in methods:
                    value, verb = methods[name]
                    return value, segments.less_verb(verb) if verb else segments
        raise _no_route(path, ends)


def _no_route(path: str, ends: Sequence[Mapping[str, object]]) -> RequestRefused:
    allow = {method for methods in ends for method in methods}
    if not allow:
        return RouteNotFound(f"There is no route {path[:200]}")
    if "GET" in allow:
        allow.add("HEAD")
    names = sorted(allow)
    return MethodNotAllowed(f"This path takes {', '.join(names)}", allow=names)
