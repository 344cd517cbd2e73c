"""Advances an engine's epoch while scripts run, so that deadlines come due, on any machine."""

import threading
import time
from typing import Protocol

import wasmtime

PERIOD_MS = 2
_IDLE_PERIODS_BEFORE_PARKING = 250


class RunningTime(Protocol):
    """What makes deadlines come due."""

    def enter(self, run: object, milliseconds: int) -> int:
        """Have time pass for a run from here on; answers the epochs it may see in that time."""

    def leave(self, run: object) -> None:
        """Say that this run needs no deadline any more."""

    def close(self) -> None:
        """Stop for good."""


class Ticker:
    """One thread that ticks every `PERIOD_MS` ms of running time and sleeps when nothing runs.

    Time in which the process waits for a processor does not count, and what it used is shared
    among those that run: a script is not to be blamed for a busy machine. One that runs uses
    the processor, so its deadline does come.
    """

    def __init__(self, engine: wasmtime.Engine) -> None:
        self._engine = engine
        # Adding and discarding are atomic: any thread may do it without a lock.
        self._running: set[object] = set()
        self._wake = threading.Event()
        self._parked = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="transformer-ticker", daemon=True)
        self._thread.start()

    def enter(self, run: object, milliseconds: int) -> int:
        """Have time pass for a run from here on; answers the epochs it may see in that time."""
        self._running.add(run)
        if self._parked:
            self._wake.set()
        return -(-milliseconds // PERIOD_MS) + 1

    def leave(self, run: object) -> None:
        """Say that this run needs no deadline any more."""
        self._running.discard(run)

    def _tick(self) -> None:
        idle = 0
        counted = time.process_time()
        while not self._closed.wait(PERIOD_MS / 1000):
            used = time.process_time()
            if used - counted >= PERIOD_MS / 2000 * max(1, len(self._running)):
                self._engine.increment_epoch()
                counted = used
            idle = 0 if self._running else idle + 1
            if idle > _IDLE_PERIODS_BEFORE_PARKING:
                self._park()
                idle = 0

    def _park(self) -> None:
        self._parked = True
        # A run that came before it could see the flag is in the set by now.
        if not self._running and not self._closed.is_set():
            self._wake.wait()
        self._parked = False
        self._wake.clear()

    def close(self) -> None:
        """Stop the thread and wait for it."""
        self._closed.set()
        self._wake.set()
        self._thread.join()
