"""Rotating all keys of the store of sealed rows, on each of its databases, while it is in use."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, event, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from credentials.errors import (
    MasterKeyMissing,
    MasterKeyWrong,
    RecordCorrupt,
    StoreUnavailable,
    VersionConflict,
)
from credentials.model import Part, RecordKey, SecretRecord
from credentials.stores.local.key_file import KeyFile
from credentials.stores.local.key_sources import KeySetting
from credentials.stores.local.keys import Keyring
from credentials.stores.local.master_key import MasterKeys
from credentials.stores.local.rotation import KeyRotation, Rotated
from credentials.stores.local.store import LocalSecretStore
from credentials.stores.local.tables import data_keys, master_keys, records
from credentials.stores.local.wrapping import DataKey
from tests.conformance.sealed_rows import connected, emptied, process, url_of

TENANTS = ("acme", "zeta")
KEYS = [
    RecordKey(tenant, f"int_inst_{number}", part)
    for tenant in TENANTS
    for number in range(3)
    for part in (Part.CONFIG, Part.GRANT)
]


class Crash(Exception):
    """The end of a process."""


class CountedFile(KeyFile):
    """A key file that counts how often it is loaded, and can be out of reach."""

    loads = 0
    down = False

    def load(self) -> MasterKeys:
        """Load, unless it is out of reach."""
        self.loads += 1
        if self.down:
            raise MasterKeyMissing("out of reach", source=str(self.path))
        return super().load()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Answer the URL of each database in turn."""
    return url_of(request.param, request, tmp_path)


@pytest.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    """Answer an engine on empty tables."""
    async with emptied(url) as opened:
        yield opened


@pytest.fixture
def source(tmp_path: Path) -> KeyFile:
    """Answer a new master key's file."""
    return KeyFile.create(tmp_path / "master-key")


@pytest.fixture
async def store(engine: AsyncEngine, source: KeyFile) -> LocalSecretStore:
    """Answer a store with some records of two tenants."""
    opened = await LocalSecretStore.open(engine, source)
    for key in KEYS:
        await opened.put(key, SecretRecord({"of": list(key)}), 0)
    return opened


def silent(_: str) -> None:
    """Ignore how far a rotation is."""


async def rotated(engine: AsyncEngine, source: KeyFile | KeySetting) -> Rotated:
    """Rotate all keys."""
    return await KeyRotation(engine, source, silent).run()


async def rows(engine: AsyncEngine, table: Table) -> list[Any]:
    """Read a table."""
    async with engine.connect() as connection:
        found = (await connection.execute(select(table))).all()
    return sorted(found, key=lambda row: tuple(row)[:3])


async def everything(engine: AsyncEngine) -> list[list[Any]]:
    """Read all tables."""
    return [await rows(engine, table) for table in (master_keys, data_keys, records)]


async def contents(store: LocalSecretStore) -> list[Any]:
    """Read all records with their versions."""
    found = [await store.get(key) for key in KEYS]
    return [each and (each.record.fields["of"], each.version) for each in found]


EXPECTED = [(list(key), 1) for key in KEYS]


async def test_everything_is_renewed(
    engine: AsyncEngine, store: LocalSecretStore, source: KeyFile, tmp_path: Path
) -> None:
    """Each key is another one, each record sealed anew with the same content and version."""
    (old_value,) = source.load().values
    old_file = KeyFile(tmp_path / "old-key")
    old_file.path.write_bytes(b64encode(old_value))
    before = await rows(engine, records)
    assert await rotated(engine, source) == Rotated(2, len(KEYS), ())
    after = await rows(engine, records)
    assert {row.sealed for row in before} & {row.sealed for row in after} == set()
    assert [row[:4] for row in before] == [row[:4] for row in after]
    assert [row[:3] for row in await rows(engine, data_keys)] == [("acme", 2, 2), ("zeta", 2, 2)]
    assert [row.key_id for row in await rows(engine, master_keys)] == [2]
    assert source.load().values != (old_value,)
    assert len(source.load().values) == 1
    assert await contents(store) == EXPECTED
    with pytest.raises(MasterKeyWrong):
        await LocalSecretStore.open(engine, old_file)


