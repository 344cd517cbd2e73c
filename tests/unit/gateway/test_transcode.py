"""Binding of path, query and body to a request message."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message

from protos.integration.v1 import executor_service_pb2, registry_service_pb2
from protos.integration.v1.executor_service_pb2 import ExecuteMethodRequest
from protos.integration.v1.registry_service_pb2 import (
    CreateDefinitionRequest,
    CreateInstanceRequest,
    ListDefinitionsRequest,
    PublishDefinitionRequest,
    UpdateInstanceRequest,
)
from services.gateway.decode import Decoders
from services.gateway.encode import Encoders
from services.gateway.errors import FieldsInvalid, InvalidRequest, MalformedJson
from services.gateway.routes import RoutingTable, read_routes
from services.gateway.transcode import Transcoder

OURS = [
    registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"],
    executor_service_pb2.DESCRIPTOR.services_by_name["ExecutorService"],
]
Bind = Callable[..., Message]
DEFINITIONS = "/api/v1/integration-definitions"
INSTANCES = "/api/v1/integration-instances"
EXECUTE = f"{INSTANCES}/i/methods/m/execute"
MESSAGES = """
enum Colour { NONE = 0; RED = 1; }
message Inner { string name = 1; int32 count = 2; Inner deeper = 3; }
message M {
  string id = 1; Inner inner = 2; repeated string tags = 3; repeated int32 numbers = 4;
  Colour colour = 5; bool flag = 6; int64 big_number = 7; bytes blob = 8; optional string note = 9;
  repeated Inner inners = 10; integration.v1.Json json = 11; double real = 12;
}
"""


def binder(services: Any) -> Bind:
    """Answers what a request of these services is bound to."""
    decoders, encoders = Decoders(), Encoders()
    table = RoutingTable(
        (route, Transcoder(route, decoders, encoders)) for route in read_routes(services)
    )

    def bind(
        method: str, target: str, body: bytes = b"", content_type: str | None = None
    ) -> Message:
        path, _, query = target.partition("?")
        transcoder, segments = table.find(method, path)
        return transcoder.read_request(segments, query, body, content_type)

    return bind


@pytest.fixture(scope="module")
def ours() -> Bind:
    """Binds requests to the real contracts."""
    return binder(OURS)


@pytest.fixture(scope="module")
def sample(service: Callable[..., Any]) -> Bind:
    """Binds requests to a contract with more kinds of fields."""
    rules = [
        'get: "/get/{id}"',
        'get: "/typed/{inner.count}/{colour}/{big_number}/{flag}"',
        'post: "/field/{id}" body: "inner"',
        'post: "/list" body: "inners"',
        'post: "/text" body: "note"',
        'post: "/whole/{inner.count}/{id}" body: "*"',
    ]
    rpcs = [
        f"rpc R{number}(M) returns (M) {{ option (google.api.http) = {{ {rule} }}; }}"
        for number, rule in enumerate(rules)
    ]
    return binder(service("".join(rpcs), MESSAGES))


def problems(bind: Bind, *request: Any) -> list[tuple[str, str]]:
    """What is wrong with a request."""
    with pytest.raises(FieldsInvalid) as caught:
        bind(*request)
    return [(problem.path, problem.message) for problem in caught.value.problems]


def test_an_execution_takes_its_path_and_its_body(ours: Bind):
    """Ids come from the path, the rest from the body, and raw JSON stays as it is."""
    body = b' {"parameters" : {"n":1.0, "big":9007199254740993} , "metadata":{}} '
    assert ours("POST", EXECUTE, body) == ExecuteMethodRequest(
        instance_id="i",
        method="m",
        parameters={"utf8": b'{"n":1.0, "big":9007199254740993}'},
        metadata={"utf8": b"{}"},
    )


def test_an_empty_body_is_an_empty_message(ours: Bind):
    """No body at all leaves every field unset, whatever type it says it has."""
    expected = ExecuteMethodRequest(instance_id="i", method="m")
    assert ours("POST", EXECUTE) == expected
    assert ours("POST", EXECUTE, b"", "application/x-www-form-urlencoded") == expected
    assert ours("POST", f"{DEFINITIONS}/d:publish") == PublishDefinitionRequest(id="d")


@pytest.mark.parametrize("key", ["instanceId", "instance_id"])
def test_the_path_may_be_repeated_in_the_body_but_not_contradicted(ours: Bind, key: str):
    """The same value twice is fine; another one is refused rather than dropped."""
    assert ours("POST", EXECUTE, b'{"%b":"i"}' % key.encode()).instance_id == "i"
    ((path, message),) = problems(ours, "POST", EXECUTE, b'{"%b":"j"}' % key.encode())
    assert path == "/instanceId"
    assert message == "is 'i' in the path and something else in the body"


def test_a_definition_is_the_whole_body(ours: Bind):
    """A field of raw JSON takes the body as it is, less the space around it."""
    bound = ours("POST", DEFINITIONS, b'\n{"name": "x", "b": 1.0}\n', "application/json")
    assert bound == CreateDefinitionRequest(definition={"utf8": b'{"name": "x", "b": 1.0}'})


@pytest.mark.parametrize(
    "content_type", ["application/yaml", "application/x-yaml", "text/yaml", "Text/YAML; charset=x"]
)
def test_yaml_is_passed_on_unread(ours: Bind, content_type: str):
    """YAML goes to the service as it came, because JSON is not what it is."""
    bound = ours("POST", DEFINITIONS, b"name: x\n# \xff\n", content_type)
    assert bound == CreateDefinitionRequest(definition={"utf8": b"name: x\n# \xff\n"})


def test_yaml_is_for_documents_only(ours: Bind):
    """A message cannot be sent as YAML."""
    with pytest.raises(InvalidRequest, match="has to be JSON"):
        ours("POST", INSTANCES, b"name: x", "application/yaml")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/merge-patch+json",
    ],
)
def test_json_is_recognised(ours: Bind, content_type: str | None):
    """JSON is JSON however its type is written, and also when no type is given."""
    bound = ours("POST", INSTANCES, b'{"name":"x"}', content_type)
    assert bound == CreateInstanceRequest(name="x")


@pytest.mark.parametrize(
    ("content_type", "message"),
    [
        ("text/plain", "'Content-Type: application/json', not 'text/plain'"),
        ("application/x-www-form-urlencoded", "not 'application/x-www-form-urlencoded'"),
        ("application/json; charset=latin1", "has to be in UTF-8, not 'latin1'"),
        ("", "not ''"),
    ],
)
def test_other_types_are_refused(ours: Bind, content_type: str, message: str):
    """What is not JSON says what it has to be."""
    with pytest.raises(InvalidRequest) as caught:
        ours("POST", INSTANCES, b'{"name":"x"}', content_type)
    assert message in caught.value.message


@pytest.mark.parametrize("target", [EXECUTE, DEFINITIONS])
@pytest.mark.parametrize("body", [b"{", b"  ", b'{"a":1}{', b"\xff", b"[" * 200 + b"]" * 200])
def test_what_is_not_json_is_refused(ours: Bind, target: str, body: bytes):
    """A broken body is refused, be it bound or only carried."""
    with pytest.raises(MalformedJson):
        ours("POST", target, body)


def test_a_partial_update_keeps_presence(ours: Bind):
    """An absent name is not an empty one."""
    bound = ours("PATCH", f"{INSTANCES}/i", b'{"config":{"a":null}}')
    assert bound == UpdateInstanceRequest(id="i", config={"utf8": b'{"a":null}'})
    assert not bound.HasField("name")


@pytest.mark.parametrize(
    "query",
    [
        "page=2&limit=5&pageToken=a%2Bb+c&status=DRAFT",
        "page_token=a%2Bb%20c&&page=2&limit=5&status=1",
    ],
)
def test_a_query_fills_fields_by_either_name(ours: Bind, query: str):
    """Names are lowerCamel or as in the contract, enums names or numbers, a plus is a space."""
    assert ours("GET", f"{DEFINITIONS}?{query}") == ListDefinitionsRequest(
        page=2, limit=5, page_token="a+b c", status=1
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limt=1", [("/limt", "did you mean 'limit'? There is limit, page, pageToken, search")]),
        ("=1", [("/", "is not a query parameter here")]),
        ("Page=1", [("/Page", "is not a query parameter here")]),
        ("page=1&page=1", [("/page", "is there 2 times")]),
        ("page_token=a&pageToken=b", [("/pageToken", "is there twice, under two names")]),
        ("page=x&limit=", [("/page", "not 'x'"), ("/limit", "not ''")]),
        ("page=99999999999", [("/page", "must be between")]),
        ("status=draft", [("/status", "must be one of STATUS_UNSPECIFIED, DRAFT")]),
    ],
)
def test_a_query_that_does_not_fit_is_refused(
    ours: Bind, query: str, expected: list[tuple[str, str]]
):
    """Every unknown key and every wrong value is named."""
    found = problems(ours, "GET", f"{DEFINITIONS}?{query}")
    assert [path for path, _ in found] == [path for path, _ in expected]
    assert all(part in message for (_, message), (_, part) in zip(found, expected, strict=True))


@pytest.mark.parametrize("query", ["a=%", "a=%zz", "%2=1", "a=%ff"])
def test_a_query_that_is_not_well_formed_is_refused(ours: Bind, query: str):
    """Half an escape, or bytes that are not UTF-8, are the caller's mistake."""
    with pytest.raises(InvalidRequest, match="The query"):
        ours("GET", f"{DEFINITIONS}?{query}")


