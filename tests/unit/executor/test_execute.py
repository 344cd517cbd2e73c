"""One call, end to end, over fakes."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import orjson
import pytest

from credentials.model import Authorization, AuthScheme, OutgoingRequest
from executor.errors import (
    CredentialsRefused,
    DeadlinePassed,
    EgressDenied,
    ExecutorError,
    InstanceNotConnected,
    InvalidParameters,
    MethodNotCallable,
    MethodNotFound,
    RequestTooLarge,
    ResultMismatch,
    UpstreamFailed,
    UpstreamRateLimited,
)
from executor.execute import Executor
from executor.model import Execution, ExecutorLimits, HttpResponse, MethodCall
from registry.errors import InstanceNotFound
from registry.model import AuthPlacement, InstanceError, InstanceStatus, Target
from tests.fakes import (
    FixedAuthorizer,
    PythonTransforms,
    ScriptedSender,
    fixed_clock,
    json_response,
)
from tests.unit.executor.world import INSTANCE, TENANT, World, call, definition, instance, method

SEES_CONTEXT = "function transform(input, context) {}"
SEES_INPUT = "function transform(input) {}"
CLOSED = {"type": "object", "required": ["id"]}


def answering(*responses: HttpResponse | Exception, **world: Any) -> World:
    """Answer a world whose upstream sends these responses."""
    return World(sender=ScriptedSender(list(responses)), **world)


async def failed(world: World, wanted: MethodCall) -> ExecutorError:
    """Answer the error of a call, whose details must be JSON."""
    with pytest.raises(ExecutorError) as caught:
        await world.executor.execute(wanted)
    json.dumps(caught.value.details)
    return caught.value


# --- The order of refusals ----------------------------------------------------------------------


async def test_an_unknown_instance_comes_first(world: World) -> None:
    """The registry's own error passes through, also for another tenant's instance."""
    world.offer(method())
    with pytest.raises(InstanceNotFound):
        await world.executor.execute(MethodCall("other", INSTANCE, "createContact", b"{"))


async def test_an_unknown_method_is_second(world: World) -> None:
    """It is named with those there are and those that look alike, whatever the status."""
    world.directory.add(
        Target(
            instance(status=InstanceStatus.PENDING_AUTHENTICATION),
            definition(method("getUsers"), method("sendInvoice")),
        )
    )
    error = await failed(world, call("getUser", b"{"))
    assert type(error) is MethodNotFound
    assert error.details == {
        "method": "getUser",
        "methods": ["getUsers", "sendInvoice"],
        "didYouMean": ["getUsers"],
    }
    assert "did you mean getUsers?" in error.message
    assert "didYouMean" not in (await failed(world, call("zzz"))).details


@pytest.mark.parametrize(
    "status", [status for status in InstanceStatus if status is not InstanceStatus.CONNECTED]
)
async def test_an_instance_that_is_not_connected_is_third(
    world: World, status: InstanceStatus
) -> None:
    """Its status and the reason for it are told, before anything about the method."""
    reason = InstanceError("AUTHENTICATION_ERROR", "refused")
    offered = definition(method(), type="webhook")
    for error, details in ((None, {}), (reason, {"reason": "AUTHENTICATION_ERROR"})):
        world.directory.add(Target(instance(status=status, error=error), offered))
        refusal = await failed(world, call("createContact", b"{"))
        assert type(refusal) is InstanceNotConnected
        assert refusal.details == {"status": status.value, **details}


async def test_a_kept_plan_does_not_skip_the_status(world: World) -> None:
    """An instance that was connected a moment ago is refused when it is no longer."""
    world.offer(method())
    await world.call("createContact")
    (target,) = world.directory.targets.values()
    gone = replace(target.instance, status=InstanceStatus.DISCONNECTED)
    world.directory.add(replace(target, instance=gone))
    assert type(await failed(world, call("createContact"))) is InstanceNotConnected


@pytest.mark.parametrize("kind", ["webhook", "graphql"])
async def test_what_cannot_be_called_yet_is_fourth(world: World, kind: str) -> None:
    """Webhooks and GraphQL are refused with a plain word, before the parameters are looked at."""
    world.offer(method(), type=kind)
    error = await failed(world, call("createContact", b"{"))
    assert type(error) is MethodNotCallable
    assert "not available yet" in error.message


async def test_parameters_are_last_and_nothing_is_sent(world: World) -> None:
    """Bad parameters reach neither credentials nor the upstream."""
    world.offer(method(param_schema=CLOSED), auth_type="api_key")
    assert type(await failed(world, call("createContact"))) is InvalidParameters
    assert world.authorizer.asked == []
    assert isinstance(world.sender, ScriptedSender)
    assert world.sender.requests == []


# --- What passes through the steps --------------------------------------------------------------


async def test_without_transforms_bytes_go_through(world: World) -> None:
    """Neither the parameters nor the answer are written anew."""
    answer = HttpResponse(200, (("Content-Type", "application/json"),), b'{ "n":1.0,"n2":1e2 }')
    world = answering(answer)
    world.offer(method())
    assert await world.call("createContact", b'{ "a":1.0}') == answer.body
    assert world.sent.body == b'{ "a":1.0}'


async def test_credentials_are_asked_for_the_final_request() -> None:
    """The authorizer sees tenant, instance, scheme, verb and URL; what it answers is sent."""
    world = World(authorizer=FixedAuthorizer(Authorization((("X-Key", "k"),), (("sig", "a b"),))))
    auth = AuthPlacement("query", "sig", "", "key", "user")
    world.offer(method(verb="GET"), auth_type="api_key", auth=auth)
    await world.call("createContact", b'{"a":1}')
    scheme = AuthScheme("api_key", "query", "sig", "", "key", "user")
    url = "https://crm.example/createContact?a=1"
    assert world.authorizer.asked == [(TENANT, INSTANCE, scheme, OutgoingRequest("GET", url))]
    assert world.sent.url == f"{url}&sig=a%20b"
    assert ("X-Key", "k") in world.sent.headers


async def test_no_credentials_are_asked_where_none_are_needed(world: World) -> None:
    """`authType: none` does not bother the credentials."""
    world.offer(method())
    await world.call("createContact")
    assert world.authorizer.asked == []


async def test_contexts_hold_what_scripts_may_know() -> None:
    """The response's script also sees its status and headers; secrets are in neither."""
    seen = PythonTransforms({SEES_CONTEXT: lambda given, _context: given})
    world = answering(json_response({"id": 1}, 201, ETag="x"), transforms=seen)
    world.offer(
        method(
            param_schema={"properties": {"n": {"default": 5}}},
            request_transform=SEES_CONTEXT,
            response_transform=SEES_CONTEXT,
        ),
        config={"baseUrl": "https://crm.example", "region": "eu"},
        default_config={"plan": "free", "apiKey": "topsecret"},
        secret_fields=("apiKey",),
    )
    await world.call("createContact", b'{"a":1.50}', metadata=b'{"signature": "s"}')
    shared = {
        "parameters": {"a": 1.5, "n": 5},
        "config": {"plan": "free", "baseUrl": "https://crm.example", "region": "eu"},
        "method": "createContact",
        "metadata": {"signature": "s"},
    }
    headers = {"content-type": "application/json", "etag": "x"}
    assert seen.contexts == [shared, {**shared, "response": {"status": 201, "headers": headers}}]
    assert seen.inputs == [b'{"a":1.50,"n":5}', b'{"id":1}']


