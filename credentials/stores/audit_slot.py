"""One chain of the audit log on disk: a slot that one process at a time writes to."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple, Self

from credentials.chain import GENESIS, Head, Mark, broken, encode_mark, file_name, head_name, link
from credentials.errors import AuditBroken
from credentials.model import AuditEntry
from credentials.stores.audit_recovery import End, lock, open_file, recover

log = logging.getLogger("integration.credentials.audit")

# Linking holds the interpreter's lock: after so many entries, requests get their turn.
MOST_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a chain goes on in a new file: after so many bytes, and with each new day (UTC)."""

    max_bytes: int = 64 * 2**20
    daily: bool = True


class Noted(NamedTuple):
    """An entry, and the moment it tells of."""

    at: datetime
    entry: AuditEntry


class Slot:
    """Appends to a chain; what `append` has written is on the disk. Blocks; for one thread."""

    def __init__(self, directory: Path, number: int, process: str, rotation: Rotation) -> None:
        self.number = number
        self._directory = directory
        self._process = process
        self._rotation = rotation
        self._resources = ExitStack()
        self._end = End(Mark(GENESIS))
        self._head_file = self._data_file = -1
        self._dirty = False  # a write has failed, and something of it may be there
        self.left_alone: list[AuditBroken] = []

    @classmethod
    def take(cls, directory: Path, process: str, rotation: Rotation) -> Self:
        """Take the first slot that no process has, and go on where its chain ends.

        What a crash has left half-written is cut off. A slot whose chain is broken is left as it
        is, for those who will look into it. `repairs` tells of both. Raises `OSError`.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        left_alone: list[AuditBroken] = []
        for number in count():
            slot = cls(directory, number, process, rotation)
            try:
                if slot.acquire():
                    slot.left_alone = left_alone
                    return slot
            except AuditBroken as error:
                left_alone.append(error)
        raise AssertionError

    def repairs(self) -> Iterator[AuditEntry]:
        """Tell what was found amiss: what was cut off here, and which slots are broken."""
        for error in self.left_alone:
            yield _about_us("audit.broken", **error.details)
        if self._end.rest is not None:
            file, size, digest = self._end.rest
            yield _about_us("audit.repaired", file=file, bytes=size, sha256=digest)

    def append(self, entries: Sequence[Noted]) -> None:
        """Write entries, all or none; raises `OSError`, and `AuditBroken` when others wrote too."""
        self._make_sure()
        day = _day(entries[-1].at)
        if self._is_due(day):
            self._next_file()
        lines, head = self._linked(entries)
        before = self._end.mark
        size = before.end + sum(map(len, lines))
        mark = Mark(head, before.file, size - len(lines[-1]), size)
        self._dirty = True
        _write(self._data_file, b"".join(lines))
        os.fdatasync(self._data_file)
        os.pwrite(self._head_file, encode_mark(mark), 0)
        self._dirty = False
        self._end = End(mark, day)

    def close(self) -> None:
        """Let another process have the slot."""
        self._resources.close()
        if self._data_file >= 0:
            os.close(self._data_file)
            self._data_file = -1

    def acquire(self) -> bool:
        """Take this slot; False when a process has it. Raises `AuditBroken` and `OSError`."""
        with ExitStack() as failing:
            failing.callback(self.close)
            holder = lock(self._directory, self.number)
            if holder is None:
                return False
            self._resources.callback(os.close, holder)
            self._end = recover(self._directory, self.number)
            self._head_file = os.open(self._directory / head_name(self.number), os.O_RDWR)
            self._resources.callback(os.close, self._head_file)
            self._data_file = open_file(self._path())
            failing.pop_all()
        return True

    def _linked(self, entries: Sequence[Noted]) -> tuple[list[bytes], Head]:
        head = self._end.mark.head
        lines = []
        for place, noted in enumerate((*self._continuation(entries[0].at), *entries), 1):
            line, head = _line(head, noted, self._process)
            lines.append(line)
            if place % MOST_AT_ONCE == 0:
                time.sleep(0)
        return lines, head

    def _continuation(self, at: datetime) -> Iterator[Noted]:
        """Begin every file but the first with the name and the head of the one before."""
        mark = self._end.mark
        if mark.end == 0 and mark.head != GENESIS:
            before = file_name(self.number, mark.file - 1)
            facts = {"previousFile": before, "previousHash": mark.head.hash}
            yield Noted(at, _about_us("audit.continued", **facts))

    def _make_sure(self) -> None:
        """Take back what a failed write has left; refuse to go on after what is not ours."""
        size = self._end.mark.end
        if self._dirty:
            os.ftruncate(self._data_file, size)
            self._dirty = False
        found = os.fstat(self._data_file)
        if found.st_nlink == 0 or found.st_size != size:
            raise broken("was removed or changed while in use", str(self._path()), 0)

    def _is_due(self, day: str) -> bool:
        size = self._end.mark.end
        is_old = self._rotation.daily and self._end.day not in {"", day}
        return size > 0 and (is_old or size >= self._rotation.max_bytes)

    def _next_file(self) -> None:
        os.fsync(self._head_file)  # whoever finds the next file may rely on the end of this one
        mark = Mark(self._end.mark.head, self._end.mark.file + 1)
        opened = open_file(self._directory / file_name(self.number, mark.file))
        os.close(self._data_file)
        self._data_file, self._end = opened, End(mark)

    def _path(self) -> Path:
        return self._directory / file_name(self.number, self._end.mark.file)


def _line(after: Head, noted: Noted, process: str) -> tuple[bytes, Head]:
    try:
        return link(after, noted.at, process, noted.entry)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        log.error("an audit entry's details cannot be written: %s", noted.entry.action)  # noqa: TRY400
        return link(after, noted.at, process, _writable(noted.entry, error))


def _writable(entry: AuditEntry, error: Exception) -> AuditEntry:
    texts = {
        name: getattr(entry, name).encode(errors="replace").decode()
        for name in ("action", "tenant", "instance_id", "actor", "outcome")
    }
    return replace(entry, **texts, details={"unwritable": type(error).__name__})


def _about_us(action: str, **facts: object) -> AuditEntry:
    return AuditEntry(action, tenant="", instance_id="", actor="service", details=facts)


def _day(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