def test_a_body_that_is_the_message_leaves_nothing_to_the_query(ours: Bind):
    """With everything in the body, a query parameter can only be a mistake."""
    ((path, message),) = problems(ours, "POST", f"{EXECUTE}?parameters=1", b"{}")
    assert (path, message) == (
        "/parameters",
        "is not a query parameter here; There is none at all",
    )


def test_a_body_without_a_place_is_ignored(ours: Bind):
    """A GET or DELETE may come with a body, which nobody reads."""
    assert ours("GET", f"{DEFINITIONS}?page=1", b"{", "text/plain").page == 1
    assert ours("DELETE", f"{INSTANCES}/i", b"{").id == "i"


def test_queries_reach_repeated_and_nested_fields(sample: Bind):
    """Repeated keys add up, dots lead into messages."""
    query = (
        "tags=a&tags=b,c&numbers=1&numbers=1.0&inner.name=n&inner.count=3&colour=RED&flag=T"
        "&bigNumber=9007199254740993&blob=-_8&note=&real=-Infinity"
    )
    bound = sample("GET", f"/get/x?{query}")
    assert list(bound.tags) == ["a", "b,c"]
    assert list(bound.numbers) == [1, 1]
    assert (bound.inner.name, bound.inner.count) == ("n", 3)
    assert (bound.colour, bound.flag, bound.big_number) == (1, True, 9007199254740993)
    assert (bound.blob, bound.note, bound.real) == (b"\xfb\xff", "", float("-inf"))
    assert bound.HasField("note")


