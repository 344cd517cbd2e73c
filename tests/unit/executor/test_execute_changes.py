"""A call while its instance is being changed: no secret goes where another config leads."""

from dataclasses import replace
from typing import Any

from credentials.model import Authorization
from executor.directory import CachedDirectory
from executor.errors import InstanceChanging, InstanceNotConnected
from executor.execute import Executor
from executor.model import ExecutorLimits
from registry.model import InstanceStatus, Target
from tests.fakes import (
    FixedAuthorizer,
    MemoryDirectory,
    PythonTransforms,
    ScriptedSender,
    fixed_clock,
)
from tests.unit.executor.world import (
    SEES_CONTEXT,
    World,
    call,
    definition,
    failed,
    instance,
    method,
)

KEY = Authorization((("Authorization", "Bearer key-of-b"),))


def target(version: int, host: str, **more: Any) -> Target:
    """Answer what the registry says of the instance at a version of its credentials."""
    config = {"baseUrl": f"https://{host}.example"}
    known = instance(config, credentials_version=version)
    return Target(known, definition(method(**more), auth_type="api_key"))


async def test_what_was_remembered_is_read_again() -> None:
    """A new secret goes to the new host, with the new config in its script: all steps run again."""
    directory, sender = MemoryDirectory(), ScriptedSender()
    transforms = PythonTransforms({SEES_CONTEXT: lambda given, _context: given})
    authorizer = FixedAuthorizer(KEY, version=2)
    executor = Executor(
        CachedDirectory(directory),
        authorizer,
        transforms,
        sender,
        ExecutorLimits(),
        fixed_clock,
    )
    directory.add(target(1, "a", request_transform=SEES_CONTEXT))
    await executor.directory.resolve("default", "int_inst_1")
    directory.add(target(2, "b", request_transform=SEES_CONTEXT))
    await executor.execute(call("createContact"))
    assert [request.url for request in sender.requests] == ["https://b.example/createContact"]
    assert [context["config"]["baseUrl"] for context in transforms.contexts] == [
        "https://a.example",
        "https://b.example",
    ]
    assert [request.url for *_, request in authorizer.asked] == [
        "https://a.example/createContact",
        "https://b.example/createContact",
    ]


async def test_between_two_writes_nothing_is_sent() -> None:
    """As long as config and credentials do not belong together, callers are told to come again."""
    world = World(authorizer=FixedAuthorizer(KEY, version=2))
    world.directory.add(target(1, "a"))
    error = await failed(world, call("createContact"))
    assert type(error) is InstanceChanging
    assert error.retry_after_ms is not None
    assert (world.directory.asked, world.directory.asked_fresh) == (2, 1)
    assert isinstance(world.sender, ScriptedSender)
    assert world.sender.requests == []


async def test_what_is_found_at_the_second_look_counts() -> None:
    """An instance that was disconnected meanwhile is refused as such."""
    world = World(authorizer=FixedAuthorizer(KEY, version=2))
    gone = target(2, "b")
    gone = replace(gone, instance=replace(gone.instance, status=InstanceStatus.DISCONNECTED))

    class Changing(MemoryDirectory):
        """A directory whose instance changes between two looks."""

        async def resolve(self, tenant: str, instance_id: str, *, fresh: bool = False) -> Target:
            if fresh:
                self.add(gone)
            return await super().resolve(tenant, instance_id, fresh=fresh)

    world = World(Changing(), FixedAuthorizer(KEY, version=2))
    world.directory.add(target(1, "a"))
    assert type(await failed(world, call("createContact"))) is InstanceNotConnected
