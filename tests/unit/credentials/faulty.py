"""Stores between which and us something goes wrong."""

import asyncio
import inspect
import random
from dataclasses import dataclass, field
from typing import Any

from credentials.errors import StoreSealed, StoreUnavailable
from credentials.model import RecordKey, SecretRecord, Versioned
from credentials.ports import SecretStore


@dataclass
class SealableStore:
    """A store that can be sealed and unsealed."""

    inner: SecretStore
    sealed: bool = False
    refused: int = 0

    async def get(self, key: RecordKey) -> Versioned | None:
        """Answer the record."""
        self._check()
        return await self.inner.get(key)

    async def put(self, key: RecordKey, record: SecretRecord, expected_version: int) -> int:
        """Write the record."""
        self._check()
        return await self.inner.put(key, record, expected_version)

    async def delete(self, key: RecordKey) -> None:
        """Forget the record."""
        self._check()
        await self.inner.delete(key)

    def _check(self) -> None:
        if self.sealed:
            self.refused += 1
            raise StoreSealed("the store is sealed")


@dataclass
class ForgetfulStore:
    """A store whose writes are done, and then now and then reported as failed."""

    inner: SecretStore
    share: float
    dice: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311
    lied: int = 0

    async def get(self, key: RecordKey) -> Versioned | None:
        """Answer the record."""
        return await self.inner.get(key)

    async def put(self, key: RecordKey, record: SecretRecord, expected_version: int) -> int:
        """Write the record, and perhaps say that it failed."""
        version = await self.inner.put(key, record, expected_version)
        if self.dice.random() < self.share:
            self.lied += 1
            raise StoreUnavailable("the answer was lost")
        return version

    async def delete(self, key: RecordKey) -> None:
        """Forget the record."""
        await self.inner.delete(key)


class Gate:
    """Stops whoever comes through it as the `number`-th, from 0, until it is opened."""

    def __init__(self, number: int) -> None:
        self._left = number
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def pass_(self) -> None:
        """Go through, perhaps later."""
        self._left -= 1
        if self._left == -1:
            self.reached.set()
            await self.opened.wait()


class Gated:
    """Anything with async methods, before and behind each of which is a gate."""

    def __init__(self, inner: Any, gate: Any) -> None:
        self._inner = inner
        self._gate = gate

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(method):
            return method

        async def gated(*given: Any, **named: Any) -> Any:
            await self._gate.pass_()
            found = await method(*given, **named)
            await self._gate.pass_()
            return found

        return gated
