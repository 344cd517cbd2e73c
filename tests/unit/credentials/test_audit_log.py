"""The audit log on disk: durable before, soon after."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest

from credentials.audit_check import CheckedFile, check
from credentials.errors import AuditUnavailable
from credentials.model import AuditEntry
from credentials.ports import Audit
from credentials.stores.audit_log import FileAudit, MemoryAudit
from credentials.stores.audit_slot import Rotation
from tests.unit.credentials.audit_files import (
    DAY,
    FIRST,
    STORED,
    USED,
    actions,
    entries,
    noon,
    opened,
)


async def test_before_has_written_when_it_returns(tmp_path: Path) -> None:
    """What is about to be changed is in the file, chained and marked, before anything changes."""
    async with opened(tmp_path) as audit:
        await audit.before(STORED)
        [line] = entries(tmp_path)
        [checked] = check(tmp_path)

    assert line["action"] == "credentials.stored"
    assert (line["tenant"], line["instanceId"], line["actor"]) == ("acme", "int_inst_1", "admin")
    assert (line["process"], line["at"]) == ("host:1", "2026-01-02T12:00:00Z")
    assert checked == CheckedFile(tmp_path / FIRST, entries=1, first=1, head=checked.head)


async def test_notes_are_written_soon(tmp_path: Path) -> None:
    """A note is in the file after a moment, without anybody waiting for it."""
    async with opened(tmp_path) as audit, asyncio.timeout(10):
        audit.note(USED)
        while not entries(tmp_path):  # noqa: ASYNC110 - a thread writes it
            await asyncio.sleep(0.01)

    assert entries(tmp_path)[0]["details"] == {"method": "getUser"}


async def test_closing_writes_what_waits(tmp_path: Path) -> None:
    """Nothing that was noted is missing after an orderly end, and all is in order."""
    async with opened(tmp_path, gather_seconds=60) as audit:
        for number in range(5000):
            audit.note(AuditEntry("credentials.used", "acme", f"i{number}", "admin"))

    assert [entry["instanceId"] for entry in entries(tmp_path)] == [f"i{n}" for n in range(5000)]
    assert [file.head.n for file in check(tmp_path)] == [5000]


async def test_a_before_brings_earlier_notes_along(tmp_path: Path) -> None:
    """Entries stand in the order in which things happened."""
    async with opened(tmp_path, gather_seconds=60) as audit:
        audit.note(USED)
        await audit.before(STORED)
        assert actions(tmp_path) == ["credentials.used", "credentials.stored"]


async def test_who_writes_at_once_shares_the_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred concurrent callers are all written down with far fewer than a hundred fsyncs."""
    synced: list[int] = []
    fdatasync = os.fdatasync

    def counted(file: int) -> None:
        synced.append(file)
        fdatasync(file)

    monkeypatch.setattr(os, "fdatasync", counted)
    async with opened(tmp_path) as audit:
        await asyncio.gather(*(audit.before(STORED) for _ in range(100)))

    assert len(entries(tmp_path)) == 100
    assert len(synced) < 20


async def test_a_cancelled_caller_stops_nobody(tmp_path: Path) -> None:
    """Whoever stops waiting has written all the same, and the others get their answer."""
    async with opened(tmp_path) as audit:
        tasks = [asyncio.create_task(audit.before(STORED)) for _ in range(10)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(answer) for answer in answers if answer is not None] == [asyncio.CancelledError]
    assert len(entries(tmp_path)) == 10


async def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    """The directory is 0700, every file in it 0600."""
    directory = tmp_path / "deep" / "audit"
    async with opened(directory) as audit:
        await audit.before(STORED)
        modes = {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}

    assert directory.stat().st_mode & 0o777 == 0o700
    assert modes == dict.fromkeys((FIRST, "slot-00.head", "slot-00.lock"), 0o600)


async def test_processes_write_to_chains_of_their_own(tmp_path: Path) -> None:
    """Each takes the first free slot; whoever comes later goes on with a chain that was let go."""
    async with opened(tmp_path) as one:
        async with opened(tmp_path) as other:
            await one.before(STORED)
            await other.before(STORED)
            await other.before(STORED)
        async with opened(tmp_path) as third:
            await third.before(STORED)
            files = list(check(tmp_path))

    assert [(file.path.name, file.head.n) for file in files] == [
        (FIRST, 1),
        ("slot-01.000001.jsonl", 3),
    ]


async def test_a_full_file_is_followed_by_another(tmp_path: Path) -> None:
    """The next file begins with the name and the head of the one before, and the chain goes on."""
    async with opened(tmp_path, rotation=Rotation(max_bytes=1000)) as audit:
        for _ in range(10):
            await audit.before(STORED)

    files = list(check(tmp_path))
    first, second, *_ = files
    [continued, *_] = entries(tmp_path, second.path.name)
    assert len(files) > 2
    assert first.path.stat().st_size < 2000
    assert continued["action"] == "audit.continued"
    assert continued["details"] == {
        "previousFile": first.path.name,
        "previousHash": first.head.hash,
    }
    assert actions(tmp_path).count("credentials.stored") == 10


async def test_a_new_day_begins_a_new_file(tmp_path: Path) -> None:
    """A file holds the entries of one day, also over a restart."""
    now = [DAY]
    async with opened(tmp_path, clock=lambda: now[0]) as audit:
        await audit.before(STORED)
        now[0] += timedelta(days=1)
        await audit.before(STORED)
    now[0] += timedelta(days=1)
    async with opened(tmp_path, clock=lambda: now[0]) as audit:
        await audit.before(STORED)
        await audit.before(STORED)

    days = [
        {entry["at"][:10] for entry in entries(tmp_path, f"slot-00.{number:06}.jsonl")}
        for number in (1, 2, 3)
    ]
    assert days == [{"2026-01-02"}, {"2026-01-03"}, {"2026-01-04"}]
    assert [file.head.n for file in check(tmp_path)] == [1, 3, 6]


async def test_details_that_are_no_json_do_not_stop_the_log(tmp_path: Path) -> None:
    """An entry that cannot be written as it is stands there without its details."""
    async with opened(tmp_path) as audit:
        await audit.before(AuditEntry("a", "t\ud800", "i", "me", details={"what": object()}))
        await audit.before(STORED)

    assert entries(tmp_path)[0]["tenant"] == "t?"
    assert entries(tmp_path)[0]["details"] == {"unwritable": "TypeError"}
    assert [file.head.n for file in check(tmp_path)] == [2]


async def test_after_closing_nothing_is_promised(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A closed log refuses changes, and tells that a note is lost."""
    async with opened(tmp_path) as audit:
        pass

    audit.note(USED)
    with pytest.raises(AuditUnavailable, match="closed"):
        await audit.before(STORED)
    assert "are being lost" in caplog.text


async def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """Without a place to write to there is no audit log, and no service."""
    (tmp_path / "file").write_text("")

    with pytest.raises(AuditUnavailable) as caught:
        await FileAudit.open(tmp_path / "file" / "audit", noon, "host:1")

    assert caught.value.details == {"path": str(tmp_path / "file" / "audit")}


async def test_the_one_in_memory_keeps_the_order() -> None:
    """For tests: entries as they came, and a way to take the log away."""
    audit = MemoryAudit()
    port: Audit = audit
    await port.before(STORED)
    port.note(USED)
    audit.is_available = False
    with pytest.raises(AuditUnavailable):
        await port.before(STORED)
    port.note(USED)

    assert audit.entries == [STORED, USED, USED]
