"""Checking the log of a directory finds whatever was done to its files."""

import asyncio
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credentials.audit_check import check
from credentials.errors import AuditBroken
from credentials.stores.audit_slot import Rotation
from tests.unit.credentials.audit_files import STORED, USED, contents, opened


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Two chains, one of them of several files: their contents by name."""
    directory = tmp_path_factory.mktemp("audit")

    async def write() -> None:
        rotation = Rotation(max_bytes=1200)
        async with opened(directory, rotation=rotation) as one, opened(directory) as other:
            for _ in range(8):
                await one.before(STORED)
                other.note(USED)

    asyncio.run(write())
    return contents(directory, "slot-*")


@pytest.fixture
def directory(tmp_path: Path, untouched: dict[str, bytes]) -> Path:
    """A copy of them, to be harmed."""
    return restored(tmp_path / "audit", untouched)


def restored(directory: Path, files: dict[str, bytes]) -> Path:
    """Put the files where others were."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return directory


def break_in(directory: Path) -> tuple[str, int]:
    """Answer file and line of the first break."""
    with pytest.raises(AuditBroken) as caught:
        list(check(directory))
    return Path(str(caught.value.details["path"])).name, int(str(caught.value.details["line"]))


def test_all_files_are_told_with_their_heads(directory: Path) -> None:
    """What is as it was written is listed: file, number of entries, first and last entry."""
    files = list(check(directory))

    chain = [file for file in files if file.path.name.startswith("slot-00")]
    assert len(chain) > 1
    assert [file.path.name for file in files] == sorted(file.path.name for file in files)
    assert chain[0].first == 1
    assert [file.first for file in chain[1:]] == [file.head.n + 1 for file in chain[:-1]]
    assert all(file.entries == file.head.n - file.first + 1 for file in files)
    assert files[-1].entries == 8


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_edit_of_any_file_is_found(
    tmp_path: Path, untouched: dict[str, bytes], data: st.DataObject
) -> None:
    """Whatever is done to one place of one file, the check tells that file or its chain's next."""
    names = sorted(name for name in untouched if not name.endswith(".lock"))
    name = data.draw(st.sampled_from(names))
    content = untouched[name]
    start = data.draw(st.integers(0, len(content) - 1))
    removed = content[start : start + data.draw(st.integers(1, 4) | st.integers(1, len(content)))]
    octets = st.binary(max_size=20) | st.text("0123456789abcdef", max_size=len(removed)).map(
        str.encode
    )
    added = data.draw(octets | st.sampled_from([content[:start], content]))
    changed = content[:start] + added + content[start + len(removed) :]
    if changed == content:
        return

    directory = restored(tmp_path / "audit", untouched | {name: changed})

    assert break_in(directory)[0][:7] == name[:7]


def test_a_cut_end_is_found(directory: Path) -> None:
    """When the last entries are gone, the place after the last that is there is told."""
    path = directory / "slot-01.000001.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:5]))

    assert break_in(directory) == ("slot-01.000001.jsonl", 6)


def test_a_chain_that_was_made_anew_is_found(directory: Path, tmp_path: Path) -> None:
    """A whole chain with good hashes but other entries does not fit the head file."""
    other = tmp_path / "other"

    async def write() -> None:
        async with opened(other, rotation=Rotation(max_bytes=10**6)) as audit:
            for _ in range(8):
                await audit.before(STORED)

    asyncio.run(write())
    shutil.copy(other / "slot-00.000001.jsonl", directory / "slot-01.000001.jsonl")

    assert break_in(directory) == ("slot-01.000001.jsonl", 8)


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("slot-00.head", "slot-00.head"),
        ("slot-00.000002.jsonl", "slot-00.000002.jsonl"),
        ("slot-01.000001.jsonl", "slot-01.head"),
        ("slot-00.*", "slot-00.head"),
    ],
)
def test_a_missing_file_is_found(directory: Path, missing: str, told: str) -> None:
    """Heads, files between others, last files and whole chains are missed."""
    for path in directory.glob(missing):
        path.unlink()

    assert break_in(directory)[0] == told


def test_the_oldest_files_may_be_elsewhere(directory: Path) -> None:
    """A chain that begins later is good as far as it goes, and tells where it begins."""
    (directory / "slot-00.000001.jsonl").unlink()

    first, *_ = check(directory)

    assert first.path.name == "slot-00.000002.jsonl"
    assert first.first > 1


@pytest.mark.parametrize("rest", [b'{"half', b"\0" * 100])
def test_an_entry_under_way_is_no_break(directory: Path, rest: bytes) -> None:
    """What stands unfinished behind the last entry is counted."""
    with (directory / "slot-01.000001.jsonl").open("ab") as file:
        file.write(rest)

    assert list(check(directory))[-1].unfinished == len(rest)


def test_a_file_amid_a_chain_ends_with_a_whole_entry(directory: Path) -> None:
    """Only the last file of a chain may have an unfinished entry."""
    with (directory / "slot-00.000001.jsonl").open("ab") as file:
        file.write(b"{")

    assert break_in(directory)[0] == "slot-00.000001.jsonl"


def test_other_files_are_not_looked_at(directory: Path) -> None:
    """Notes and copies beside the log are no part of it."""
    (directory / "README").write_text("what this is")
    (directory / "slot-00.000001.jsonl.bak").write_text("a copy")

    assert list(check(directory))


def test_an_empty_directory_is_good(tmp_path: Path) -> None:
    """Where nothing was written, nothing was changed."""
    assert list(check(tmp_path)) == []


async def test_a_log_in_use_can_be_checked(tmp_path: Path) -> None:
    """A check that runs while entries are written finds no break that is none."""
    done = False
    checks = 0

    async def write(count: int) -> None:
        nonlocal done
        async with opened(tmp_path, rotation=Rotation(max_bytes=20_000)) as audit:
            for _ in range(count):
                audit.note(USED)
                await audit.before(STORED)
        done = True

    def watch() -> None:
        nonlocal checks
        while not done:
            list(check(tmp_path))
            checks += 1

    await asyncio.gather(write(300), asyncio.to_thread(watch))

    assert checks > 0
    assert list(check(tmp_path))[-1].head.n >= 600