async def test_rotating_again(
    engine: AsyncEngine, store: LocalSecretStore, source: KeyFile
) -> None:
    """Rotations follow each other, with writes and deletions between them."""
    for turn in range(1, 4):
        await rotated(engine, source)
        assert await store.put(KEYS[0], SecretRecord({"of": turn}), turn) == turn + 1
    await store.delete(KEYS[1])
    assert (await rotated(engine, source)).records == len(KEYS) - 1
    assert await contents(store) == [(3, 4), None, *EXPECTED[2:]]
    assert await store.put(KEYS[1], SecretRecord({"of": "new"}), 0) == 2


async def test_a_store_without_records(engine: AsyncEngine, source: KeyFile) -> None:
    """A store that holds nothing yet can be rotated too."""
    assert await rotated(engine, source) == Rotated(0, 0, ())
    store = await LocalSecretStore.open(engine, source)
    assert await store.put(KEYS[0], SecretRecord({}), 0) == 1


@contextmanager
def crashing(engine: AsyncEngine, at: int) -> Iterator[Callable[[str], None]]:
    """Let a process end at its event of this number: before a commit, or at a word of progress."""
    events = count(1)

    def happened(*_: object) -> None:
        if next(events) == at:
            raise Crash

    event.listen(engine.sync_engine, "commit", happened)
    try:
        yield happened
    finally:
        event.remove(engine.sync_engine, "commit", happened)


async def crashed(url: str, source: KeyFile, at: int) -> bool:
    """Rotate in a process that ends at its event of this number; tell whether it came to that."""
    async with connected(url) as engine:
        with crashing(engine, at) as happened:
            try:
                await KeyRotation(engine, source, happened).run()
            except Crash:
                return True
            return False


