"""Where a chain on disk ends, and what a crash has left behind it."""

import fcntl
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from credentials.chain import (
    GENESIS,
    Mark,
    broken,
    decode_mark,
    encode_mark,
    file_name,
    file_of,
    head_name,
    origin,
    slot_name,
    stamp,
    verify,
)
from credentials.errors import AuditBroken

MODE: Final = 0o600


class Rest(NamedTuple):
    """What stood behind the last whole entry: the end of a write that a crash has cut short."""

    file: str
    size: int
    sha256: str


class End(NamedTuple):
    """The end of a chain: its last entry, the day of that (empty: there is none), what was cut."""

    mark: Mark
    day: str = ""
    rest: Rest | None = None


def lock(directory: Path, slot: int) -> int | None:
    """Answer the descriptor that holds the slot until it is closed; None when another has it."""
    descriptor = os.open(directory / f"{slot_name(slot)}.lock", os.O_RDWR | os.O_CREAT, MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def recover(directory: Path, slot: int) -> End:
    """Find the end of a locked slot's chain, and cut off what is behind it.

    What the head file speaks of was on the disk before it, so its loss is no crash: raises
    `AuditBroken` and changes nothing. Raises `OSError`.
    """
    mark = _head(directory, slot)
    path = directory / file_name(slot, mark.file)
    line = _proven(path, mark)
    mark = _followed(path, mark)
    while (following := directory / file_name(slot, mark.file + 1)).exists():
        if _behind(path, mark.end):
            raise broken("is no entry, though another file follows", str(path), 0)
        path, mark = following, _followed(following, Mark(mark.head, mark.file + 1))
    line = _between(path, mark) or line
    return End(mark, _day(line, path), _cut(path, mark))


def open_file(path: Path) -> int:
    """Open a file to append to, made if need be, so that it is there after a crash too."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, MODE)
    try:
        os.fsync(descriptor)
        sync_directory(path.parent)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _head(directory: Path, slot: int) -> Mark:
    path = directory / head_name(slot)
    if not path.exists():
        names = (file_of(found.name) for found in directory.iterdir())
        if any(name is not None and name[0] == slot for name in names):
            raise broken("is missing, though the chain is there", str(path), 0)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, MODE)
        try:
            os.pwrite(descriptor, encode_mark(Mark(GENESIS)), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_directory(directory)
    return decode_mark(path.read_bytes(), str(path))


def _proven(path: Path, mark: Mark) -> bytes:
    """Answer the line that the head speaks of; raises `AuditBroken` when it is another."""
    if mark.head == GENESIS:
        return b""
    line = _between(path, mark)
    if len(line) != mark.end - mark.start:
        raise broken("is cut: it ends before its head does", str(path), 0)
    if [mark.head] != list(verify([line], str(path), origin(line, str(path)))):
        raise broken("is not the one that its head speaks of", str(path), 0)
    return line


def _followed(path: Path, mark: Mark) -> Mark:
    """Go on from a mark over the entries that came behind it."""
    lines = [line + b"\n" for line in _behind(path, mark.end).split(b"\n")[:-1]]
    with suppress(AuditBroken):
        for line, head in zip(lines, verify(lines, str(path), mark.head), strict=False):
            mark = Mark(head, mark.file, mark.end, mark.end + len(line))
    return mark


def _cut(path: Path, mark: Mark) -> Rest | None:
    rest = _behind(path, mark.end)
    if not rest:
        return None
    os.truncate(path, mark.end)
    return Rest(path.name, len(rest), sha256(rest).hexdigest())


def _between(path: Path, mark: Mark) -> bytes:
    with suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(mark.start)
        return file.read(mark.end - mark.start)
    return b""


def _behind(path: Path, end: int) -> bytes:
    with suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(end)
        return file.read()
    return b""


def _day(line: bytes, path: Path) -> str:
    return stamp(line, str(path), 0).at[:10] if line else ""
