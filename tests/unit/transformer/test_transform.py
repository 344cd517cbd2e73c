"""The use case: inline first, workers when needed, one compilation for all."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from tests.unit.transformer.fakes import FakeEngine, needs_ticks
from transformer.errors import (
    ScriptSyntaxInvalid,
    ScriptThrew,
    TicksExceeded,
    TimeExceeded,
    TransformFailed,
)
from transformer.model import Call, Limits, Script
from transformer.transform import (
    INLINE_INPUT_BYTES,
    INLINE_SOURCE_CHARS,
    INLINE_TICKS,
    INLINE_TIME_MS,
    Transformer,
)

CALL = Call(b'{"a":1}', now_ms=0, seed=0)
SHORT, HEAVY, HOSTILE = Script("short"), Script("heavy"), Script("hostile")
LARGE = Script("x" * (INLINE_SOURCE_CHARS + 1))


@pytest.fixture
def engine() -> FakeEngine:
    """An engine whose scripts need nothing, something, or more than they may have."""
    return FakeEngine({"heavy": needs_ticks(INLINE_TICKS + 1), "hostile": needs_ticks(10**12)})


@pytest.fixture
async def transformer(engine: FakeEngine) -> AsyncIterator[Transformer]:
    """A transformer over the fake engine."""
    transformer = Transformer(engine)
    yield transformer
    await transformer.close()


def places(engine: FakeEngine) -> list[str]:
    """Where each run took place."""
    main = threading.main_thread().name
    return ["loop" if thread == main else "worker" for _, thread, _ in engine.runs]


async def test_short_scripts_run_on_the_loop(transformer: Transformer, engine: FakeEngine):
    """A short script runs on the event loop with the small budget and everything else in full."""
    outcome = await transformer.transform(SHORT, CALL)
    assert outcome.output == CALL.input
    assert outcome.stats.path == "inline"
    assert places(engine) == ["loop"]
    limits, whole = engine.runs[0][2], Limits()
    assert (limits.time_ms, limits.ticks) == (INLINE_TIME_MS, INLINE_TICKS)
    assert (limits.memory_bytes, limits.output_bytes) == (whole.memory_bytes, whole.output_bytes)


async def test_long_scripts_start_over_in_a_worker(transformer: Transformer, engine: FakeEngine):
    """A script that needs more than the small budget runs again in a worker with the whole one."""
    outcome = await transformer.transform(HEAVY, CALL)
    assert outcome.output == CALL.input
    assert outcome.stats.path == "worker"
    assert places(engine) == ["loop", "worker"]
    assert engine.runs[1][2] == Limits()


async def test_long_scripts_are_remembered(transformer: Transformer, engine: FakeEngine):
    """Once seen to be long, a script goes to a worker directly, and others still do not."""
    await transformer.transform(HEAVY, CALL)
    await transformer.transform(HEAVY, CALL)
    await transformer.transform(SHORT, CALL)
    assert places(engine) == ["loop", "worker", "worker", "loop"]


async def test_whole_budget_exceeded(transformer: Transformer):
    """A script that exceeds the whole budget fails with that budget's numbers."""
    with pytest.raises(TicksExceeded) as caught:
        await transformer.transform(HOSTILE, CALL)
    assert caught.value.details["allowed"] == Limits().ticks


async def test_small_budgets_are_not_tried_twice(transformer: Transformer, engine: FakeEngine):
    """When the caller allows no more than the loop does, running out is final."""
    limits = Limits(time_ms=1, ticks=10_000)
    with pytest.raises(TicksExceeded):
        await transformer.transform(HEAVY, CALL, limits)
    assert places(engine) == ["loop"]
    assert engine.runs[0][2] == limits


async def test_time_out_on_the_loop_starts_over(transformer: Transformer, engine: FakeEngine):
    """Running out of time on the loop starts over like running out of ticks."""

    def slow(call: Call, limits: Limits) -> bytes:
        if limits.time_ms <= INLINE_TIME_MS:
            raise TimeExceeded("too slow")
        return call.input

    engine.behaviours["slow"] = slow
    assert (await transformer.transform(Script("slow"), CALL)).stats.path == "worker"


async def test_errors_of_the_script_are_final(transformer: Transformer, engine: FakeEngine):
    """What a script throws on the loop is its result: it is not run again."""

    def throw(call: Call, limits: Limits) -> bytes:
        raise ScriptThrew(f"no {call.input!r} {limits.ticks}")

    engine.behaviours["throws"] = throw
    with pytest.raises(ScriptThrew):
        await transformer.transform(Script("throws"), CALL)
    assert places(engine) == ["loop"]


async def test_large_inputs_go_to_a_worker(transformer: Transformer, engine: FakeEngine):
    """Reading a large input would hold up the loop, so it is read in a worker."""
    await transformer.transform(SHORT, Call(b" " * (INLINE_INPUT_BYTES + 1), now_ms=0, seed=0))
    assert places(engine) == ["worker"]


async def test_limits_of_the_transformer(engine: FakeEngine):
    """Limits given at construction hold where a call gives none."""
    transformer = Transformer(engine, limits=Limits(ticks=20_000, time_ms=1))
    with pytest.raises(TicksExceeded) as caught:
        await transformer.transform(HEAVY, CALL)
    assert caught.value.details["allowed"] == 20_000
    await transformer.close()


