"""The use case: reshape data with an author's script.

Most scripts take microseconds, so a call first runs on the event loop itself with a small
budget. When that runs out the call starts over in a worker thread with the whole budget, which
nobody can tell from outside because scripts are pure: they see their arguments and nothing else.
"""

import asyncio
import dataclasses
import time

from msgspec.structs import replace

from transformer.cache import CompiledCache, Entry
from transformer.errors import TicksExceeded, TimeExceeded, TransformFailed
from transformer.model import Call, Compiled, Diagnostics, Limits, Outcome, Problem, Script
from transformer.ports import Engine
from transformer.workers import WorkerThreads

DEFAULT_CACHE_BYTES = 64 * 1024 * 1024
# About 2 ms of most scripts. Time only catches what does not tick.
INLINE_TICKS = 200_000
INLINE_TIME_MS = 10
INLINE_INPUT_BYTES = 64 * 1024
INLINE_SOURCE_CHARS = 4 * 1024
SLOW_SECONDS = 30.0


class Transformer:
    """Checks and runs scripts. One per process; belongs to one event loop."""

    def __init__(
        self,
        engine: Engine,
        *,
        workers: int = 2,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
        limits: Limits | None = None,
    ) -> None:
        self._engine = engine
        self._workers = WorkerThreads(workers)
        self._cache = CompiledCache(cache_bytes)
        self._compiling: dict[str, asyncio.Task[Entry]] = {}
        self._limits = limits or Limits()
        self._inline_limits = _inline(self._limits)

    async def check(self, script: Script) -> Diagnostics:
        """Compile the script, run its top level and look for its function.

        Never raises for what an author did: the answer names it.
        """
        try:
            entry = await self._compiled(script, self._limits)
            compiled = _named(entry.compiled, script)
            export = await self._workers.run(self._engine.inspect, compiled, self._limits)
        except TransformFailed as failure:
            return Diagnostics(
                ok=False, problems=(_problem(failure),), bytecode_bytes=0, export=None
            )
        return Diagnostics(
            ok=True, problems=(), bytecode_bytes=len(entry.compiled.bytecode), export=export
        )

    async def transform(self, script: Script, call: Call, limits: Limits | None = None) -> Outcome:
        """Call the script's transform with `call.input` and `call.context`.

        Without `limits` the ones given at construction hold. Raises a `TransformFailed`.
        """
        allowed = limits or self._limits
        entry = self._cache.get(script.digest) or await self._compiled(script, allowed)
        compiled = _named(entry.compiled, script)
        if _is_short(entry, call):
            inline = self._inline_limits if limits is None else _inline(limits)
            try:
                return self._engine.run(compiled, call, inline)
            except (TicksExceeded, TimeExceeded):
                if inline == allowed:
                    raise
                entry.slow_until = time.monotonic() + SLOW_SECONDS
        outcome = await self._workers.run(self._engine.run, compiled, call, allowed)
        return replace(outcome, stats=replace(outcome.stats, path="worker"))

    async def close(self) -> None:
        """Let the calls under way end, then free the engine."""
        await self._workers.close()
        self._engine.close()

    async def _compiled(self, script: Script, limits: Limits) -> Entry:
        """The script's entry, compiled at most once however many ask at a time."""
        entry = self._cache.get(script.digest)
        if entry is not None:
            return entry
        if len(script.source) <= INLINE_SOURCE_CHARS:
            return self._cache.put(self._engine.compile(script, limits))
        task = self._compiling.get(script.digest)
        if task is None:
            task = asyncio.create_task(self._compile_in_worker(script, limits))
            self._compiling[script.digest] = task
            task.add_done_callback(lambda done: self._compiling_ended(script.digest, done))
        # Shielded: one impatient caller must not fail the others who wait for the same script.
        return await asyncio.shield(task)

    def _compiling_ended(self, digest: str, task: asyncio.Task[Entry]) -> None:
        del self._compiling[digest]
        if not task.cancelled():
            task.exception()  # seen, should every caller have gone by now

    async def _compile_in_worker(self, script: Script, limits: Limits) -> Entry:
        compiled: Compiled = await self._workers.run(self._engine.compile, script, limits)
        return self._cache.put(compiled)


def _inline(limits: Limits) -> Limits:
    return dataclasses.replace(
        limits, time_ms=min(limits.time_ms, INLINE_TIME_MS), ticks=min(limits.ticks, INLINE_TICKS)
    )


def _named(compiled: Compiled, script: Script) -> Compiled:
    """The same code under the name this caller knows it by."""
    if compiled.script.name == script.name:
        return compiled
    return dataclasses.replace(compiled, script=script)


def _is_short(entry: Entry, call: Call) -> bool:
    if len(call.input) + len(call.context) > INLINE_INPUT_BYTES:
        return False
    return not entry.slow_until or entry.slow_until < time.monotonic()


def _problem(failure: TransformFailed) -> Problem:
    line, column, frame = (failure.details.get(key) for key in ("line", "column", "codeFrame"))
    return Problem(
        code=failure.code,
        message=failure.message,
        line=line if isinstance(line, int) else None,
        column=column if isinstance(column, int) else None,
        code_frame=frame if isinstance(frame, str) else None,
    )
