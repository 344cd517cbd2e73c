"""The audit log: on disk, in chains of hashed entries, or in memory for tests."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

from credentials.errors import AuditUnavailable
from credentials.model import AuditEntry
from credentials.ports import Clock
from credentials.stores.audit_slot import Noted, Rotation, Slot

log = logging.getLogger("integration.credentials.audit")

GATHER_SECONDS: Final = 0.1
CAPACITY: Final = 50_000
BATCH: Final = 2_000


@dataclass(frozen=True, slots=True)
class Writing:
    """How the log is written.

    Notes wait for `gather_seconds` for others to share a write with them; of those that wait, at
    most `capacity` are kept.
    """

    gather_seconds: float = GATHER_SECONDS
    capacity: int = CAPACITY
    rotation: Rotation = Rotation()  # noqa: RUF009 - frozen


class _Waiter(NamedTuple):
    loop: asyncio.AbstractEventLoop
    written: "asyncio.Future[None]"


class _Queued(NamedTuple):
    noted: Noted
    waiter: _Waiter | None = None


class FileAudit:
    """An `Audit` in the files of a directory, which any number of processes share.

    A thread writes. Whoever calls `before` while it does shares the next write, and its fsync, with
    all others that wait. Notes that cannot be written are kept and tried again; when there are too
    many of them, an entry `audit.overflow` and the log tell how many are missing.
    """

    def __init__(self, directory: Path, slot: Slot, clock: Clock, writing: Writing) -> None:
        self._directory = directory
        self._slot = slot
        self._clock = clock
        self._writing = writing
        self._queue: deque[_Queued] = deque()
        self._work = threading.Event()  # there is something to write
        self._hurry = threading.Event()  # and somebody waits for it
        self._closing = False
        self._failing = False
        self._lock = threading.Lock()
        self._lost = 0
        self._told = 0
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    @classmethod
    async def open(
        cls, directory: Path, clock: Clock, process: str, writing: Writing | None = None
    ) -> Self:
        """Take a place in the directory, made if need be; `process` names us in every entry.

        Raises `AuditUnavailable`.
        """
        writing = writing or Writing()
        try:
            slot = await asyncio.to_thread(Slot.take, directory, process, writing.rotation)
        except OSError as error:
            raise _unavailable(directory, error) from error
        audit = cls(directory, slot, clock, writing)
        for repair in slot.repairs():
            log.error("audit log not as it should be: %s: %s", repair.action, dict(repair.details))
            audit.note(repair)
        audit._thread.start()
        return audit

    async def before(self, entry: AuditEntry) -> None:
        """Write down, durably, what is about to be changed; raises `AuditUnavailable`."""
        if self._closing:
            raise _unavailable(self._directory, RuntimeError("it is closed"))
        loop = asyncio.get_running_loop()
        waiter = _Waiter(loop, loop.create_future())
        self._queue.append(_Queued(Noted(self._clock(), entry), waiter))
        self._hurry.set()
        self._work.set()
        await waiter.written

    def note(self, entry: AuditEntry) -> None:
        """Write down, soon, what has happened. Never blocks and never raises."""
        if len(self._queue) >= self._writing.capacity or self._closing:
            self._lose()
            return
        self._queue.append(_Queued(Noted(self._clock(), entry)))
        if not self._work.is_set():
            self._work.set()

    async def close(self) -> None:
        """Write what waits, and let another process have the place."""
        self._closing = True
        self._hurry.set()
        self._work.set()
        await asyncio.to_thread(self._thread.join)

    def _lose(self) -> None:
        with self._lock:
            self._lost += 1
            is_first = self._lost == self._told + 1
        if is_first:
            log.error("audit entries are being lost: too many wait to be written")

    def _run(self) -> None:
        try:
            while not self._closing:
                self._work.wait()
                self._hurry.wait(self._writing.gather_seconds)
                self._work.clear()
                self._hurry.clear()
                self._drain()
            self._drain()
            self._give_up()
        finally:
            self._slot.close()

    def _drain(self) -> None:
        while self._queue:
            if not self._wrote(self._batch()):
                self._work.set()  # once more, after the gathering time
                return

    def _batch(self) -> list[_Queued]:
        return [self._queue.popleft() for _ in range(min(len(self._queue), BATCH))]

    def _wrote(self, batch: list[_Queued]) -> bool:
        lost = self._lost
        try:
            self._slot.append([*self._overflow(lost), *(queued.noted for queued in batch)])
        except Exception as error:  # noqa: BLE001 - if this thread died, all would wait for ever
            self._failed(batch, error)
            return False
        self._told = lost
        self._failing = False
        _settle(batch, None)
        return True

    def _overflow(self, lost: int) -> list[Noted]:
        if lost == self._told:
            return []
        facts = {"entriesLost": lost - self._told}
        return [
            Noted(self._clock(), AuditEntry("audit.overflow", "", "", "service", details=facts))
        ]

    def _failed(self, batch: list[_Queued], error: Exception) -> None:
        if not self._failing:
            log.error("the audit log in %s cannot be written: %s", self._directory, error)
        self._failing = True
        self._queue.extendleft(queued for queued in reversed(batch) if queued.waiter is None)
        _settle(batch, _unavailable(self._directory, error))

    def _give_up(self) -> None:
        if self._queue:
            log.error("%d audit entries are lost: they could not be written", len(self._queue))
            error = OSError("it was closed while it could not be written")
            _settle(self._queue, _unavailable(self._directory, error))


class MemoryAudit:
    """An `Audit` that forgets everything when the process ends.

    `entries` are all in the order they came; `is_available` can be taken away.
    """

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []
        self.is_available = True

    async def before(self, entry: AuditEntry) -> None:
        """Keep what is about to be changed; raises `AuditUnavailable`."""
        if not self.is_available:
            raise _unavailable(Path("memory"), OSError("it was taken away"))
        self.entries.append(entry)

    def note(self, entry: AuditEntry) -> None:
        """Keep what has happened."""
        self.entries.append(entry)


def _settle(batch: Iterable[_Queued], error: AuditUnavailable | None) -> None:
    waiters = [queued.waiter for queued in batch if queued.waiter is not None]
    for loop in {waiter.loop for waiter in waiters}:
        ours = [waiter.written for waiter in waiters if waiter.loop is loop]
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_answer, ours, error)


def _answer(written: "list[asyncio.Future[None]]", error: AuditUnavailable | None) -> None:
    for future in written:
        if future.done():  # cancelled
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _unavailable(directory: Path, error: Exception) -> AuditUnavailable:
    return AuditUnavailable(
        f"The audit log in {directory} cannot be written ({error}), so nothing may be changed",
        path=str(directory),
    )
