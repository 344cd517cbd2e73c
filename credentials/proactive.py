"""Fetching tokens before they are needed, so that no caller waits for one."""

import asyncio
import heapq
from collections.abc import Callable
from math import isinf
from time import monotonic

from credentials.grants import Grant, due_at
from credentials.model import RecordKey

MOST = 100_000
_LONGEST_SLEEP = 60.0


class Proactive:
    """Remembers when the tokens that this process has seen are due, and kicks their refresh then.

    Whether it takes place is for the claim to say: many processes may remember the same token.
    """

    def __init__(self, kick: Callable[[str, str], None], now: Callable[[], float]) -> None:
        self._kick = kick
        self._now = now
        self._generations: dict[RecordKey, int] = {}
        self._due: list[tuple[float, RecordKey, int]] = []
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def watch(self, key: RecordKey, grant: Grant) -> None:
        """Remember a grant that can be renewed; the newest generation counts."""
        due = due_at(grant)
        known = self._generations.get(key) == grant.generation
        early = grant.refresh_token and not isinf(due) and due != grant.expires_at
        if known or not early or len(self._due) >= MOST:
            return
        self._generations[key] = grant.generation
        heapq.heappush(self._due, (monotonic() + due - self._now(), key, grant.generation))
        self._changed.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop kicking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._rest()
            while self._due and self._due[0][0] <= monotonic():
                _, key, generation = heapq.heappop(self._due)
                if self._generations.get(key) == generation:
                    del self._generations[key]
                    self._kick(key.tenant, key.instance_id)

    async def _rest(self) -> None:
        self._changed.clear()
        seconds = self._due[0][0] - monotonic() if self._due else _LONGEST_SLEEP
        try:
            async with asyncio.timeout(max(0.0, min(seconds, _LONGEST_SLEEP))):
                await self._changed.wait()
        except TimeoutError:
            return