async def test_a_script_that_cannot_see_a_context_is_given_none() -> None:
    """Nothing is written that nobody reads."""
    seen = PythonTransforms({SEES_INPUT: lambda given, _context: given})
    world = World(transforms=seen)
    world.offer(method(request_transform=SEES_INPUT, response_transform=SEES_INPUT))
    await world.call("createContact")
    assert seen.contexts == [{}, {}]


async def test_every_script_has_its_own_seed() -> None:
    """The two scripts of a call do not draw the same random numbers, and a call can be repeated."""
    seen = PythonTransforms({SEES_INPUT: lambda given, _context: given})
    world = World(transforms=seen)
    world.offer(method(request_transform=SEES_INPUT, response_transform=SEES_INPUT))
    for _ in range(2):
        await world.call("createContact")
    first, second, *again = seen.seeds
    assert first != second
    assert again == [first, second]


async def test_a_failed_script_passes_through_and_nothing_is_sent() -> None:
    """The transformer's own error reaches the caller."""
    world = World(transforms=PythonTransforms(failure=ArithmeticError("line 3")))
    world.offer(method(request_transform="x"))
    with pytest.raises(ArithmeticError, match="line 3"):
        await world.call("createContact")
    assert isinstance(world.sender, ScriptedSender)
    assert world.sender.requests == []


