"""What a call ends with, over fakes."""

from typing import Any

import pytest

from credentials.model import Authorization
from executor.errors import (
    CredentialsRefused,
    EgressDenied,
    ExecutorError,
    ResultMismatch,
    UpstreamFailed,
    UpstreamRateLimited,
)
from executor.model import Execution, HttpResponse
from tests.fakes import (
    FixedAuthorizer,
    PythonTransforms,
    json_response,
)
from tests.unit.executor.world import CLOSED, World, answering, call, failed, method


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (json_response({}, 401), CredentialsRefused),
        (json_response({}, 403), UpstreamFailed),
        (json_response({}, 404), UpstreamFailed),
        (json_response({}, 429), UpstreamRateLimited),
        (HttpResponse(200, (("Content-Type", "text/html"),), b"<html>"), UpstreamFailed),
        (HttpResponse(200, (), b"{"), UpstreamFailed),
        (EgressDenied("no", host="a", address="10.0.0.1"), EgressDenied),
    ],
)
async def test_failures_of_the_upstream(
    response: HttpResponse | Exception, kind: type[ExecutorError]
) -> None:
    """What the upstream answers, or the sender raises, is the call's failure."""
    world = answering(response)
    world.offer(method(response_transform="never run"))
    assert type(await failed(world, call("createContact"))) is kind


async def test_a_secret_that_the_upstream_repeats_is_masked() -> None:
    """An error page that shows our key does not show it to the caller."""
    world = answering(
        json_response({"error": "bad key topsecret"}, 400),
        authorizer=FixedAuthorizer(Authorization((("Authorization", "Bearer topsecret"),))),
    )
    world.offer(method(), auth_type="bearer")
    error = await failed(world, call("createContact"))
    assert error.details == {"statusCode": 400, "response": {"error": "bad key ***"}}


async def test_no_content_is_null(world: World) -> None:
    """An upstream that answers nothing has the result null, also for a script."""
    seen = PythonTransforms({"x": lambda given, _context: {"was": given}})
    world = answering(HttpResponse(204), HttpResponse(204), transforms=seen)
    world.offer(method(), method("other", response_transform="x"))
    assert await world.call("createContact") == b"null"
    assert await world.call("other") == b'{"was":null}'


@pytest.mark.parametrize("script", [None, "same"])
async def test_a_result_that_does_not_match_is_delivered_with_warnings(script: str | None) -> None:
    """The upstream has done its work: the data comes, with every problem and its path."""
    world = answering(
        json_response({"id": "x", "n": "y"}),
        transforms=PythonTransforms({"same": lambda given, _context: given}),
    )
    schema = {"properties": {"id": {"type": "integer"}, "n": {"type": "integer"}}}
    world.offer(method(result_schema=schema, response_transform=script))
    execution = await world.executor.execute(call("createContact"))
    assert execution.data == b'{"id":"x","n":"y"}'
    assert [warning.path for warning in execution.warnings] == ["/data/id", "/data/n"]


async def test_a_strict_result_must_match() -> None:
    """`strict` makes a failure of it."""
    world = answering(json_response({}))
    world.offer(method(result_schema=CLOSED), result_validation="strict")
    error = await failed(world, call("createContact"))
    assert type(error) is ResultMismatch
    problems: Any = error.details["problems"]
    assert problems[0]["path"] == "/data"


async def test_off_checks_nothing(world: World) -> None:
    """`off` delivers whatever comes."""
    world.offer(method(result_schema=CLOSED), result_validation="off")
    assert await world.executor.execute(call("createContact")) == Execution(b"{}")


@pytest.mark.parametrize(
    "result", [b'{"a":"\\ud800"}', b'{"\\ud800":1}', b"[" * 2000 + b"]" * 2000]
)
async def test_a_result_that_cannot_be_checked_is_a_warning(result: bytes) -> None:
    """What a script may write but a validator cannot read is delivered as it is."""
    world = World(transforms=PythonTransforms({"x": lambda _given, _context: result}))
    schema = {"type": ["object", "array"], "propertyNames": {"minLength": 1}}
    world.offer(method(result_schema=schema, response_transform="x"))
    execution = await world.executor.execute(call("createContact"))
    assert execution.data == result
    assert all("cannot be checked" in warning.message for warning in execution.warnings)
