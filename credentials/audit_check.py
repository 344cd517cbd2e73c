"""Checks the whole audit log of a directory against its chains and heads."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from credentials.chain import (
    GENESIS,
    Head,
    Mark,
    broken,
    decode_mark,
    file_name,
    file_of,
    head_name,
    origin,
    verify,
)


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file that is what was written: its number of entries, its first and its last one.

    `first` is 0 where there is none. A chain whose first file begins behind entry 1 has older files
    somewhere else. `unfinished` counts the bytes of an entry that is being written, or that a crash
    has cut short.
    """

    path: Path
    entries: int
    first: int
    head: Head
    unfinished: int = 0


def check(directory: Path) -> Iterator[CheckedFile]:
    """Answer the files that are good, chain by chain; raises `AuditBroken` at the first break.

    Can run while the log is being written. Raises `OSError`.
    """
    names = [name for path in directory.iterdir() if (name := file_of(path.name))]
    slots = sorted({slot for slot, _ in names})
    for expected, slot in enumerate(slots):
        if slot != expected:
            raise broken("is missing, though later slots are there", _head(directory, expected), 0)
    for slot in slots:
        yield from _Chain(directory, slot).files()


class _Chain:
    def __init__(self, directory: Path, slot: int) -> None:
        self._directory = directory
        self._slot = slot

    def files(self) -> Iterator[CheckedFile]:
        # In this order: a chain that grows meanwhile is ahead of its head, never behind.
        mark = self._mark()
        numbers = self._numbers()
        first = 1
        checked = CheckedFile(Path(_head(self._directory, self._slot)), 0, 0, GENESIS)
        for number in numbers:
            path = self._directory / file_name(self._slot, number)
            after = checked.head if number != numbers[0] else _origin(path, number)
            checked = _checked(path, number, after, mark)
            if checked.unfinished and (number != numbers[-1] or checked.head.n < mark.head.n):
                raise broken("is no entry of an audit log", str(path), checked.entries + 1)
            first = checked.first if number == numbers[0] else first
            yield checked
        if mark != Mark(GENESIS) and mark.head.n < first:
            raise broken("speaks of no entry that is there", _head(self._directory, self._slot), 1)
        if checked.head.n < mark.head.n:
            what = f"is missing, and all up to entry {mark.head.n}"
            raise broken(what, str(checked.path), checked.entries + 1)

    def _mark(self) -> Mark:
        path = _head(self._directory, self._slot)
        try:
            return decode_mark(Path(path).read_bytes(), path)
        except FileNotFoundError:
            raise broken("is missing, though the chain is there", path, 0) from None

    def _numbers(self) -> Sequence[int]:
        found = [file_of(path.name) for path in self._directory.iterdir()]
        numbers = sorted(name[1] for name in found if name and name[0] == self._slot and name[1])
        for before, after in pairwise(numbers):
            if after != before + 1:
                missing = self._directory / file_name(self._slot, before + 1)
                raise broken("is missing, though a later file is there", str(missing), 0)
        return numbers


def _origin(path: Path, number: int) -> Head:
    """Answer what the first file that is here begins with: older ones may be kept elsewhere."""
    if number == 1:
        return GENESIS
    with path.open("rb") as file:
        line = file.readline()
    return origin(line, str(path)) if line else GENESIS


def _checked(path: Path, number: int, after: Head, mark: Mark) -> CheckedFile:
    entries, head, first = 0, after, 0
    with path.open("rb") as file:
        lines = _Lines(file)
        for entries, head in enumerate(verify(lines, str(path), after), 1):
            first = first or head.n
            if head.n == mark.head.n and Mark(head, number, lines.start, lines.end) != mark:
                raise broken("is not the one that its head speaks of", str(path), entries)
    return CheckedFile(path, entries, first, head, lines.unfinished)


class _Lines:
    """The whole lines of a file; knows where the last one that was read begins and ends."""

    def __init__(self, file: Iterable[bytes]) -> None:
        self._file = file
        self.start = self.end = 0
        self.unfinished = 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._file:
            if not line.endswith(b"\n"):
                self.unfinished = len(line)
                return
            self.start, self.end = self.end, self.end + len(line)
            yield line


def _head(directory: Path, slot: int) -> str:
    return str(directory / head_name(slot))