async def test_a_script_is_compiled_once(transformer: Transformer, engine: FakeEngine):
    """However often and under whatever name a script runs, its source is compiled once."""
    for name in ("a.js", "b.js", "a.js"):
        await transformer.transform(Script("short", name), CALL)
    assert engine.compiled == ["short"]


async def test_large_sources_compile_in_a_worker_once_for_all(
    transformer: Transformer, engine: FakeEngine
):
    """Callers who ask at the same time share one compilation, away from the loop."""
    engine.compile_seconds = 0.05
    outcomes = await asyncio.gather(*(transformer.transform(LARGE, CALL) for _ in range(20)))
    assert [outcome.output for outcome in outcomes] == [CALL.input] * 20
    assert engine.compiled == [LARGE.source]
    assert engine.compile_threads != [threading.main_thread().name]


async def test_a_cancelled_caller_does_not_fail_the_others(
    transformer: Transformer, engine: FakeEngine
):
    """One who gives up while a script compiles takes nothing from those who wait with them."""
    engine.compile_seconds = 0.05
    impatient = asyncio.create_task(transformer.transform(LARGE, CALL))
    patient = asyncio.create_task(transformer.transform(LARGE, CALL))
    await asyncio.sleep(0.01)
    impatient.cancel()
    assert (await patient).output == CALL.input
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert engine.compiled == [LARGE.source]


async def test_failed_compilations_are_tried_again(transformer: Transformer, engine: FakeEngine):
    """A compilation that failed is not kept, neither on the loop nor in a worker."""
    for script in (SHORT, LARGE):
        engine.fail_to_compile = ScriptSyntaxInvalid("no")
        with pytest.raises(ScriptSyntaxInvalid):
            await transformer.transform(script, CALL)
        engine.fail_to_compile = None
        assert (await transformer.transform(script, CALL)).output == CALL.input


async def test_the_cache_is_bounded(engine: FakeEngine):
    """Scripts that no longer fit are compiled again when they come back."""
    transformer = Transformer(engine, cache_bytes=4_000)
    for source in ("a", "b", "c", "d", "e", "a"):
        await transformer.transform(Script(source), CALL)
    assert engine.compiled == ["a", "b", "c", "d", "e", "a"]
    await transformer.transform(Script("e"), CALL)
    assert engine.compiled[-1] == "a"
    await transformer.close()


async def test_a_cancelled_run_leaves_the_workers_sound(
    transformer: Transformer, engine: FakeEngine
):
    """Callers who give up while their scripts run do not take the workers with them."""
    release = threading.Event()

    def wait(call: Call, limits: Limits) -> bytes:
        if limits.time_ms <= INLINE_TIME_MS:
            raise TimeExceeded("too slow")
        release.wait(5)
        return call.input

    engine.behaviours["waits"] = wait
    stuck = [asyncio.create_task(transformer.transform(Script("waits"), CALL)) for _ in range(6)]
    await asyncio.sleep(0.05)
    for task in stuck:
        task.cancel()
    results = await asyncio.gather(*stuck, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    release.set()
    assert (await transformer.transform(HEAVY, CALL)).output == CALL.input


async def test_short_scripts_pass_long_ones(transformer: Transformer, engine: FakeEngine):
    """While every worker is busy, short scripts still run at once."""
    release = threading.Event()

    def wait(call: Call, limits: Limits) -> bytes:
        if limits.time_ms <= INLINE_TIME_MS:
            raise TimeExceeded("too slow")
        release.wait(5)
        return call.input

    engine.behaviours["waits"] = wait
    busy = [asyncio.create_task(transformer.transform(Script("waits"), CALL)) for _ in range(4)]
    await asyncio.sleep(0.02)
    assert (await transformer.transform(SHORT, CALL)).output == CALL.input
    assert not any(task.done() for task in busy)
    release.set()
    await asyncio.gather(*busy)


async def test_check_of_a_good_script(transformer: Transformer):
    """A script that compiles and has its function is fine, and its size is told."""
    diagnostics = await transformer.check(SHORT)
    assert diagnostics.ok
    assert diagnostics.problems == ()
    assert diagnostics.export == "transform"
    assert diagnostics.bytecode_bytes == len(b"bytecode of short")


async def test_check_of_a_bad_script(transformer: Transformer, engine: FakeEngine):
    """What an author did wrong is an answer and not an exception."""
    engine.fail_to_compile = ScriptSyntaxInvalid(
        "expecting ';'", line=3, column=7, codeFrame="> 3 | x y"
    )
    diagnostics = await transformer.check(SHORT)
    assert not diagnostics.ok
    assert diagnostics.export is None
    (problem,) = diagnostics.problems
    assert (problem.code, problem.line, problem.column) == ("SYNTAX_ERROR", 3, 7)
    assert (problem.message, problem.code_frame) == ("expecting ';'", "> 3 | x y")


async def test_check_without_a_place(transformer: Transformer, engine: FakeEngine):
    """A problem that has no place in the source is reported without one."""
    engine.fail_to_compile = TransformFailed("no")
    (problem,) = (await transformer.check(SHORT)).problems
    assert (problem.line, problem.column, problem.code_frame) == (None, None, None)


async def test_close_frees_the_engine(engine: FakeEngine):
    """Closing lets runs under way end, then closes the engine and the threads."""
    transformer = Transformer(engine)
    running = asyncio.create_task(transformer.transform(HEAVY, CALL))
    await asyncio.sleep(0)
    await transformer.close()
    assert (await running).output == CALL.input
    assert engine.closed
    assert not [t for t in threading.enumerate() if t.name.startswith("transformer-worker")]
