"""The spool's files: who may read them, what they show, and what becomes of broken ones."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from credentials.errors import RecordCorrupt, SpoolUnavailable, StoreUnavailable
from credentials.model import Part, RecordKey, SpoolEntry
from credentials.stores.local.engine import open_engine
from credentials.stores.local.key_file import KeyFile
from credentials.stores.local.keys import Keyring
from credentials.stores.local.migrate import migrate
from credentials.stores.local.rotation import KeyRotation
from credentials.stores.local.sealer import MasterKeySealer
from credentials.stores.spool import FileSpool

KEY = RecordKey("acme", "int_inst_1", Part.GRANT)
TOKEN = b'{"access_token": "mark-7f3a9c-token", "refresh_token": "mark-7f3a9c-refresh"}'
ENTRY = SpoolEntry(KEY, "attempt-1", 1_770_000_000.0, 200, "application/json", TOKEN)


class PlainSealer:
    """Seals by writing the place in front, so that a test can look inside."""

    def __init__(self) -> None:
        self.down = False

    def seal(self, plain: bytes, place: tuple[str | int, ...]) -> bytes:
        """Write the place in front."""
        return repr(place).encode() + b"|" + plain

    async def unseal(self, sealed: bytes, place: tuple[str | int, ...]) -> bytes:
        """Take it away again, unless it is another one."""
        if self.down:
            raise StoreUnavailable("down")
        found, _, plain = sealed.partition(b"|")
        if found != repr(place).encode():
            raise RecordCorrupt("moved", what="sealed")
        return plain


def files(directory: Path) -> list[Path]:
    """Answer the files of a directory, none where there is no directory."""
    return list(directory.iterdir()) if directory.exists() else []


def mode(path: Path) -> int:
    """Answer who may do what with a file."""
    return path.stat().st_mode & 0o777


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Answer where the spool is."""
    return tmp_path / "deep" / "spool"


@pytest.fixture
def spool(directory: Path) -> FileSpool:
    """Answer a spool that a test can look into."""
    return FileSpool(directory, PlainSealer())


@pytest.fixture
async def keyring(tmp_path: Path) -> AsyncIterator[Keyring]:
    """Answer the keys of a new store."""
    engine = open_engine(f"sqlite+aiosqlite:///{tmp_path / 'credentials.db'}")
    try:
        await migrate(engine)
        yield await Keyring.open(engine, KeyFile.create(tmp_path / "master-key"))
    finally:
        await engine.dispose()


async def test_files_are_the_owners_only(spool: FileSpool, directory: Path) -> None:
    """There is one file per entry, for its owner alone, under a name that tells nothing."""
    assert files(directory) == []
    await spool.keep(ENTRY)
    (file,) = files(directory)
    assert mode(directory) == 0o700
    assert mode(file) == 0o600
    assert not any(word in file.name for word in ("acme", "int_inst_1", "attempt", "grant"))


async def test_nothing_readable_in_the_files(keyring: Keyring, directory: Path) -> None:
    """Beside the local store, a spooled answer is sealed whole."""
    await FileSpool(directory, await MasterKeySealer.open(keyring)).keep(ENTRY)
    (file,) = files(directory)
    content = file.read_bytes()
    for word in (b"mark-7f3a9c", b"access_token", b"acme", b"attempt-1", b"json"):
        assert word not in content


async def test_an_unfinished_write(spool: FileSpool, directory: Path) -> None:
    """What a process left that ended while it wrote is no entry, and does not stand in the way."""
    await spool.keep(ENTRY)
    (file,) = files(directory)
    draft = directory / f".{file.stem}.draft"
    file.rename(draft)
    draft.write_bytes(draft.read_bytes()[:20])
    assert [entry async for entry in spool.entries()] == []
    await spool.keep(ENTRY)
    assert [entry async for entry in spool.entries()] == [ENTRY]
    assert not draft.exists()


