"""Silence towards a server that is sealed or hangs, until it answers again.

While the breaker is open no request goes out: whoever asks is told at once why. Only a probe looks
at the server, every so often, and closes the breaker when it is well.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from credentials.errors import StoreSealed, StoreUnavailable

log = logging.getLogger("integration.credentials.vault")

SUSPECT_AFTER: Final = 3  # requests in a row without an answer


class Breaker:
    """Open while the server cannot serve; `probe` answers whether it can."""

    def __init__(self, probe: Callable[[], Awaitable[bool]], interval: float) -> None:
        self._probe = probe
        self._interval = interval
        self._why: StoreUnavailable | None = None
        self._silent = 0
        self._watching: asyncio.Task[None] | None = None

    @property
    def why(self) -> str:
        """Why it is open; empty: it is closed."""
        return "" if self._why is None else self._why.message

    def check(self) -> None:
        """Raise `StoreSealed` or `StoreUnavailable` while it is open."""
        if self._why is not None:
            raise type(self._why)(self._why.message)

    def sealed(self) -> StoreSealed:
        """Open: the server has said that it is sealed. Answer the error to raise."""
        error = StoreSealed("The Vault is sealed; credentials can be used when it is unsealed")
        self._open(error)
        self._watch()
        return error

    def silent(self) -> None:
        """Count a request without an answer; at the third in a row look at the server.

        Answers may be lost while the server is well: only when the probe gets none either, open.
        """
        self._silent += 1
        if self._silent >= SUSPECT_AFTER:
            self._watch()

    def answered(self) -> None:
        """Take note that the server answers."""
        self._silent = 0

    async def close(self) -> None:
        """Stop probing."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    def _open(self, why: StoreUnavailable) -> None:
        if self._why is None:
            log.warning("vault calls are held back: %s", why.message)
        self._why = why

    def _watch(self) -> None:
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._until_well())

    async def _until_well(self) -> None:
        is_well = self._why is None and await self._probe()
        if self._why is None:
            if is_well:
                self._silent = 0
                return
            self._open(StoreUnavailable("The Vault does not answer; try again later"))
        while True:
            await asyncio.sleep(self._interval)
            if await self._probe():
                break
        log.warning("vault calls go out again")
        self._why = None
        self._silent = 0
