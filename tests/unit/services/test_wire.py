"""Model ↔ contract: nothing is lost on the way there and back."""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from google.protobuf.descriptor import Descriptor
from hypothesis import given
from hypothesis import strategies as st

from credentials.errors import InvalidCredentials
from credentials.model import Authorization, AuthScheme
from protos.integration.v1 import credentials_service_pb2, definition_pb2, registry_service_pb2
from protos.integration.v1.json_pb2 import Json
from registry.errors import InvalidInstance, InvalidPageRequest
from registry.model import (
    DefinitionEntry,
    DefinitionStatus,
    Instance,
    InstanceError,
    InstanceStatus,
    Page,
    PageRequest,
    Problem,
)
from registry.parse import examine
from services.credentials import wire as credentials_wire
from services.registry import wire
from services.transformer import wire as transformer_wire
from transformer.model import Problem as ScriptProblem

# The wire counts in nanoseconds, Python in microseconds.
moments = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(9999, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
texts = st.text(max_size=20)
numbers = st.integers(min_value=0, max_value=2**31 - 1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
instances = st.builds(
    Instance,
    id=texts,
    tenant=st.just("acme"),
    definition_id=texts,
    definition_digest=texts,
    name=texts,
    status=st.sampled_from(InstanceStatus),
    config=st.dictionaries(texts, json_values, max_size=3),
    created_at=moments,
    updated_at=moments,
    etag=texts,
    secret_fields=st.lists(texts, max_size=3).map(tuple),
    error=st.none()
    | st.builds(InstanceError, texts, texts, st.dictionaries(texts, json_values, max_size=2)),
    last_connected_at=st.none() | moments,
    credentials_version=numbers,
)


def unset_fields(message: Any, descriptor: Descriptor) -> set[str]:
    """Answer the fields of a message that nothing was put into."""
    filled = {field.name for field, _ in message.ListFields()}
    return {field.name for field in descriptor.fields} - filled


@given(instances)
def test_an_instance(instance: Instance) -> None:
    """An instance is the same behind the wire, whatever is in it."""
    assert wire.instance_model(wire.resolved_instance(instance), "acme") == instance


@given(st.builds(Problem, texts, texts, numbers, numbers, texts))
def test_a_problem(problem: Problem) -> None:
    """A problem is the same behind the wire."""
    assert wire.problem_model(wire.problem(problem)) == problem


@given(st.builds(ScriptProblem, texts, texts, st.none() | numbers, st.none() | numbers))
def test_a_problem_of_a_script(problem: ScriptProblem) -> None:
    """A script's problem reads the same from here and from over the wire."""
    here = transformer_wire.registry_problem(problem)
    there = transformer_wire.registry_problem(transformer_wire.problem(problem))
    assert here == there


@given(st.builds(AuthScheme, texts, texts, texts, texts, texts, texts))
def test_a_scheme(scheme: AuthScheme) -> None:
    """An auth scheme is the same behind the wire."""
    assert credentials_wire.scheme_model(credentials_wire.scheme(scheme)) == scheme


pairs = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)


@given(st.none() | st.builds(Authorization, pairs, pairs, st.none() | moments))
def test_an_authorization(authorization: Authorization | None) -> None:
    """An authorization is the same behind the wire, and so is none for want of its version."""
    message = credentials_wire.authorization(authorization)
    assert credentials_wire.authorization_model(message) == authorization


def test_a_definition_shows_everything_it_says() -> None:
    """Every field of the contract is filled from a definition that uses every one of them."""
    document = json.loads(Path("examples/definitions/google_calendar.json").read_text())
    document["defaultConfig"] = {"scope": "x"}
    document["server"] = "https://www.googleapis.com/calendar/v3"
    document["methods"][0] |= {
        "requestTransform": "function transform(x) { return x }",
        "responseTransform": "function transform(x) { return x }",
        "timeoutMs": 1000,
        "rateLimits": {"requestsPerMinute": 60},
        "retryConfig": {"maxRetries": 1},
        "http": {"method": "GET", "path": "/events"},
    }
    parsed, problems = examine(json.dumps(document).encode())
    assert not problems
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    entry = DefinitionEntry(
        id="int_def_x",
        tenant="acme",
        definition=parsed.definition,
        status=DefinitionStatus.PUBLISHED,
        created_at=moment,
        updated_at=moment,
        published_at=moment,
        etag="1",
        warnings=(Problem("/x", "y"),),
    )
    message = wire.definition(entry)
    assert unset_fields(message, definition_pb2.Definition.DESCRIPTOR) == set()
    assert unset_fields(message.methods[0], definition_pb2.Method.DESCRIPTOR) == set()
    assert json.loads(message.config_schema.utf8) == document["configSchema"]
    assert json.loads(message.extensions.utf8) == {"server": document["server"]}
    schema = wire.definition_schema(parsed.definition)
    assert unset_fields(schema, registry_service_pb2.DefinitionSchema.DESCRIPTOR) == set()


def test_every_field_of_a_scheme_is_carried() -> None:
    """Contract and model of an auth scheme have the same fields."""
    contract = {field.name for field in credentials_service_pb2.AuthScheme.DESCRIPTOR.fields}
    assert contract == {field.name for field in dataclasses.fields(AuthScheme)}


@pytest.mark.parametrize("text", [b"[]", b'"x"', b"1"])
def test_a_config_is_an_object(text: bytes) -> None:
    """A config that is no object is refused with its path."""
    with pytest.raises(InvalidInstance) as refused:
        wire.config(wire.json_value(json.loads(text)))
    assert refused.value.details["problems"] == [
        {"path": "/config", "message": "must be an object"}
    ]


@pytest.mark.parametrize("number", [99, -1, 2**31 - 1])
@pytest.mark.parametrize(
    ("read", "request_"),
    [
        (wire.definition_filter, registry_service_pb2.ListDefinitionsRequest),
        (wire.instance_filter, registry_service_pb2.ListInstancesRequest),
    ],
)
def test_a_status_without_a_name_is_refused(read: Any, request_: Any, number: int) -> None:
    """Any number may come over the wire; those of the contract are listed, the rest refused."""
    with pytest.raises(InvalidPageRequest) as refused:
        read(request_(status=number))
    [problem] = cast("list[dict[str, str]]", refused.value.details["problems"])
    assert problem["path"] == "/status"
    assert "UNSPECIFIED" not in problem["message"]
    assert read(request_()).status is None


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b'"x"',
        b"{",
        b"\xff",
        b"[" * 200_000,
        b'{"fields": ' + b"9" * 5000 + b"}",
    ],
)
def test_fields_of_credentials_are_an_object(text: bytes) -> None:
    """Anything else is refused with an error of the credentials."""
    with pytest.raises(InvalidCredentials):
        credentials_wire.fields_model(Json(utf8=text))
    assert credentials_wire.fields_model(Json()) == {}
    assert credentials_wire.fields_model(Json(utf8=b'{"a":1}')) == {"a": 1}


def test_a_page_tells_where_it_stands() -> None:
    """Numbers of a page are those of the request; absent ones mean the first page of twenty."""
    request = wire.page_request(registry_service_pb2.ListInstancesRequest())
    assert request == PageRequest(page=1, limit=20)
    message = wire.pagination(Page((), total=41, request=request, next_token="t"))
    assert (message.total, message.pages, message.next_page_token) == (41, 3, "t")