@pytest.mark.parametrize("broken", ["cut", "changed", "moved", "empty"])
async def test_entries_that_do_not_open(
    keyring: Keyring, directory: Path, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A broken entry is told in the log and kept, and the others are answered."""
    spool = FileSpool(directory, await MasterKeySealer.open(keyring))
    await spool.keep(ENTRY)
    (file,) = files(directory)
    content = file.read_bytes()
    other = SpoolEntry(KEY, "attempt-2", 1.0, 200, "", b"other")
    await spool.keep(other)
    (target,) = set(files(directory)) - {file}
    wrong = {"cut": content[:-1], "changed": content[:-1] + b"\x00", "empty": b""}
    if broken == "moved":
        file.write_bytes(target.read_bytes())
    else:
        file.write_bytes(wrong[broken])
    with caplog.at_level(logging.WARNING):
        assert [entry async for entry in spool.entries()] == [other]
        assert await spool.find(KEY, "attempt-1") is None
    assert str(file) in caplog.text
    assert file.exists()


async def test_what_cannot_be_told_now(directory: Path) -> None:
    """While the keys cannot be had, entries are not skipped: the reader is told to come back."""
    sealer = PlainSealer()
    spool = FileSpool(directory, sealer)
    await spool.keep(ENTRY)
    sealer.down = True
    with pytest.raises(StoreUnavailable):
        await spool.find(KEY, "attempt-1")
    with pytest.raises(StoreUnavailable):
        [entry async for entry in spool.entries()]
    sealer.down = False
    assert await spool.find(KEY, "attempt-1") == ENTRY


async def test_no_place_for_the_spool(tmp_path: Path) -> None:
    """Where no directory can be, nothing is kept, and the path is named."""
    (tmp_path / "taken").write_text("a file")
    spool = FileSpool(tmp_path / "taken" / "spool", PlainSealer())
    for verb in (spool.keep(ENTRY), spool.find(KEY, "attempt-1"), spool.drop(KEY, "attempt-1")):
        with pytest.raises(SpoolUnavailable) as caught:
            await verb
        assert caught.value.details == {"path": str(tmp_path / "taken" / "spool")}
        assert "mark-7f3a9c" not in f"{caught.value} {caught.value.__cause__}"


async def test_entries_outlive_rotations(keyring: Keyring, tmp_path: Path, directory: Path) -> None:
    """What was sealed before two rotations opens, here and in a process that starts afterwards."""
    spool = FileSpool(directory, await MasterKeySealer.open(keyring))
    await spool.keep(ENTRY)
    engine = open_engine(f"sqlite+aiosqlite:///{tmp_path / 'credentials.db'}")
    source = KeyFile(tmp_path / "master-key")
    try:
        for _ in range(2):
            await KeyRotation(engine, source, lambda _line: None).run()
        late = SpoolEntry(KEY, "attempt-2", 1.0, 200, "", b"sealed by one that knows nothing of it")
        await spool.keep(late)
        restarted = await MasterKeySealer.open(await Keyring.open(engine, source))
        for sealer_of in (spool, FileSpool(directory, restarted)):
            assert await sealer_of.find(KEY, "attempt-1") == ENTRY
            assert await sealer_of.find(KEY, "attempt-2") == late
    finally:
        await engine.dispose()


async def test_a_sealer_that_was_not_opened(keyring: Keyring) -> None:
    """Nothing is sealed with a key that is not there."""
    with pytest.raises(StoreUnavailable):
        MasterKeySealer(keyring).seal(b"plain", ("place",))


async def test_opening_again_takes_the_newest_key(keyring: Keyring) -> None:
    """Sealers of one store share its key, and what one has sealed another opens at its place."""
    one, two = await MasterKeySealer.open(keyring), await MasterKeySealer.open(keyring)
    sealed = one.seal(b"plain", ("spool", "a"))
    assert await two.unseal(sealed, ("spool", "a")) == b"plain"
    for place in (("spool", "b"), ("a",)):
        with pytest.raises(RecordCorrupt):
            await two.unseal(sealed, place)
    with pytest.raises(RecordCorrupt):
        await two.unseal(b"\x00\x00\x00\x63" + sealed[4:], ("spool", "a"))