@pytest.mark.parametrize(
    "query",
    [
        "id=x",
        "inner=x",
        "inners=x",
        "inners.name=x",
        "json=1",
        "inner.deeper.name=x",
        "inner.nope=x",
    ],
)
def test_queries_reach_nothing_else(sample: Bind, query: str):
    """What the path has, messages, lists of them, raw JSON and recursion are no parameters."""
    ((_, message),) = problems(sample, "GET", f"/get/x?{query}")
    assert message.startswith("is not a query parameter here")


def test_path_variables_have_types(sample: Bind):
    """Variables are read as their fields' types, also in nested messages."""
    bound = sample("GET", "/typed/5/RED/-9/true")
    assert (bound.inner.count, bound.colour, bound.big_number, bound.flag) == (5, 1, -9, True)
    ((path, message),) = problems(sample, "GET", "/typed/x/RED/1/true")
    assert (path, message) == ("/inner/count", "must be a whole number, not 'x'")


def test_a_field_can_be_the_body(sample: Bind):
    """The body is one field; path and query fill the rest."""
    bound = sample("POST", "/field/x?flag=1", b'{"name":"n"}')
    assert (bound.id, bound.flag, bound.inner.name) == ("x", True, "n")
    found = problems(sample, "POST", "/field/x?inner.count=1", b'{"nme":1}')
    assert [path for path, _ in found] == ["/nme"]
    ((path, _),) = problems(sample, "POST", "/field/x?inner.count=1")
    assert path == "/inner.count"


def test_a_body_can_be_a_list_or_a_scalar(sample: Bind):
    """A field of any type may be the body."""
    assert [each.name for each in sample("POST", "/list", b'[{"name":"a"},{}]').inners] == ["a", ""]
    assert sample("POST", "/text", b'"hello"').note == "hello"
    assert problems(sample, "POST", "/text", b"1") == [("", "must be a string, not a number")]


def test_nested_variables_meet_a_whole_body(sample: Bind):
    """A variable inside of a message is held against the body, too."""
    bound = sample("POST", "/whole/5/x", b'{"inner":{"count":5,"name":"n"}}')
    assert (bound.inner.count, bound.inner.name, bound.id) == (5, "n", "x")
    found = problems(sample, "POST", "/whole/5/x", b'{"inner":{"count":6}}')
    assert found == [("/inner/count", "is '5' in the path and something else in the body")]