async def test_a_failed_authorization_passes_through() -> None:
    """The credentials' own error reaches the caller."""
    world = World(authorizer=FixedAuthorizer(failure=LookupError("no credentials")))
    world.offer(method(), auth_type="bearer")
    with pytest.raises(LookupError, match="no credentials"):
        await world.call("createContact")


async def test_a_transform_cannot_make_a_request_over_the_limit() -> None:
    """The limit is also that of what is sent."""
    big = PythonTransforms({"x": lambda _given, _context: "y" * 1000})
    world = World(transforms=big, limits=ExecutorLimits(max_request_bytes=100))
    world.offer(method(request_transform="x"))
    assert type(await failed(world, call("createContact"))) is RequestTooLarge


# --- Answers ------------------------------------------------------------------------------------


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


# --- Deadlines ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slow", "phase"),
    [
        ("directory", "resolve"),
        ("transforms", "requestTransform"),
        ("authorizer", "authorize"),
        ("sender", "send"),
    ],
)
async def test_the_deadline_says_in_which_phase_it_passed(
    world: World, slow: str, phase: str
) -> None:
    """Whatever is slow, the call ends in time and says where it was."""
    world.transforms.scripts = {SEES_INPUT: lambda given, _context: given}
    world.offer(
        method(request_transform=SEES_INPUT, response_transform=SEES_INPUT), auth_type="bearer"
    )
    getattr(world, slow).delay = 30.0
    error = await asyncio.wait_for(failed(world, call("createContact", timeout=0.05)), 10)
    assert type(error) is DeadlinePassed
    assert error.details == {"phase": phase, "timeoutMs": 50}


async def test_a_slow_response_transform_is_a_phase_of_its_own(world: World) -> None:
    """The answer is there, its transform takes too long."""
    world.transforms.scripts = {SEES_INPUT: lambda given, _context: given}
    world.transforms.delay = 30.0
    world.offer(method(response_transform=SEES_INPUT))
    error = await asyncio.wait_for(failed(world, call("createContact", timeout=0.05)), 10)
    assert error.details == {"phase": "responseTransform", "timeoutMs": 50}


@pytest.mark.parametrize(
    ("timeout", "own_ms", "default", "expected"),
    [
        (None, None, 30.0, 30.0),
        (5.0, None, 30.0, 5.0),
        (500.0, None, 30.0, 30.0),
        (None, 60_000, 30.0, 60.0),
        (None, 2_000, 30.0, 2.0),
        (5.0, 60_000, 30.0, 5.0),
        (5.0, 2_000, 30.0, 2.0),
    ],
)
async def test_the_earliest_deadline_holds(
    timeout: float | None, own_ms: int | None, default: float, expected: float
) -> None:
    """The caller's, or the method's (else the service's), whichever comes first."""
    sender = ScriptedSender()
    world = World(sender=sender, limits=ExecutorLimits(default_timeout=default))
    world.offer(method(timeout_ms=own_ms))
    await world.call("createContact", timeout=timeout)
    (left,) = sender.timeouts
    assert expected - 1 < left <= expected


@pytest.mark.parametrize("timeout", [0.0, -1.0])
async def test_a_deadline_that_has_passed_already_sends_nothing(
    world: World, timeout: float
) -> None:
    """Nothing is begun that nobody waits for."""
    world.offer(method())
    error = await failed(world, call("createContact", timeout=timeout))
    assert type(error) is DeadlinePassed
    assert world.directory.asked == 0


