"""Advances an engine's epoch while scripts run, so that deadlines come due."""

import threading

import wasmtime

PERIOD_MS = 2
_IDLE_PERIODS_BEFORE_PARKING = 250


class Ticker:
    """One thread that ticks every `PERIOD_MS` ms and sleeps when nothing runs."""

    def __init__(self, engine: wasmtime.Engine) -> None:
        self._engine = engine
        # Adding and discarding are atomic: any thread may do it without a lock.
        self._running: set[object] = set()
        self._wake = threading.Event()
        self._parked = False
        self._closed = False
        self._thread = threading.Thread(target=self._tick, name="transformer-ticker", daemon=True)
        self._thread.start()

    def enter(self, run: object) -> None:
        """Deadlines count from here on."""
        self._running.add(run)
        if self._parked:
            self._wake.set()

    def leave(self, run: object) -> None:
        """This run needs no deadline any more."""
        self._running.discard(run)

    def _tick(self) -> None:
        idle = 0
        pause = threading.Event()
        while not self._closed:
            pause.wait(PERIOD_MS / 1000)
            self._engine.increment_epoch()
            idle = 0 if self._running else idle + 1
            if idle > _IDLE_PERIODS_BEFORE_PARKING:
                self._park()
                idle = 0

    def _park(self) -> None:
        self._parked = True
        # A run that entered before it could see the flag is in the set by now.
        if not self._running and not self._closed:
            self._wake.wait()
        self._parked = False
        self._wake.clear()

    def close(self) -> None:
        """Stop the thread and wait for it."""
        self._closed = True
        self._wake.set()
        self._thread.join()
