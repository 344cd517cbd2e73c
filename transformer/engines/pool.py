"""Sandboxes that wait for work, kept ready for the scripts that used them last."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from transformer.engines.sandbox import Sandbox


class SandboxPool:
    """Hands out sandboxes, each to one thread at a time; at most `capacity` lie idle."""

    def __init__(self, create: Callable[[], Sandbox], capacity: int) -> None:
        self._create = create
        self._capacity = capacity
        self._lock = threading.Lock()
        # What is loaded (None: nothing) to idle sandboxes; what was used longest ago comes first.
        self._idle: OrderedDict[str | None, list[Sandbox]] = OrderedDict()
        self._count = 0
        self._closed = False

    def take(self, loaded: str | None) -> Sandbox:
        """One that has this loaded if there is one, else a bare one, else any."""
        with self._lock:
            sandbox = self._pop(loaded) or self._pop(None)
            if sandbox is None and self._count >= self._capacity:
                sandbox = self._pop(next(iter(self._idle)))
        return sandbox or self._create()

    def _pop(self, loaded: str | None) -> Sandbox | None:
        waiting = self._idle.get(loaded)
        if not waiting:
            return None
        sandbox = waiting.pop()
        if not waiting:
            del self._idle[loaded]
        self._count -= 1
        return sandbox

    def give_back(self, sandbox: Sandbox) -> None:
        """Put the sandbox back to its image and aside; throw it away when that is not enough.

        The sandbox used longest ago makes room.
        """
        if sandbox.trapped or sandbox.size() != sandbox.image.size:
            sandbox.close()
            return
        sandbox.restore(sandbox.image)
        with self._lock:
            self._idle.setdefault(sandbox.loaded, []).append(sandbox)
            self._idle.move_to_end(sandbox.loaded)
            self._count += 1
            surplus = self._count > self._capacity or self._closed
            evicted = self._pop(next(iter(self._idle))) if surplus else None
        if evicted is not None:
            evicted.close()

    def close(self) -> None:
        """Close the idle ones now and the others when they come back."""
        with self._lock:
            self._closed = True
            idle = [sandbox for waiting in self._idle.values() for sandbox in waiting]
            self._idle.clear()
            self._count = 0
        for sandbox in idle:
            sandbox.close()
