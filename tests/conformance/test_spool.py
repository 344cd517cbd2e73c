"""What every `Spool` promises, shown on each of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.model import Part, RecordKey, SpoolEntry
from credentials.ports import Spool
from credentials.stores.local.key_file import KeyFile
from credentials.stores.local.sealer import MasterKeySealer
from credentials.stores.local.store import LocalSecretStore
from credentials.stores.memory import MemorySpool
from credentials.stores.spool import FileSpool
from tests.conformance.sealed_rows import emptied

IDS = st.from_regex(r"[a-z0-9][a-z0-9_]{0,63}", fullmatch=True)
ENTRIES = st.builds(
    SpoolEntry,
    key=st.builds(RecordKey, IDS, IDS, st.sampled_from(Part)),
    attempt=st.text(min_size=1, max_size=40),
    received_at=st.floats(0, 1e12, allow_nan=False),
    status=st.integers(100, 599),
    content_type=st.text(max_size=40),
    body=st.binary(max_size=2000),
)


@asynccontextmanager
async def file_spool(directory: Path) -> AsyncIterator[FileSpool]:
    """Open a spool of files, sealed as beside the store of sealed rows."""
    async with emptied(f"sqlite+aiosqlite:///{directory / 'credentials.db'}") as engine:
        store = await LocalSecretStore.open(engine, KeyFile.create(directory / "master-key"))
        yield FileSpool(directory / "spool", await MasterKeySealer.open(store.keyring))


@pytest.fixture(params=["memory", "files"])
async def spool(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Spool]:
    """Answer an empty spool of each kind in turn."""
    if request.param == "memory":
        yield MemorySpool()
        return
    async with file_spool(tmp_path) as opened:
        yield opened


def entry(attempt: str = "attempt-1", part: Part = Part.GRANT, body: bytes = b"{}") -> SpoolEntry:
    """Make an entry."""
    key = RecordKey("acme", "int_inst_1", part)
    return SpoolEntry(key, attempt, 1_770_000_000.25, 200, "application/json", body)


async def all_of(spool: Spool) -> list[SpoolEntry]:
    """Read all entries, in the order of their attempts."""
    return sorted([each async for each in spool.entries()], key=lambda each: each.attempt)


async def test_nothing_is_there_at_first(spool: Spool) -> None:
    """An empty spool has no entries, finds none, and forgets none."""
    assert await all_of(spool) == []
    assert await spool.find(entry().key, "attempt-1") is None
    await spool.drop(entry().key, "attempt-1")


async def test_keep_find_drop(spool: Spool) -> None:
    """What was kept is found as it was until it is dropped."""
    kept = entry(body=b'{"access_token": "\xff\x00"}')
    await spool.keep(kept)
    assert await spool.find(kept.key, kept.attempt) == kept
    assert await all_of(spool) == [kept]
    await spool.drop(kept.key, kept.attempt)
    await spool.drop(kept.key, kept.attempt)
    assert await spool.find(kept.key, kept.attempt) is None
    assert await all_of(spool) == []


async def test_attempts_and_keys_are_apart(spool: Spool) -> None:
    """An entry is found by its own attempt and key only, and dropped alone."""
    one, two, other = entry("1", body=b"1"), entry("2", body=b"2"), entry("1", Part.FLOWS)
    for each in (one, two, other):
        await spool.keep(each)
    await spool.drop(two.key, two.attempt)
    assert await spool.find(two.key, "2") is None
    assert await spool.find(one.key, "1") == one
    assert await spool.find(other.key, "1") == other
    assert len(await all_of(spool)) == 2


async def test_keeping_again(spool: Spool) -> None:
    """An attempt that is kept again replaces what was there."""
    await spool.keep(entry(body=b"first"))
    await spool.keep(entry(body=b"second"))
    assert await all_of(spool) == [entry(body=b"second")]


async def test_many_at_once(spool: Spool) -> None:
    """Entries that arrive together are all kept, and all can be dropped while they are read."""
    entries = [entry(f"{number:03}", body=bytes(20_000)) for number in range(40)]
    await asyncio.gather(*(spool.keep(each) for each in entries))
    assert await all_of(spool) == entries
    async for each in spool.entries():
        await asyncio.gather(*(spool.drop(other.key, other.attempt) for other in entries))
        assert each in entries
    assert await all_of(spool) == []


@settings(max_examples=25, deadline=None)
@given(entries=st.lists(ENTRIES, max_size=4, unique_by=lambda each: (each.key, each.attempt)))
async def test_any_entry(entries: list[SpoolEntry]) -> None:
    """Whatever a token endpoint answers comes back byte for byte."""
    with TemporaryDirectory() as directory:
        async with file_spool(Path(directory)) as files:
            for spool in (MemorySpool(), files):
                for each in entries:
                    await spool.keep(each)
                assert [await spool.find(each.key, each.attempt) for each in entries] == entries
                found = [each async for each in spool.entries()]
                assert sorted(map(repr, found)) == sorted(map(repr, entries))
                assert all(each in found for each in entries)
