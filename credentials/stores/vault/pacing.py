"""As many requests a second as the server's quota lets through.

A Vault over its quota answers 429 and nothing more: neither when to come again nor what the quota
is. So the rate is learned: at a 429 it falls to a little less than what was let through in the last
second, and from there it creeps up until the next 429 (additive increase, multiplicative decrease,
as in TCP). Without any 429 nothing is ever held back.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

from credentials.errors import StoreUnavailable

WINDOW: Final = 1.0  # seconds that a rate is measured over
MAX_WAIT: Final = 2.0  # seconds; whoever would have to wait longer is told so at once
_FALL: Final = 0.8
_RISE: Final = 0.25  # requests a second, per second without a 429
_LOWEST: Final = 1.0
_FORGOTTEN_AFTER: Final = 60.0  # seconds without a 429


class Pacer:
    """Spaces requests once the server has refused one for its quota."""

    def __init__(
        self,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._passed: deque[float] = deque(maxlen=10_000)
        self._rate = 0.0  # a second; 0: not limited
        self._fell_at = 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for this request's turn; raises `StoreUnavailable` when that is too far away."""
        if not self._rate:
            return
        now = self._clock()
        if now - self._fell_at > _FORGOTTEN_AFTER:
            self._rate = 0.0
            return
        at = max(now, self._next)
        if at - now > MAX_WAIT:
            raise StoreUnavailable("The Vault's quota is used up; try again in some seconds")
        rate = self._rate + _RISE * (now - self._fell_at)
        self._next = at + 1 / rate
        await self._sleep(at - now)

    def passed(self) -> None:
        """Take note of a request that the quota let through."""
        self._passed.append(self._clock())

    def refused(self) -> None:
        """Slow down: the quota has refused a request."""
        now = self._clock()
        if self._rate and now - self._fell_at < WINDOW:
            return  # of requests that were under way together, one slows down for all
        lately = sum(1 for at in self._passed if now - at <= WINDOW)
        self._rate = max(_LOWEST, _FALL * lately)
        self._fell_at = now
        self._next = max(self._next, now + 1 / self._rate)
