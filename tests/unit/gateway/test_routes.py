"""The routing table, and what keeps it from being made."""

from collections.abc import Callable
from typing import Any

import pytest

from protos.integration.v1 import executor_service_pb2, registry_service_pb2
from services.gateway.errors import InvalidRoutes, MethodNotAllowed, RouteNotFound
from services.gateway.routes import RoutingTable, read_routes

OURS = [
    registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"],
    executor_service_pb2.DESCRIPTOR.services_by_name["ExecutorService"],
]
Service = Callable[..., Any]


def rpc(rule: str, name: str = "Get") -> str:
    """An rpc of a sample contract with this http rule."""
    return f"rpc {name}(M) returns (M) {{ option (google.api.http) = {{ {rule} }}; }}"


@pytest.fixture
def table() -> RoutingTable[str]:
    """The table of the real contracts, answering the rpc's name."""
    return RoutingTable((route, route.rpc.name) for route in read_routes(OURS))


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/api/v1/integration-definitions", "CreateDefinition"),
        ("GET", "/api/v1/integration-definitions", "ListDefinitions"),
        ("POST", "/api/v1/integration-definitions:validate", "ValidateDefinition"),
        ("GET", "/api/v1/integration-definitions/a", "GetDefinition"),
        ("HEAD", "/api/v1/integration-definitions/a", "GetDefinition"),
        ("POST", "/api/v1/integration-definitions/a:publish", "PublishDefinition"),
        ("POST", "/api/v1/integration-definitions/a:deprecate", "DeprecateDefinition"),
        ("POST", "/api/v1/integration-definitions/a:archive", "ArchiveDefinition"),
        ("GET", "/api/v1/integration-definitions/a/methods", "ListMethods"),
        ("GET", "/api/v1/integration-definitions/a/schema", "GetDefinitionSchema"),
        ("POST", "/api/v1/integration-instances", "CreateInstance"),
        ("GET", "/api/v1/integration-instances", "ListInstances"),
        ("GET", "/api/v1/integration-instances/a", "GetInstance"),
        ("PATCH", "/api/v1/integration-instances/a", "UpdateInstance"),
        ("DELETE", "/api/v1/integration-instances/a", "DeleteInstance"),
        ("POST", "/api/v1/integration-instances/a/methods/b/execute", "ExecuteMethod"),
    ],
)
def test_finds_the_rpcs_of_the_contracts(
    table: RoutingTable[str], method: str, path: str, expected: str
):
    """Each path of the specification leads to its rpc."""
    assert table.find(method, path)[0] == expected


def test_a_verb_is_no_part_of_the_last_segment(table: RoutingTable[str]):
    """The segments that come back end before the verb."""
    _, path = table.find("POST", "/api/v1/integration-definitions/a%20:b:publish")
    assert path.raw == ["api", "v1", "integration-definitions", "a%20:b"]
    assert path.decoded == ["api", "v1", "integration-definitions", "a :b"]


def test_an_rpc_without_annotation_has_no_route():
    """Rpcs between the services stay inside."""
    assert "GetDefinitionContent" not in {route.rpc.name for route in read_routes(OURS)}


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/v1",
        "/api/v1/integration-instances/",
        "/api/v1/integration-instances//methods/b/execute",
        "/api/v1/integration-instances/a/methods//execute",
        "/api/v1/integration-instances/a/methods/b/execute/",
        "/api/v1//integration-instances",
        "//api/v1/integration-instances",
        "/API/v1/integration-instances",
        "/api/v1/integration-instances:validate",
        "/api/v1/integration-definitions:validate/",
    ],
)
def test_other_paths_have_no_route(table: RoutingTable[str], path: str):
    """Near misses, empty segments above all, are not found and name the path."""
    with pytest.raises(RouteNotFound, match="There is no route /"):
        table.find("GET", path)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/api/v1/integration-instances/a", ["DELETE", "GET", "HEAD", "PATCH"]),
        ("get", "/api/v1/integration-instances", ["GET", "HEAD", "POST"]),
        ("GET", "/api/v1/integration-definitions/a:publish", ["POST"]),
        ("HEAD", "/api/v1/integration-instances/a/methods/b/execute", ["POST"]),
    ],
)
def test_another_method_is_answered_with_those_allowed(
    table: RoutingTable[str], method: str, path: str, allow: list[str]
):
    """A path that exists for other methods says for which."""
    with pytest.raises(MethodNotAllowed) as caught:
        table.find(method, path)
    assert caught.value.details == {"allow": allow}


def test_reads_additional_bindings_and_custom_methods(service: Service):
    """Every binding of an rpc is a route of its own, with its own body."""
    rule = """
      get: "/v1/{id}"
      additional_bindings { put: "/v1/{id}" body: "*" }
      additional_bindings { post: "/v2" body: "inner" }
      additional_bindings { custom { kind: "purge" path: "/v1/{inner.id}" } }
    """
    routes = read_routes(service(rpc(rule)))
    assert [(route.http_method, route.template.text, route.body) for route in routes] == [
        ("GET", "/v1/{id}", ""),
        ("PUT", "/v1/{id}", "*"),
        ("POST", "/v2", "inner"),
        ("PURGE", "/v1/{inner.id}", ""),
    ]


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ('get: "/v1/"', "Path template '/v1/'"),
        ('get: "/v1/{nope}"', "'nope' is not a field of"),
        ('get: "/v1/{inner.nope}"', "'inner.nope' is not a field of"),
        ('get: "/v1/{id.x}"', "'id.x' is not a field of"),
        ('get: "/v1/{inner}"', "'inner' cannot stand in a path"),
        ('get: "/v1/{tags}"', "'tags' cannot stand in a path"),
        ('get: "/v1/{tags.x}"', "'tags.x' is not a field of"),
        ('post: "/v1" body: "nope"', "body 'nope' is not a field of"),
        ('post: "/v1/{id}" body: "id"', "'id' is bound to the path and to the body"),
        ('get: "/v1" response_body: "id"', "response_body 'id' is not supported"),
        ('body: "*"', "its http rule has no path"),
    ],
)
def test_a_contract_that_cannot_be_served_is_refused(service: Service, rule: str, problem: str):
    """Every fault of an annotation is an error that names the rpc and the fault."""
    messages = "message M { string id = 1; M inner = 2; repeated string tags = 3; }"
    with pytest.raises(InvalidRoutes, match=r"S\.Get: ") as caught:
        read_routes(service(rpc(rule), messages))
    assert problem in caught.value.message


def test_all_problems_come_at_once(service: Service):
    """Start fails once, with everything there is to repair."""
    rpcs = rpc('get: "/v1/{nope}/{neither}"', "A") + rpc('get: "v1"', "B")
    with pytest.raises(InvalidRoutes) as caught:
        read_routes(service(rpcs))
    assert len(caught.value.details["problems"]) == 3


def test_two_rpcs_cannot_answer_the_same(service: Service):
    """Two routes of the same method and shape are an error, whatever their variables are called."""
    rpcs = rpc('get: "/v1/{id}:go"', "A") + rpc('get: "/v1/{inner.id}:go"', "B")
    with pytest.raises(InvalidRoutes, match=r"S\.B and .*S\.A both answer GET"):
        read_routes(service(rpcs))


def test_streams_are_not_bound_yet(service: Service):
    """An annotated stream is refused at start, rather than served as if it were unary."""
    streaming = 'rpc A(M) returns (stream M) { option (google.api.http) = { get: "/v1" }; }'
    with pytest.raises(InvalidRoutes, match="only unary rpcs"):
        read_routes(service(streaming))
