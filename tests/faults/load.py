"""Calls at a steady rate, whatever becomes of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Self

from tests.journeys.doors import Refused

_TICK = 0.02  # seconds


class Load:
    """Calls as long as its block lasts. `done` counts calls, `failed` has the refusals."""

    def __init__(self, call: Callable[[], Awaitable[Any]], rate: float) -> None:
        self._call = call
        self._rate = rate
        self._calls: set[asyncio.Task[None]] = set()
        self.done = 0
        self.failed: list[Refused] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*self._calls)

    async def _run(self) -> None:
        began = time.monotonic()
        begun = 0
        while True:
            wanted = int((time.monotonic() - began) * self._rate)
            for _ in range(wanted - begun):
                task = asyncio.create_task(self._one())
                self._calls.add(task)
                task.add_done_callback(self._calls.discard)
            begun = wanted
            await asyncio.sleep(_TICK)

    async def _one(self) -> None:
        try:
            await self._call()
        except Refused as refused:
            self.failed.append(refused)
        self.done += 1
