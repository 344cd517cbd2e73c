"""The audit log when things go wrong: crashes, full disks, and somebody who changes files."""

import errno
import os
import signal
import sys
import textwrap
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from collections.abc import Callable
from pathlib import Path

import pytest

from credentials.audit_check import check
from credentials.errors import AuditBroken, AuditUnavailable
from credentials.model import AuditEntry
from credentials.stores.audit_slot import Rotation
from tests.unit.credentials.audit_files import (
    FIRST,
    STORED,
    USED,
    actions,
    contents,
    entries,
    opened,
)


async def test_half_a_line_is_cut_off_and_told(tmp_path: Path) -> None:
    """After a crash in the middle of a write the chain goes on, and says what was cut."""
    async with opened(tmp_path) as audit:
        await audit.before(STORED)
    path = tmp_path / FIRST
    with path.open("ab") as file:
        file.write(b'{"action":"credentials.sto')
    [unfinished] = check(tmp_path)

    async with opened(tmp_path) as audit:
        await audit.before(STORED)

    assert unfinished.unfinished == 26
    assert actions(tmp_path) == ["credentials.stored", "audit.repaired", "credentials.stored"]
    assert entries(tmp_path)[1]["details"]["bytes"] == 26
    assert [file.head.n for file in check(tmp_path)] == [3]


async def test_entries_that_the_head_did_not_reach_are_kept(tmp_path: Path) -> None:
    """A head that is older than its chain, as after a power failure, loses no entry."""
    async with opened(tmp_path, rotation=Rotation(max_bytes=1000)) as audit:
        await audit.before(STORED)
        head = (tmp_path / "slot-00.head").read_bytes()
        for _ in range(4):
            await audit.before(STORED)
    count = len(entries(tmp_path))
    (tmp_path / "slot-00.head").write_bytes(head)

    async with opened(tmp_path, rotation=Rotation(max_bytes=1000)) as audit:
        await audit.before(STORED)

    assert len(entries(tmp_path)) > count
    assert actions(tmp_path).count("credentials.stored") == 6
    assert "audit.repaired" not in actions(tmp_path)
    assert list(check(tmp_path))


def _cut(directory: Path) -> None:
    path = directory / FIRST
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def _change(directory: Path) -> None:
    path = directory / FIRST
    path.write_bytes(path.read_bytes().replace(b"admin", b"nimda"))


def _remove_head(directory: Path) -> None:
    (directory / "slot-00.head").unlink()


def _remove_file(directory: Path) -> None:
    (directory / FIRST).unlink()


@pytest.mark.parametrize("harm", [_cut, _change, _remove_head, _remove_file])
async def test_a_broken_slot_is_left_alone(
    tmp_path: Path, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """A chain that somebody has changed stays as it is; the next one tells of it, and is used."""
    async with opened(tmp_path) as audit:
        await audit.before(STORED)
        await audit.before(STORED)
    harm(tmp_path)
    before = contents(tmp_path, "slot-00*")

    async with opened(tmp_path) as audit:
        await audit.before(STORED)

    after = contents(tmp_path, "slot-00*")
    told = entries(tmp_path, "slot-01*.jsonl")
    assert after == before
    assert [line["action"] for line in told] == ["audit.broken", "credentials.stored"]
    assert "slot-00" in told[0]["details"]["path"]
    assert "audit.broken" in caplog.text
    with pytest.raises(AuditBroken):
        list(check(tmp_path))


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Let writes fail half-way, as on a full disk, while the list is not empty."""
    full: list[bool] = []
    write = os.write

    def limited(file: int, data: bytes) -> int:
        if not full or len(data) < 200:
            return write(file, data)
        if len(full) == 1:
            full.append(True)
            return write(file, bytes(data[:100]))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", limited)
    return full


async def test_what_cannot_be_written_must_not_happen(
    tmp_path: Path, full_disk: list[bool]
) -> None:
    """On a full disk `before` raises, the file keeps its whole entries, and later all goes on."""
    async with opened(tmp_path) as audit:
        await audit.before(STORED)
        full_disk.append(True)
        for _ in range(3):
            with pytest.raises(AuditUnavailable, match="No space left"):
                await audit.before(STORED)
        full_disk.clear()
        await audit.before(STORED)

    assert [file.head.n for file in check(tmp_path)] == [2]


async def test_notes_wait_for_a_full_disk(tmp_path: Path, full_disk: list[bool]) -> None:
    """Notes that cannot be written are written later, once, and in order."""
    async with opened(tmp_path, gather_seconds=0.01) as audit:
        full_disk.append(True)
        for number in range(50):
            audit.note(AuditEntry("credentials.used", "acme", f"i{number}", "admin"))
        with pytest.raises(AuditUnavailable):
            await audit.before(STORED)
        full_disk.clear()

    assert [entry["instanceId"] for entry in entries(tmp_path)] == [f"i{n}" for n in range(50)]


async def test_notes_that_are_too_many_are_counted(
    tmp_path: Path, full_disk: list[bool], caplog: pytest.LogCaptureFixture
) -> None:
    """What is lost when nothing can be written for long is told, in the log and in the chain."""
    async with opened(tmp_path, gather_seconds=0.01, capacity=20) as audit:
        full_disk.append(True)
        with pytest.raises(AuditUnavailable):
            await audit.before(STORED)
        for _ in range(50):
            audit.note(USED)
        full_disk.clear()

    assert entries(tmp_path)[0]["action"] == "audit.overflow"
    assert entries(tmp_path)[0]["details"] == {
        "entriesLost": 50 - actions(tmp_path).count("credentials.used")
    }
    assert actions(tmp_path).count("credentials.used") >= 20
    assert "are being lost" in caplog.text


async def test_a_file_that_others_change_is_not_written_to(tmp_path: Path) -> None:
    """While the log is in use, removing or changing its file stops all changes."""
    path = tmp_path / FIRST
    async with opened(tmp_path) as audit:
        await audit.before(STORED)
        with path.open("ab") as file:
            file.write(b"{}\n")
        with pytest.raises(AuditUnavailable, match="changed while in use"):
            await audit.before(STORED)
        path.unlink()
        with pytest.raises(AuditUnavailable, match="removed or changed"):
            await audit.before(STORED)


WRITER = """
    import asyncio, sys
    from datetime import UTC, datetime
    from pathlib import Path
    from credentials.model import AuditEntry
    from credentials.stores.audit_log import FileAudit

    async def main():
        noon = datetime(2026, 1, 2, 12, tzinfo=UTC)
        audit = await FileAudit.open(Path(sys.argv[1]), lambda: noon, "host:2")
        number = 0
        while True:
            await audit.before(AuditEntry("a", "t", str(number), "me"))
            print(number, flush=True)
            audit.note(AuditEntry("b", "t", str(number), "me"))
            number += 1

    asyncio.run(main())
"""


async def test_a_kill_loses_nothing_that_was_promised(tmp_path: Path) -> None:
    """Killed at any moment, all that `before` returned for is there, and the chain goes on."""
    promised = 0
    for _ in range(3):
        writer = await create_subprocess_exec(
            sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path), stdout=PIPE
        )
        assert writer.stdout is not None
        for _ in range(100):
            await writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        promised += 100 + (await writer.stdout.read()).count(b"\n")
        await writer.wait()
        assert [file.path.name for file in check(tmp_path)] == [FIRST]

    assert actions(tmp_path).count("a") >= promised