async def test_the_senders_deadline_is_the_calls() -> None:
    """A sender that notices first tells of the whole time, not of what it was given."""
    world = answering(DeadlinePassed("late", phase="send", timeoutMs=1))
    world.offer(method(timeout_ms=2_000))
    error = await failed(world, call("createContact"))
    assert error.details == {"phase": "send", "timeoutMs": 2_000}


async def test_a_foreign_timeout_is_not_taken_for_ours() -> None:
    """A port's own TimeoutError is its failure."""
    world = World(authorizer=FixedAuthorizer(failure=TimeoutError("the store's")))
    world.offer(method(), auth_type="bearer")
    with pytest.raises(TimeoutError, match="the store's"):
        await world.call("createContact")


async def test_cancelling_a_call_cancels_what_it_waits_for(world: World) -> None:
    """A caller that goes away takes the upstream's call with it."""
    assert isinstance(world.sender, ScriptedSender)
    world.sender.delay = 30.0
    world.offer(method())
    task = asyncio.create_task(world.call("createContact"))
    done, _ = await asyncio.wait({task}, timeout=0.1)
    assert not done
    assert world.sender.requests
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# --- What is kept -------------------------------------------------------------------------------


async def test_a_new_content_of_a_definition_has_a_new_plan(world: World) -> None:
    """Plans are kept by content: another version of the definition is seen at once."""
    for path in ("/one", "/two"):
        world.offer(method(path=path))
        await world.call("createContact")
        assert world.sent.url == f"https://crm.example{path}"


async def test_a_new_config_is_seen_at_once(world: World) -> None:
    """A changed base address is used by the next call."""
    for host in ("one", "two"):
        world.offer(method(), config={"baseUrl": f"https://{host}.example"})
        await world.call("createContact")
        assert world.sent.url == f"https://{host}.example/createContact"


async def test_a_missing_base_url_is_a_fault_of_the_config(world: World) -> None:
    """The error names the missing field."""
    world.offer(method(), config={})
    error = await failed(world, call("createContact"))
    assert type(error) is MethodNotCallable
    assert error.details == {"missing": ["baseUrl"]}


async def test_calls_at_the_same_time_do_not_mix(world: World) -> None:
    """A hundred calls at once keep their own parameters and results."""
    world.transforms.scripts = {SEES_CONTEXT: lambda given, context: [given, context["parameters"]]}
    world.offer(method(request_transform=SEES_CONTEXT))
    await asyncio.gather(*(world.call("createContact", b'{"n":%d}' % n) for n in range(100)))
    assert isinstance(world.sender, ScriptedSender)
    bodies = [orjson.loads(request.body or b"") for request in world.sender.requests]
    assert sorted(body[0]["n"] for body in bodies) == list(range(100))
    assert all(body[0] == body[1] for body in bodies)


async def test_an_executor_names_itself_and_draws_its_own_seeds() -> None:
    """Without further words upstreams see the service's name, and calls differ in their seeds."""
    world = World(transforms=PythonTransforms({SEES_INPUT: lambda given, _context: given}))
    world.executor = Executor(
        world.directory,
        world.authorizer,
        world.transforms,
        world.sender,
        world.limits,
        fixed_clock,
    )
    world.offer(method(request_transform=SEES_INPUT))
    for _ in range(3):
        await world.call("createContact")
    assert dict(world.sent.headers)["User-Agent"].startswith("integration-service")
    assert len(set(world.transforms.seeds)) == 3


def test_calls_do_not_print_their_content() -> None:
    """What callers send is not in a representation that a log might keep."""
    assert "topsecret" not in repr(call("x", b'{"password":"topsecret"}', metadata=b"topsecret"))
    assert "topsecret" not in repr(Execution(b'"topsecret"'))
    assert "topsecret" not in repr(HttpResponse(200, (("Set-Cookie", "topsecret"),), b"topsecret"))
