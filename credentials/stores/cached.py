"""Any store, read at most once a second per record: the hot path of an execution."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from math import inf
from typing import NamedTuple

from credentials.errors import StoreUnavailable
from credentials.model import RecordKey, SecretRecord, Versioned
from credentials.ports import SecretStore

MAX_SECONDS = 1.0
MAX_STALE_SECONDS = 15 * 60.0
PATIENCE_SECONDS = 0.25
DEFAULT_CAPACITY = 10_000


class _Entry(NamedTuple):
    """A record, until when it is as good as the store, and until when it is better than nothing."""

    fresh_until: float
    stale_until: float
    found: Versioned


class CachedSecretStore:
    """A `SecretStore` that remembers what it read for at most one second.

    What is written or deleted through it is forgotten at once; what other processes write is seen
    after a second at the latest. Absence is never remembered: whoever has just connected an
    instance elsewhere must not be told that it is not. Concurrent readers of the same record share
    one read, which no caller's cancellation stops.

    While the store is not available, or takes longer than a quarter of a second, what was last read
    or written here is answered for up to fifteen minutes: an outage costs no call whose token is
    still good. The price is that for as long as this process alone is cut off, it does not see what
    others change or delete.

    `clock` counts seconds from anywhere; the records expire by it.
    """

    def __init__(
        self,
        inner: SecretStore,
        *,
        capacity: int = DEFAULT_CAPACITY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._capacity = capacity
        self._clock = clock
        # In the order of reading: with one lifetime for all, that is the order of expiry, and
        # within a second it is near enough to the order of use.
        self._entries: OrderedDict[RecordKey, _Entry] = OrderedDict()
        self._reads: dict[RecordKey, asyncio.Task[Versioned | None]] = {}

    @property
    def direct(self) -> "DirectSecretStore":
        """The same store for those who must see it as it is; what they write is forgotten here."""
        return DirectSecretStore(self._inner, self)

    async def get(self, key: RecordKey) -> Versioned | None:
        """Answer the record, at most one second old while the store is there."""
        entry = self._entries.get(key)
        if entry is not None and self._clock() < entry.fresh_until:
            return entry.found
        read = self._reads.get(key)
        if read is None:
            read = self._reads[key] = asyncio.create_task(self._read(key))
            read.add_done_callback(_retrieved)
        is_kept = self._kept(key) is not None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS if is_kept else None):
                return await asyncio.shield(read)
        except StoreUnavailable:
            kept = self._kept(key)  # looked at anew: it may have been deleted meanwhile
            if kept is None:
                raise
            return kept
        except TimeoutError:
            return self._kept(key) or await asyncio.shield(read)

    async def put(self, key: RecordKey, record: SecretRecord, expected_version: int) -> int:
        """Replace the record of version `expected_version`; raises `VersionConflict`."""
        try:
            version = await self._inner.put(key, record, expected_version)
        except StoreUnavailable:
            self._doubt(key)
            raise
        except BaseException:
            self._forget(key)  # a conflict proves that what is remembered is old
            raise
        self._reads.pop(key, None)
        self._remember(key, -inf, Versioned(record, version), self._clock() + MAX_STALE_SECONDS)
        return version

    async def delete(self, key: RecordKey) -> None:
        """Forget the record, here and in the store."""
        try:
            await self._inner.delete(key)
        finally:
            self._forget(key)

    async def _read(self, key: RecordKey) -> Versioned | None:
        began = self._clock()  # before the read: what it answers was surely true then
        this = asyncio.current_task()
        try:
            found = await self._inner.get(key)
            # A write meanwhile has made this read nobody's: it may have seen the old record.
            if self._reads.get(key) is this:
                self._entries.pop(key, None)
                if found is not None:
                    self._remember(key, began + MAX_SECONDS, found, began + MAX_STALE_SECONDS)
        finally:
            if self._reads.get(key) is this:
                del self._reads[key]
        return found

    def _kept(self, key: RecordKey) -> Versioned | None:
        """Answer what is better than nothing."""
        entry = self._entries.get(key)
        return None if entry is None or self._clock() >= entry.stale_until else entry.found

    def _remember(
        self, key: RecordKey, fresh_until: float, found: Versioned, stale_until: float
    ) -> None:
        self._entries.pop(key, None)
        self._entries[key] = _Entry(fresh_until, stale_until, found)
        now = self._clock()
        while self._entries and (
            len(self._entries) > self._capacity or self._oldest().stale_until <= now
        ):
            self._entries.popitem(last=False)

    def _oldest(self) -> _Entry:
        return next(iter(self._entries.values()))

    def _doubt(self, key: RecordKey) -> None:
        """Have the record read anew; what it was is better than nothing."""
        self._reads.pop(key, None)
        kept = self._entries.get(key)
        if kept is not None:
            self._entries[key] = kept._replace(fresh_until=-inf)

    def _forget(self, key: RecordKey) -> None:
        self._entries.pop(key, None)
        self._reads.pop(key, None)


class DirectSecretStore:
    """A `SecretStore` that reads what is stored now, and writes through the cache."""

    def __init__(self, inner: SecretStore, cache: CachedSecretStore) -> None:
        self._inner = inner
        self._cache = cache

    async def get(self, key: RecordKey) -> Versioned | None:
        """Answer the record as it is."""
        return await self._inner.get(key)

    async def put(self, key: RecordKey, record: SecretRecord, expected_version: int) -> int:
        """Replace the record of version `expected_version`; raises `VersionConflict`."""
        return await self._cache.put(key, record, expected_version)

    async def delete(self, key: RecordKey) -> None:
        """Forget the record."""
        await self._cache.delete(key)


def _retrieved(read: asyncio.Task[Versioned | None]) -> None:
    """Look at a failure, so that asyncio does not report it when every reader has gone away."""
    if not read.cancelled():
        read.exception()
