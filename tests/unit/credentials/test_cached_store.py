"""The cache in front of a store of secrets."""

import asyncio

import pytest

from credentials.errors import StoreUnavailable, VersionConflict
from credentials.model import RecordKey, SecretRecord, Versioned
from credentials.stores.cached import CachedSecretStore
from credentials.stores.memory import MemorySecretStore


class RemoteStore(MemorySecretStore):
    """A store that counts its reads, holds them up while its gate is closed, and can be down."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.down = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def get(self, key: RecordKey) -> Versioned | None:
        """Read the record, then let the gate decide when the answer arrives."""
        self.reads += 1
        found = await super().get(key)
        await self.gate.wait()
        if self.down:
            raise StoreUnavailable("down")
        return found

    async def put(self, key: RecordKey, record: SecretRecord, expected_version: int) -> int:
        """Replace the record unless it is down."""
        if self.down:
            raise StoreUnavailable("down")
        return await super().put(key, record, expected_version)


class Clock:
    """A clock that stands still unless told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Answer the seconds since the test began."""
        return self.now


@pytest.fixture
def inner() -> RemoteStore:
    """Answer the store behind the cache."""
    return RemoteStore()


@pytest.fixture
def clock() -> Clock:
    """Answer the clock of the cache."""
    return Clock()


@pytest.fixture
def store(inner: RemoteStore, clock: Clock) -> CachedSecretStore:
    """Answer the cache, with room for three records."""
    return CachedSecretStore(inner, capacity=3, clock=clock)


async def value(store: CachedSecretStore, instance_id: str = "i1") -> object:
    """Read the one field of a record, None where there is none."""
    found = await store.get(RecordKey("acme", instance_id))
    return found and found.record.fields["n"]


async def test_reads_once_a_second(
    store: CachedSecretStore, inner: RemoteStore, clock: Clock
) -> None:
    """A record is read again when it is one second old, and not before."""
    await inner.put(RecordKey("acme", "i1"), SecretRecord({"n": 1}), 0)
    assert await value(store) == 1
    await inner.put(RecordKey("acme", "i1"), SecretRecord({"n": 2}), 1)
    clock.now = 0.999
    assert await value(store) == 1
    clock.now = 1.0
    assert await value(store) == 2
    assert inner.reads == 2


async def test_age_counts_from_before_the_read(
    store: CachedSecretStore, inner: RemoteStore, clock: Clock
) -> None:
    """A slow read does not make a record younger than it is."""
    await inner.put(RecordKey("acme", "i1"), SecretRecord({"n": 1}), 0)
    inner.gate.clear()
    reading = asyncio.create_task(value(store))
    await asyncio.sleep(0.01)
    clock.now = 0.7
    inner.gate.set()
    assert await reading == 1
    clock.now = 1.0
    assert await value(store) == 1
    assert inner.reads == 2


async def test_absence_is_not_remembered(store: CachedSecretStore, inner: RemoteStore) -> None:
    """A record that another process has just written is found at once."""
    assert await value(store) is None
    await inner.put(RecordKey("acme", "i1"), SecretRecord({"n": 1}), 0)
    assert await value(store) == 1


async def test_writes_drop_what_is_remembered(store: CachedSecretStore) -> None:
    """The next read after a put or a deletion sees it."""
    await store.put(RecordKey("acme", "i1"), SecretRecord({"n": 1}), 0)
    assert await value(store) == 1
    await store.put(RecordKey("acme", "i1"), SecretRecord({"n": 2}), 1)
    assert await value(store) == 2
    await store.delete(RecordKey("acme", "i1"))
    assert await value(store) is None


async def test_conflicts_drop_what_is_remembered(
    store: CachedSecretStore, inner: RemoteStore
) -> None:
    """After a lost write the record is read anew, so that the next try can win."""
    await inner.put(RecordKey("acme", "i1"), SecretRecord({"n": 1}), 0)
    assert await value(store) == 1
    await inner.put(RecordKey("acme", "i1"), SecretRecord({"n": 2}), 1)
    with pytest.raises(VersionConflict):
        await store.put(RecordKey("acme", "i1"), SecretRecord({"n": 3}), 1)
    assert await value(store) == 2


async def test_a_read_overtaken_by_a_write_is_not_kept(
    store: CachedSecretStore, inner: RemoteStore
) -> None:
    """Whoever reads after a write never gets what a read from before it has brought."""
    await inner.put(RecordKey("acme", "i1"), SecretRecord({"n": 1}), 0)
    inner.gate.clear()
    early = asyncio.create_task(value(store))
    await asyncio.sleep(0.01)
    await store.put(RecordKey("acme", "i1"), SecretRecord({"n": 2}), 1)
    late = asyncio.create_task(value(store))
    await asyncio.sleep(0.01)
    inner.gate.set()
    assert [await early, await late, await value(store)] == [1, 2, 2]
    assert inner.reads == 2


async def test_readers_share_a_read(store: CachedSecretStore, inner: RemoteStore) -> None:
    """Any number of readers at the same time read once."""
    await inner.put(RecordKey("acme", "i1"), SecretRecord({"n": 1}), 0)
    inner.gate.clear()
    readers = [asyncio.create_task(value(store)) for _ in range(100)]
    await asyncio.sleep(0.01)
    inner.gate.set()
    assert await asyncio.gather(*readers) == [1] * 100
    assert inner.reads == 1


async def test_a_reader_who_leaves_takes_nobody_along(
    store: CachedSecretStore, inner: RemoteStore
) -> None:
    """Cancelling the reader who came first leaves the others their answer."""
    await inner.put(RecordKey("acme", "i1"), SecretRecord({"n": 1}), 0)
    inner.gate.clear()
    first, second = (asyncio.create_task(value(store)) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0.01)
    inner.gate.set()
    assert await second == 1
    assert first.cancelled()
    assert inner.reads == 1


async def test_failures_are_not_remembered(store: CachedSecretStore, inner: RemoteStore) -> None:
    """Every reader of a failed read is told, and the next one tries again."""
    await inner.put(RecordKey("acme", "i1"), SecretRecord({"n": 1}), 0)
    inner.down = True
    answers = await asyncio.gather(value(store), value(store), return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable, StoreUnavailable]
    inner.down = False
    assert await value(store) == 1


async def test_an_outage_is_bridged(
    store: CachedSecretStore, inner: RemoteStore, clock: Clock
) -> None:
    """While the store is down, what was read is answered for a quarter of an hour, no longer."""
    await inner.put(RecordKey("acme", "i1"), SecretRecord({"n": 1}), 0)
    assert await value(store) == 1
    inner.down = True
    clock.now = 899.9
    assert await value(store) == 1
    clock.now = 900.0
    with pytest.raises(StoreUnavailable):
        await value(store)
    inner.down = False
    assert await value(store) == 1


async def test_a_store_that_hangs_is_bridged(
    store: CachedSecretStore, inner: RemoteStore, clock: Clock
) -> None:
    """Whoever reads from a store that does not answer gets what was read last, before long."""
    await inner.put(RecordKey("acme", "i1"), SecretRecord({"n": 1}), 0)
    assert await value(store) == 1
    await inner.put(RecordKey("acme", "i1"), SecretRecord({"n": 2}), 1)
    clock.now = 1.0
    inner.gate.clear()
    assert await value(store) == 1
    inner.gate.set()
    await asyncio.sleep(0.01)  # the read goes on, and is of use to the next
    assert await value(store) == 2
    assert inner.reads == 2


async def test_what_is_deleted_while_the_store_hangs_is_not_answered(
    store: CachedSecretStore, inner: RemoteStore
) -> None:
    """A reader that has waited for too long does not get what is no more."""
    await store.put(RecordKey("acme", "i1"), SecretRecord({"n": 1}), 0)
    inner.gate.clear()
    await inner.delete(RecordKey("acme", "i1"))
    reading = asyncio.create_task(value(store))
    await asyncio.sleep(0.01)
    await store.delete(RecordKey("acme", "i1"))
    await asyncio.sleep(0.3)
    inner.gate.set()
    assert await reading is None


async def test_an_outage_is_bridged_with_what_was_written(
    store: CachedSecretStore, inner: RemoteStore
) -> None:
    """A record that was written and never read is answered as it was written."""
    await store.put(RecordKey("acme", "i1"), SecretRecord({"n": 1}), 0)
    inner.down = True
    found = await store.get(RecordKey("acme", "i1"))
    assert found is not None
    assert (found.record.fields, found.version) == ({"n": 1}, 1)


async def test_what_is_gone_bridges_nothing(store: CachedSecretStore, inner: RemoteStore) -> None:
    """What was deleted, here or elsewhere, or written by others, is not answered in an outage."""
    for number in range(3):
        await store.put(RecordKey("acme", f"i{number}"), SecretRecord({"n": number}), 0)
    await store.delete(RecordKey("acme", "i0"))
    await inner.delete(RecordKey("acme", "i1"))
    assert await value(store, "i1") is None
    await inner.put(RecordKey("acme", "i2"), SecretRecord({"n": 7}), 1)
    with pytest.raises(VersionConflict):
        await store.put(RecordKey("acme", "i2"), SecretRecord({"n": 8}), 1)
    inner.down = True
    for number in range(3):
        with pytest.raises(StoreUnavailable):
            await value(store, f"i{number}")


async def test_a_write_that_fails_leaves_what_was_there(
    store: CachedSecretStore, inner: RemoteStore
) -> None:
    """A write that the store could not take costs nobody what was read before."""
    await inner.put(RecordKey("acme", "i1"), SecretRecord({"n": 1}), 0)
    assert await value(store) == 1
    inner.down = True
    with pytest.raises(StoreUnavailable):
        await store.put(RecordKey("acme", "i1"), SecretRecord({"n": 2}), 1)
    assert await value(store) == 1
    inner.down = False
    assert await value(store) == 1
    assert inner.reads == 3  # it was not taken for fresh meanwhile


async def test_what_is_remembered_is_bounded(store: CachedSecretStore, inner: RemoteStore) -> None:
    """Above its capacity the cache forgets what it read first."""
    for number in range(4):
        await inner.put(RecordKey("acme", f"i{number}"), SecretRecord({"n": number}), 0)
        assert await value(store, f"i{number}") == number
    assert [await value(store, f"i{number}") for number in (1, 2, 3)] == [1, 2, 3]
    assert inner.reads == 4
    assert await value(store, "i0") == 0
    assert inner.reads == 5
