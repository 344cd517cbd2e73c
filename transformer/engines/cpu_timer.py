"""Deadlines without a thread of Python's: a POSIX timer that advances the epoch by itself.

A Python thread that ticks has to take the interpreter lock each time, and while it waits for it,
every release of the lock in the event loop becomes a change of threads: at 500 ticks a second a
busy service lost up to a third of its time to that. The timer calls wasmtime's own C function from
a thread of the C library's, and no Python runs. It counts the processor time of the process, so it
stands still while nothing runs (timer_create(2), sigevent(7)).
"""

import ctypes
import os
import time
import weakref
from ctypes import POINTER, Structure, byref, c_char, c_int, c_long, c_void_p

import wasmtime

from transformer.engines import hotpath

PERIOD_MS = 5
_CLOCK_PROCESS_CPUTIME_ID = 2
_SIGEV_THREAD = 2
# A notification that was under way when the timer went away is over after this, many times over.
_LAST_NOTIFICATION_SECONDS = 0.02


class _Notification(Structure):
    _fields_ = (("function", c_void_p), ("attributes", c_void_p))


class _SigEvent(Structure):
    _fields_ = (
        ("value", c_void_p),
        ("signal", c_int),
        ("notify", c_int),
        ("notification", _Notification),
        ("reserved", c_char * 32),
    )


class _TimeSpec(Structure):
    _fields_ = (("seconds", c_long), ("nanoseconds", c_long))


class _TimerSpec(Structure):
    _fields_ = (("interval", _TimeSpec), ("first", _TimeSpec))


class CpuTimer:
    """Advances an engine's epoch every `PERIOD_MS` ms of the process's running time.

    Raises `OSError` where the machine has no such timer: `Ticker` does the same anywhere.
    """

    def __init__(self, engine: wasmtime.Engine) -> None:
        self._engine = engine  # the timer points at it
        library, timer = _library(), c_void_p()
        event = _SigEvent(notify=_SIGEV_THREAD)
        event.notification.function, event.value = hotpath.epoch_increment(engine)
        clock = _CLOCK_PROCESS_CPUTIME_ID
        _check(library.timer_create(clock, byref(event), byref(timer)))
        # Also when nobody closes it: an engine that is freed must never be ticked again.
        self._stop = weakref.finalize(self, _stop, library, timer)
        period = _TimeSpec(nanoseconds=PERIOD_MS * 1_000_000)
        _check(library.timer_settime(timer, 0, byref(_TimerSpec(period, period)), None))
        # All runs share the time of the process, which passes once on every processor they use.
        self._share = min(os.cpu_count() or 1, 4)

    def enter(self, run: object, milliseconds: int) -> int:  # noqa: ARG002 - time passes for all
        """How many epochs a run may see that is allowed so much running time."""
        return -(-milliseconds * self._share // PERIOD_MS) + 1

    def leave(self, run: object) -> None:
        """Say that this run needs no deadline any more."""

    def close(self) -> None:
        """Stop the timer for good."""
        self._stop()


def _stop(library: ctypes.CDLL, timer: c_void_p) -> None:
    library.timer_delete(timer)
    time.sleep(_LAST_NOTIFICATION_SECONDS)


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "timer_create"):
        raise OSError("this C library has no timer_create")
    library.timer_create.argtypes = (c_int, POINTER(_SigEvent), POINTER(c_void_p))
    library.timer_settime.argtypes = (c_void_p, c_int, POINTER(_TimerSpec), c_void_p)
    library.timer_delete.argtypes = (c_void_p,)
    return library


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
