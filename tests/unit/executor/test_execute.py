"""What passes through the steps of a call, over fakes."""

import asyncio

import orjson
import pytest

from credentials.model import Authorization, AuthScheme, OutgoingRequest
from executor.errors import (
    MethodNotCallable,
    RequestTooLarge,
)
from executor.execute import Executor
from executor.model import Execution, ExecutorLimits, HttpResponse
from registry.model import AuthPlacement
from tests.fakes import (
    FixedAuthorizer,
    PythonTransforms,
    ScriptedSender,
    fixed_clock,
    json_response,
)
from tests.unit.executor.world import (
    INSTANCE,
    SEES_CONTEXT,
    SEES_INPUT,
    TENANT,
    World,
    answering,
    call,
    failed,
    method,
)


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
