"""Instances, remembered for a moment."""

import asyncio
from contextvars import ContextVar

import pytest

from executor.directory import CachedDirectory
from executor.errors import DeadlinePassed
from registry.errors import InstanceNotFound
from registry.model import Target
from tests.fakes import MemoryDirectory
from tests.unit.executor.world import INSTANCE, TENANT, definition, instance, method


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Answer the time."""
        return self.now


@pytest.fixture
def directory() -> MemoryDirectory:
    """A directory with one instance."""
    known = MemoryDirectory()
    known.add(Target(instance(), definition(method())))
    return known


@pytest.fixture
def clock() -> Clock:
    """A clock at rest."""
    return Clock()


def replaced(directory: MemoryDirectory) -> Target:
    """Put another config in the instance's place."""
    target = Target(instance({"baseUrl": "https://other.example"}), definition(method()))
    directory.add(target)
    return target


async def test_asks_once_a_second(directory: MemoryDirectory, clock: Clock) -> None:
    """Within a second the same target is answered; after it the directory is asked again."""
    cached = CachedDirectory(directory, clock=clock)
    first = await cached.resolve(TENANT, INSTANCE)
    second = replaced(directory)
    clock.now += 0.99
    assert await cached.resolve(TENANT, INSTANCE) is first
    clock.now += 0.01
    assert await cached.resolve(TENANT, INSTANCE) is second
    assert directory.asked == 2


async def test_never_remembers_for_longer(directory: MemoryDirectory, clock: Clock) -> None:
    """A second is the most, whatever is asked for."""
    cached = CachedDirectory(directory, seconds=3600, clock=clock)
    await cached.resolve(TENANT, INSTANCE)
    clock.now += 1
    await cached.resolve(TENANT, INSTANCE)
    assert directory.asked == 2


async def test_forgets_at_once(directory: MemoryDirectory, clock: Clock) -> None:
    """A change that is known in this process is seen by the next call."""
    cached = CachedDirectory(directory, clock=clock)
    await cached.resolve(TENANT, INSTANCE)
    second = replaced(directory)
    cached.forget(TENANT, INSTANCE)
    assert await cached.resolve(TENANT, INSTANCE) is second
    cached.forget("other", "unknown")


async def test_simultaneous_questions_are_asked_once(
    directory: MemoryDirectory, clock: Clock
) -> None:
    """Fifty callers share one question."""
    directory.delay = 0.01
    cached = CachedDirectory(directory, clock=clock)
    targets = await asyncio.gather(*(cached.resolve(TENANT, INSTANCE) for _ in range(50)))
    assert directory.asked == 1
    assert all(target is targets[0] for target in targets)


async def test_what_is_being_read_while_it_changes_is_not_kept(
    directory: MemoryDirectory, clock: Clock
) -> None:
    """A question asked before `forget` does not answer those asked after it."""
    directory.delay = 0.01
    cached = CachedDirectory(directory, clock=clock)
    early = asyncio.create_task(cached.resolve(TENANT, INSTANCE))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    cached.forget(TENANT, INSTANCE)
    second = replaced(directory)
    assert await cached.resolve(TENANT, INSTANCE) is second
    await early
    assert await cached.resolve(TENANT, INSTANCE) is second
    assert directory.asked == 2


async def test_one_caller_that_gives_up_does_not_fail_the_others(
    directory: MemoryDirectory, clock: Clock
) -> None:
    """The first caller's cancellation is its own."""
    directory.delay = 0.01
    cached = CachedDirectory(directory, clock=clock)
    first = asyncio.create_task(cached.resolve(TENANT, INSTANCE))
    second = asyncio.create_task(cached.resolve(TENANT, INSTANCE))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await second).instance.id == INSTANCE
    assert directory.asked == 1


async def test_a_question_knows_nothing_of_who_asked_first(
    directory: MemoryDirectory, clock: Clock
) -> None:
    """What belongs to one caller, such as its deadline, is kept from a question that many share."""
    deadline: ContextVar[float] = ContextVar("deadline")
    seen: list[float | None] = []

    class Curious:
        async def resolve(self, tenant: str, instance_id: str, *, fresh: bool = False) -> Target:
            seen.append(deadline.get(None))
            return await directory.resolve(tenant, instance_id, fresh=fresh)

    cached = CachedDirectory(Curious(), clock=clock)
    deadline.set(0.05)
    await cached.resolve(TENANT, INSTANCE)
    assert seen == [None]


async def test_a_question_without_an_answer_is_asked_again(
    directory: MemoryDirectory, clock: Clock
) -> None:
    """A directory that hangs fails those who wait, and nobody who comes later."""
    directory.delay = 60
    cached = CachedDirectory(directory, load_seconds=0.01, clock=clock)
    with pytest.raises(DeadlinePassed) as passed:
        await cached.resolve(TENANT, INSTANCE)
    assert passed.value.details == {"phase": "resolve", "timeoutMs": 10}
    directory.delay = 0
    assert (await cached.resolve(TENANT, INSTANCE)).instance.id == INSTANCE


async def test_failures_are_not_kept(directory: MemoryDirectory, clock: Clock) -> None:
    """An unknown instance is looked for each time, also when nobody waits for the answer."""
    cached = CachedDirectory(directory, clock=clock)
    for _ in range(2):
        with pytest.raises(InstanceNotFound):
            await cached.resolve("other", INSTANCE)
    assert directory.asked == 2
    left = asyncio.create_task(cached.resolve("other", INSTANCE))
    await asyncio.sleep(0)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    await asyncio.sleep(0.01)
    assert directory.asked == 3


async def test_tenants_do_not_see_each_other(directory: MemoryDirectory, clock: Clock) -> None:
    """What one tenant was told is not told to another."""
    cached = CachedDirectory(directory, clock=clock)
    await cached.resolve(TENANT, INSTANCE)
    with pytest.raises(InstanceNotFound):
        await cached.resolve("other", INSTANCE)


async def test_holds_a_bounded_number(directory: MemoryDirectory, clock: Clock) -> None:
    """The least used instance goes when there are too many."""
    directory.targets["b", INSTANCE] = directory.targets[TENANT, INSTANCE]
    cached = CachedDirectory(directory, size=1, clock=clock)
    for tenant in (TENANT, "b", TENANT):
        await cached.resolve(tenant, INSTANCE)
    assert directory.asked == 3


async def test_a_fresh_look_is_remembered(directory: MemoryDirectory, clock: Clock) -> None:
    """Who asks for the present gets it, and all who ask after that."""
    cached = CachedDirectory(directory, clock=clock)
    await cached.resolve(TENANT, INSTANCE)
    second = replaced(directory)
    assert await cached.resolve(TENANT, INSTANCE, fresh=True) is second
    assert await cached.resolve(TENANT, INSTANCE) is second
    assert directory.asked == 2
