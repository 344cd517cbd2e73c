"""The order in which a call is refused."""

from dataclasses import replace

import pytest

from executor.errors import (
    InstanceNotConnected,
    InvalidParameters,
    MethodNotCallable,
    MethodNotFound,
)
from executor.model import MethodCall
from registry.errors import InstanceNotFound
from registry.model import InstanceError, InstanceStatus, Target
from tests.fakes import (
    ScriptedSender,
)
from tests.unit.executor.world import (
    CLOSED,
    INSTANCE,
    World,
    call,
    definition,
    failed,
    instance,
    method,
)


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
