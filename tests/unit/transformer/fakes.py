"""An engine without JavaScript, for tests of what stands around it."""

import threading
import time
from collections.abc import Callable

from transformer.errors import TicksExceeded
from transformer.model import Call, Compiled, Limits, Outcome, Script, Stats

Behaviour = Callable[[Call, Limits], bytes]


def needs_ticks(ticks: int) -> Behaviour:
    """A script that fails as one does that needs more ticks than it is allowed."""

    def behave(call: Call, limits: Limits) -> bytes:
        if limits.ticks < ticks:
            raise TicksExceeded("too many ticks", used=limits.ticks, allowed=limits.ticks)
        return call.input

    return behave


class FakeEngine:
    """Runs each script as its source's entry in `behaviours` says; echoes without one.

    Records who was compiled and run, on which thread, with which limits.
    """

    def __init__(self, behaviours: dict[str, Behaviour] | None = None) -> None:
        self.behaviours = behaviours or {}
        self.compiled: list[str] = []
        self.compile_threads: list[str] = []
        self.runs: list[tuple[str, str, Limits]] = []
        self.compile_seconds = 0.0
        self.fail_to_compile: Exception | None = None
        self.closed = False

    def compile(self, script: Script, limits: Limits) -> Compiled:  # noqa: ARG002 - the port's
        """Note the script and hand back a token for it."""
        time.sleep(self.compile_seconds)
        self.compiled.append(script.source)
        self.compile_threads.append(threading.current_thread().name)
        if self.fail_to_compile is not None:
            raise self.fail_to_compile
        return Compiled(script, b"bytecode of " + script.source.encode())

    def inspect(self, compiled: Compiled, limits: Limits) -> str:  # noqa: ARG002 - the port's
        """Every script has a transform."""
        return "transform" if compiled else ""

    def run(self, compiled: Compiled, call: Call, limits: Limits) -> Outcome:
        """Behave as the script is told to."""
        thread = threading.current_thread().name
        self.runs.append((compiled.script.source, thread, limits))
        behave = self.behaviours.get(compiled.script.source, lambda call, _: call.input)
        output = behave(call, limits)
        return Outcome(output, (), Stats(10, 0, 0, len(output), "inline"))

    def close(self) -> None:
        """Note that it happened."""
        self.closed = True
