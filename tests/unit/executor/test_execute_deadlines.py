"""Every call ends in time."""

import asyncio

import pytest

from executor.errors import (
    DeadlinePassed,
)
from executor.model import ExecutorLimits
from tests.fakes import (
    FixedAuthorizer,
    ScriptedSender,
)
from tests.unit.executor.world import (
    SEES_INPUT,
    World,
    answering,
    call,
    failed,
    method,
)


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
