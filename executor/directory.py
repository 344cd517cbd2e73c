"""A directory that remembers what it was told, for a moment."""

import asyncio
import contextvars
from collections.abc import Callable
from time import monotonic

from executor.errors import DeadlinePassed
from executor.lru import LastRenewed
from executor.ports import Directory
from registry.model import InstanceStatus, Target

Key = tuple[str, str]

LONGEST_SECONDS = 1.0
MOST_INSTANCES = 10_000
# Without a bound, one question that is never answered would hold up all calls of its instance.
LONGEST_LOAD_SECONDS = 30.0


class CachedDirectory:
    """Keeps targets for at most a second; `forget` drops one at once.

    Simultaneous questions for one instance are asked once, with `load_seconds` to be answered.
    Failures are not kept, nor are instances that are not connected: whoever connects one and calls
    it at once must not be told that it is not.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        seconds: float = LONGEST_SECONDS,
        size: int = MOST_INSTANCES,
        load_seconds: float = LONGEST_LOAD_SECONDS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._directory = directory
        self._seconds = min(seconds, LONGEST_SECONDS)
        self._load_seconds = load_seconds
        self._clock = clock
        self._kept: LastRenewed[Key, tuple[float, Target]] = LastRenewed(size)
        self._loading: dict[Key, asyncio.Task[Target]] = {}

    async def resolve(self, tenant: str, instance_id: str, *, fresh: bool = False) -> Target:
        """Answer the instance and its definition.

        Raises the registry's `InstanceNotFound`, and `DeadlinePassed` when it does not answer.
        """
        if fresh:
            self.forget(tenant, instance_id)
        key = (tenant, instance_id)
        kept = self._kept.get(key)
        if kept is not None and self._clock() < kept[0]:
            return kept[1]
        task = self._loading.get(key)
        if task is None:
            # A task and a context of its own: the deadline of the caller that happened to be the
            # first, or its giving up, must not fail the others.
            task = asyncio.create_task(self._load(key), context=contextvars.Context())
            self._loading[key] = task
            task.add_done_callback(_retrieve)
        return await asyncio.shield(task)

    def forget(self, tenant: str, instance_id: str) -> None:
        """Drop an instance, and what is being read about it this moment."""
        self._kept.pop((tenant, instance_id), None)
        self._loading.pop((tenant, instance_id), None)

    async def _load(self, key: Key) -> Target:
        task = asyncio.current_task()
        asked_at = self._clock()
        try:
            target = await self._ask(key)
            connected = target.instance.status is InstanceStatus.CONNECTED
            if connected and self._loading.get(key) is task:
                self._kept.put(key, (asked_at + self._seconds, target))
            return target
        finally:
            if self._loading.get(key) is task:
                del self._loading[key]

    async def _ask(self, key: Key) -> Target:
        timer = asyncio.timeout(self._load_seconds)
        try:
            async with timer:
                return await self._directory.resolve(*key)
        except TimeoutError:
            if not timer.expired():
                raise
            allowed = round(self._load_seconds * 1000)
            raise DeadlinePassed(
                f"the registry did not answer within {allowed} ms",
                phase="resolve",
                timeoutMs=allowed,
            ) from None


def _retrieve(task: asyncio.Task[Target]) -> None:
    """Look at the failure of a task whose callers have all gone, so that it is not reported."""
    if not task.cancelled():
        task.exception()
