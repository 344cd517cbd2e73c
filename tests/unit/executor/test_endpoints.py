"""Finding what a method of an instance is called with."""

from dataclasses import replace

import pytest

from executor.endpoint import Endpoints
from executor.errors import InstanceNotConnected
from executor.model import ExecutorLimits
from registry.model import InstanceStatus, Target
from tests.unit.executor.world import AGENT, definition, instance, method


def test_an_endpoint_is_kept_for_the_same_target() -> None:
    """Each method of a target has its own endpoint, made once."""
    endpoints = Endpoints(ExecutorLimits(), AGENT)
    target = Target(instance(), definition(method("a"), method("b")))
    first = endpoints.of(target, "a")
    assert endpoints.of(target, "a") is first
    assert endpoints.of(target, "b").plan.method == "b"


def test_a_target_that_was_read_again_is_looked_at_again() -> None:
    """The plan stays, a changed config is used at once, a changed status refuses."""
    endpoints = Endpoints(ExecutorLimits(), AGENT)
    target = Target(instance(), definition(method()))
    first = endpoints.of(target, "createContact")
    moved = replace(target, instance=instance({"baseUrl": "https://moved.example"}))
    second = endpoints.of(moved, "createContact")
    assert second.plan is first.plan
    assert second.configuration.base == "https://moved.example"
    gone = replace(target, instance=instance(status=InstanceStatus.DISCONNECTED))
    with pytest.raises(InstanceNotConnected):
        endpoints.of(gone, "createContact")


def test_endpoints_are_bounded() -> None:
    """The one that was made longest ago is let go."""
    endpoints = Endpoints(ExecutorLimits(kept_configurations=1), AGENT)
    target = Target(instance(), definition(method("a"), method("b")))
    first = endpoints.of(target, "a")
    endpoints.of(target, "b")
    assert endpoints.of(target, "a") is not first
