"""Fetching tokens before they are needed, so that no caller waits for one."""

import asyncio
import heapq
from collections.abc import Callable
from math import isinf

from credentials.grants import Grant, due_at
from credentials.model import RecordKey
from credentials.patience import monotonic
from credentials.running import detached

MOST = 100_000
_LONGEST_SLEEP = 60.0
_AGAIN = (60.0, 120.0, 240.0, 480.0)  # seconds after a kick that has brought nothing new


class Proactive:
    """Remembers when the tokens that this process has seen are due, and kicks their refresh then.

    Whether it takes place is for the claim to say: many processes may remember the same token.
    """

    def __init__(self, kick: Callable[[str, str], None], now: Callable[[], float]) -> None:
        self._kick = kick
        self._now = now
        self._generations: dict[RecordKey, int] = {}
        self._due: list[tuple[float, RecordKey, int, int]] = []
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
        self._plan(due - self._now(), key, grant.generation, 0)
        if self._task is None:
            self._task = detached(self._run())

    async def close(self) -> None:
        """Stop kicking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._rest()
            while self._due and self._due[0][0] <= monotonic():
                _, key, generation, kicks = heapq.heappop(self._due)
                if self._generations.get(key) == generation:
                    self._kick_again(key, generation, kicks)

    def _kick_again(self, key: RecordKey, generation: int, kicks: int) -> None:
        if kicks < len(_AGAIN):  # its server may be down, or another process at it and dead
            self._plan(_AGAIN[kicks], key, generation, kicks + 1)
        else:
            del self._generations[key]
        self._kick(key.tenant, key.instance_id)

    def _plan(self, seconds: float, key: RecordKey, generation: int, kicks: int) -> None:
        heapq.heappush(self._due, (monotonic() + seconds, key, generation, kicks))
        self._changed.set()

    async def _rest(self) -> None:
        self._changed.clear()
        seconds = self._due[0][0] - monotonic() if self._due else _LONGEST_SLEEP
        try:
            async with asyncio.timeout(max(0.0, min(seconds, _LONGEST_SLEEP))):
                await self._changed.wait()
        except TimeoutError:
            return
