"""Threads for runs that would hold up the event loop."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Deep recursion in a script uses the thread's stack; the usual 8 MiB may be less elsewhere.
_STACK_BYTES = 16 * 1024 * 1024


class WorkerThreads:
    """A fixed number of threads with room for a deep stack."""

    def __init__(self, count: int) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix="transformer-worker")
        started = threading.Barrier(count + 1)
        previous = threading.stack_size(_STACK_BYTES)
        try:
            # The size counts when a thread starts, and the executor starts one per waiting task.
            for _ in range(count):
                self._executor.submit(started.wait)
            started.wait()
        finally:
            threading.stack_size(previous)

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function in a thread.

        A cancelled caller leaves at once; the call ends by its own limits and gives everything
        back that it took.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: function(*args, **kwargs))

    async def close(self) -> None:
        """Wait for the calls under way and end the threads."""
        await asyncio.to_thread(self._executor.shutdown)
