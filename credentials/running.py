"""Work that outlives whoever has asked for it."""

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")


def detached(work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Begin work in a context of its own.

    The deadline of the caller that happened to begin it stands in that one's context: it must
    neither end the work nor fail others who wait for it.
    """
    return asyncio.create_task(work, context=Context())


class Running:
    """Tasks that go on when their callers leave, until they end or are closed.

    `patience` is how many seconds a stop of the process leaves to what has to come to its end: what
    a server has answered once it does not answer again.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Begin work; what it raises is for whoever awaits it, if anybody does."""
        task = detached(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def to_its_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Do work that neither the caller's leaving nor a stop of the process breaks off."""
        task = self.start(work)
        self._ending.add(task)
        await asyncio.shield(task)

    async def close(self) -> None:
        """Stop all of it, what has to come to its end last."""
        for task in self._tasks - self._ending:
            task.cancel()
        if self._ending:
            _, late = await asyncio.wait(self._ending, timeout=self._patience)
            for task in late:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._ending.discard(task)
        if not task.cancelled():
            task.exception()  # looked at: perhaps the caller has gone