async def test_a_crash_anywhere(
    url: str, engine: AsyncEngine, store: LocalSecretStore, source: KeyFile
) -> None:
    """Wherever a rotation ends, old and new processes go on, and running it again finishes it."""
    at = 1
    while await crashed(url, source, at):
        assert await contents(store) == EXPECTED
        async with process(url, source) as started:
            assert await contents(started) == EXPECTED
            fresh = RecordKey("acme", f"int_inst_new_{at}")
            assert await started.put(fresh, SecretRecord({"n": at}), 0) == 1
        assert await store.get(fresh) is not None
        await crashed(url, source, 1 + at // 2)  # and the repair ends too
        assert await contents(store) == EXPECTED
        await rotated(engine, source)
        assert len(source.load().values) == len(await rows(engine, master_keys)) == 1
        assert [row.tenant for row in await rows(engine, data_keys)] == list(TENANTS)
        at += 1
    assert at > 12
    assert await contents(store) == EXPECTED


class Load:
    """Readers, writers and newcomers, in as many processes as there are stores."""

    def __init__(self, stores: list[LocalSecretStore]) -> None:
        self.stores = stores
        self.increments = dict.fromkeys(KEYS[::4], 0)
        self.newcomers: list[RecordKey] = []
        self._stopped = False

    def start(self) -> list["asyncio.Task[None]"]:
        """Start them all; each ends with the first failure that it sees."""
        work = [self._increment(store, key) for store in self.stores for key in self.increments]
        return [asyncio.create_task(each) for each in [*work, *map(self._come, self.stores)]]

    def stop(self) -> None:
        """Let each finish its turn."""
        self._stopped = True

    async def _increment(self, store: LocalSecretStore, key: RecordKey) -> None:
        while not self._stopped:
            found = await store.get(key)
            number, version = (found.record.fields["n"], found.version) if found else (0, 0)
            with suppress(VersionConflict):
                await store.put(key, SecretRecord({"n": number + 1}), version)
                self.increments[key] += 1
            await asyncio.sleep(0.02)

    async def _come(self, store: LocalSecretStore) -> None:
        while not self._stopped:
            key = RecordKey(f"new-{len(self.newcomers)}", "int_inst_1")
            self.newcomers.append(key)
            await store.put(key, SecretRecord({}), 0)
            assert await store.get(key) is not None
            await asyncio.sleep(0.3)


async def test_used_while_it_rotates(url: str, engine: AsyncEngine, source: KeyFile) -> None:
    """Readers, writers and newcomers in several processes see not one failure, and lose nothing."""
    async with AsyncExitStack() as stack:
        load = Load([await stack.enter_async_context(process(url, source)) for _ in range(3)])
        tasks = load.start()
        for _ in range(3):
            await rotated(engine, source)
            await asyncio.sleep(0.1)
        load.stop()
        assert await asyncio.gather(*tasks, return_exceptions=True) == [None] * len(tasks)
    await rotated(engine, source)
    async with process(url, source) as started:
        for key, number in load.increments.items():
            found = await started.get(key)
            assert found is not None
            assert found.record.fields["n"] == found.version == number > 0
        for key in load.newcomers:
            assert await started.get(key) is not None
    assert len(await rows(engine, master_keys)) == 1


class PausedKeyring(Keyring):
    """Holds writers up between getting a key and using it, while its gate is closed."""

    gate: asyncio.Event

    async def for_sealing(self, tenant: str) -> DataKey:
        """Answer the key, then let the gate decide when it is used."""
        key = await super().for_sealing(tenant)
        await self.gate.wait()
        return key


@pytest.mark.parametrize("expected_version", [0, 1])
async def test_a_writer_that_comes_late(
    engine: AsyncEngine, store: LocalSecretStore, source: KeyFile, expected_version: int
) -> None:
    """A key that is gone when a writer uses it is exchanged, and the write succeeds."""
    keyring = await PausedKeyring.open(engine, source)
    keyring.gate = asyncio.Event()
    late = LocalSecretStore(engine, keyring)
    key = KEYS[0] if expected_version else RecordKey("acme", "int_inst_9")
    writing = asyncio.create_task(late.put(key, SecretRecord({"n": "late"}), expected_version))
    await asyncio.sleep(0.1)
    await rotated(engine, source)
    keyring.gate.set()
    assert await writing == expected_version + 1
    found = await store.get(key)
    assert found is not None
    assert found.record.fields == {"n": "late"}
    assert {row.key_id for row in await rows(engine, records) if row.tenant == "acme"} == {2}


async def test_a_newcomer_with_an_old_key(
    url: str, engine: AsyncEngine, store: LocalSecretStore, source: KeyFile
) -> None:
    """A process that has not met the new master key yet makes no data key with the old one."""
    async with process(url, source) as stale:
        await rotated(engine, source)
        assert await stale.put(RecordKey("fresh", "int_inst_1"), SecretRecord({"n": 1}), 0) == 1
    assert await store.get(RecordKey("fresh", "int_inst_1")) is not None
    assert {row.master_key_id for row in await rows(engine, data_keys)} == {2}


async def test_the_source_is_loaded_once(
    engine: AsyncEngine, store: LocalSecretStore, tmp_path: Path
) -> None:
    """However many meet the new master key at the same time, a process loads its source once."""
    counted = CountedFile(tmp_path / "master-key")
    running = await LocalSecretStore.open(engine, counted)
    await rotated(engine, KeyFile(tmp_path / "master-key"))
    await asyncio.gather(*(running.get(KEYS[number % len(KEYS)]) for number in range(100)))
    assert counted.loads == 2
    assert await contents(store) == EXPECTED


async def test_a_source_that_is_out_of_reach(
    engine: AsyncEngine, store: LocalSecretStore, tmp_path: Path
) -> None:
    """What needs the new key is unavailable meanwhile, without asking every time, then comes back.

    Once the process has the key it needs the source no more.
    """
    counted = CountedFile(tmp_path / "master-key")
    running = await LocalSecretStore.open(engine, counted)
    await rotated(engine, KeyFile(tmp_path / "master-key"))
    counted.down = True
    for verb in [running.get(key) for key in KEYS] + [running.put(KEYS[0], SecretRecord({}), 1)]:
        with pytest.raises(StoreUnavailable, match="out of reach"):
            await verb
    assert counted.loads <= 1 + 2
    counted.down = False
    await asyncio.sleep(1.05)
    assert await contents(running) == EXPECTED
    counted.down = True
    assert await contents(running) == await contents(store) == EXPECTED


async def test_the_wrong_key(engine: AsyncEngine, store: LocalSecretStore, tmp_path: Path) -> None:
    """With another key, no key or half a key nothing is rotated: neither rows nor files change."""
    before = await everything(engine)
    for content in (b64encode(bytes(32)), b"no key", b""):
        path = tmp_path / "wrong-key"
        path.write_bytes(content)
        with pytest.raises(MasterKeyWrong):
            await rotated(engine, KeyFile(path))
        assert path.read_bytes() == content
    with pytest.raises(MasterKeyMissing):
        await rotated(engine, KeyFile(tmp_path / "absent"))
    assert await everything(engine) == before
    assert await contents(store) == EXPECTED


async def test_keys_that_are_handed_in(
    url: str, engine: AsyncEngine, store: LocalSecretStore, source: KeyFile
) -> None:
    """A new key from a setting waits for the rotation, which takes it over; then it is enough."""
    (old_value,) = source.load().values
    old, new = b64encode(old_value).decode(), b64encode(b"n" * 32).decode()
    both = KeySetting(f"{new} {old}", "master_key")
    async with process(url, both) as restarted:
        # Processes that have not been restarted yet read what it writes.
        await restarted.put(RecordKey("fresh", "int_inst_1"), SecretRecord({"n": 1}), 0)
        assert await store.get(RecordKey("fresh", "int_inst_1")) is not None
        await rotated(engine, both)
        assert await contents(restarted) == EXPECTED
    async with process(url, KeySetting(new, "master_key")) as settled:
        assert await contents(settled) == EXPECTED
    with pytest.raises(StoreUnavailable, match="does not hold"):
        await store.get(KEYS[0])  # its file has the old key only
    before = await everything(engine)
    assert await rotated(engine, both) == Rotated(0, 0, ())  # nothing is left to do
    assert await everything(engine) == before


async def test_going_back_to_an_older_key(
    engine: AsyncEngine, store: LocalSecretStore, source: KeyFile
) -> None:
    """A key that comes to stand in front again wraps everything, under a number of its own."""
    (first,) = source.load().values
    with crashing(engine, 4) as happened, pytest.raises(Crash):
        await KeyRotation(engine, source, happened).run()
    second = source.load().values[0]
    assert len(await rows(engine, master_keys)) == 2
    source.path.write_bytes(b64encode(first) + b"\n" + b64encode(second))
    await rotated(engine, source)
    assert source.load().values == (first,)
    assert [row.key_id for row in await rows(engine, master_keys)] == [3]
    assert await contents(store) == EXPECTED


async def test_records_that_do_not_open(
    engine: AsyncEngine, store: LocalSecretStore, source: KeyFile
) -> None:
    """A record that was broken before is named and left, and all others are renewed."""
    broken = KEYS[3]
    where = (records.c.tenant == broken.tenant, records.c.instance_id == broken.instance_id)
    async with engine.begin() as connection:
        statement = update(records).where(*where, records.c.part == broken.part)
        await connection.execute(statement.values(sealed=b"broken"))
    for _ in range(2):
        assert await rotated(engine, source) == Rotated(2, len(KEYS) - 1, (broken,))
    with pytest.raises(RecordCorrupt):
        await store.get(broken)
    await store.delete(broken)
    await store.put(broken, SecretRecord({"of": list(broken)}), 0)
    assert await rotated(engine, source) == Rotated(2, len(KEYS), ())
    assert len(await rows(engine, data_keys)) == len(TENANTS)


async def test_a_data_key_that_does_not_open(
    engine: AsyncEngine, store: LocalSecretStore, source: KeyFile
) -> None:
    """A broken data key is named, all keys are kept, and the other tenants go on."""
    async with engine.begin() as connection:
        statement = text("UPDATE credentials_data_keys SET wrapped = :it WHERE tenant = 'zeta'")
        await connection.execute(statement, {"it": b"broken"})
    with pytest.raises(RecordCorrupt, match="zeta"):
        await rotated(engine, source)
    assert len(source.load().values) == 2
    for key in KEYS:
        if key.tenant == "acme":
            assert await store.get(key) is not None
