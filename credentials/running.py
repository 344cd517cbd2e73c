"""Work that outlives whoever has asked for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Running:
    """Tasks that go on when their callers leave, until they end or are closed."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Begin work; what it raises is for whoever awaits it, if anybody does."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def to_its_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Do work that the caller's leaving does not stop."""
        await asyncio.shield(self.start(work))

    async def close(self) -> None:
        """Stop all of it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # looked at: perhaps the caller has gone
