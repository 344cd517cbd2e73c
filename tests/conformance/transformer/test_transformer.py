"""The transformer over a real engine: what callers of the whole component rely on."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from transformer.engines.wasm import WasmEngine, new_engine
from transformer.errors import EngineUnavailable, ScriptThrew, TicksExceeded, TimeExceeded
from transformer.model import Call, Limits, Script
from transformer.transform import Transformer

ECHO = Script("function transform(input) { return input }")
FOR_EVER = Script("function transform() { while (true) {} }")
CALL = Call(b'{"a":[1,2,3]}', now_ms=0, seed=0)


class Lent:
    """An engine that outlives the transformer it is lent to."""

    def __init__(self, engine: WasmEngine) -> None:
        self.compile, self.inspect, self.run = engine.compile, engine.inspect, engine.run

    def close(self) -> None:
        """The fixture closes the engine."""


@pytest.fixture
async def transformer(engine: WasmEngine) -> AsyncIterator[Transformer]:
    """A transformer over a real engine."""
    transformer = Transformer(Lent(engine))
    yield transformer
    await transformer.close()


async def test_check_names_the_export(transformer: Transformer):
    """A good script is told so, with the function that would be called."""
    diagnostics = await transformer.check(Script("export default (input) => input"))
    assert diagnostics.ok
    assert diagnostics.export == "export default"
    assert diagnostics.bytecode_bytes > 0


@pytest.mark.parametrize(
    ("source", "code", "line"),
    [
        ("function transform(input) {\n  return input +;\n}", "SYNTAX_ERROR", 2),
        ("const a = 1", "NO_TRANSFORM_FUNCTION", None),
        ("\n\nnull.x", "THROWN", 3),
        ("for (;;) {}", "TICKS_EXCEEDED", 1),
        ("x" * 300_000, "SOURCE_TOO_LARGE", None),
        ("\ud800 unpaired", "SYNTAX_ERROR", 1),
    ],
)
async def test_check_never_raises(
    transformer: Transformer, source: str, code: str, line: int | None
):
    """Whatever is wrong with a script, the answer is a problem with its place."""
    diagnostics = await transformer.check(Script(source))
    assert not diagnostics.ok
    (problem,) = diagnostics.problems
    assert (problem.code, problem.line) == (code, line)


async def test_short_runs_pass_hostile_ones(transformer: Transformer):
    """While loops without end use up both workers, short transforms are answered."""
    limits = Limits(time_ms=3_000, ticks=10**12)
    hostile = [asyncio.create_task(transformer.transform(FOR_EVER, CALL, limits)) for _ in range(2)]
    await asyncio.sleep(0.1)
    for _ in range(20):
        assert (await transformer.transform(ECHO, CALL)).output == CALL.input
    assert not any(task.done() for task in hostile)
    for result in await asyncio.gather(*hostile, return_exceptions=True):
        assert isinstance(result, TimeExceeded)


async def test_whole_budget_after_the_small_one(transformer: Transformer):
    """A script too long for the loop gives the same result from a worker."""
    source = Script("function transform(n) { let i = 0; while (i < n) i++; return i }")
    call = Call(b"1000000", now_ms=0, seed=0)
    outcome = await transformer.transform(source, call, Limits(time_ms=20_000))
    assert outcome.output == b"1000000"
    assert outcome.stats.path == "worker"
    assert outcome.stats.ticks >= 1_000_000


async def test_starting_over_shows_nowhere(transformer: Transformer):
    """What a run wrote before it was started over does not appear twice, nor are numbers lost."""
    source = Script("""function transform() {
        console.log(Math.random());
        for (let i = 0; i < 1000000; i++);
        return [Math.random(), Date.now()] }""")
    limits = Limits(time_ms=20_000)
    call = Call(b"1", now_ms=77, seed=5)
    first, second = [await transformer.transform(source, call, limits) for _ in range(2)]
    assert len(first.console) == 1
    assert (first.output, first.console) == (second.output, second.console)


async def test_hostile_scripts_one_after_the_other(transformer: Transformer):
    """After each of many hostile runs the next run is as good as the first."""
    limits = Limits(time_ms=100, ticks=300_000)
    for _ in range(10):
        with pytest.raises((TicksExceeded, TimeExceeded)):
            await transformer.transform(FOR_EVER, CALL, limits)
        assert (await transformer.transform(ECHO, CALL)).output == CALL.input


async def test_cancelled_callers(transformer: Transformer):
    """Callers who give up leave the engine as it was."""
    limits = Limits(time_ms=300, ticks=10**12)
    tasks = [asyncio.create_task(transformer.transform(FOR_EVER, CALL, limits)) for _ in range(5)]
    await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    rows = json.dumps(["x" * 100] * 1_000).encode()
    outcome = await transformer.transform(ECHO, Call(rows, now_ms=0, seed=0))
    assert json.loads(outcome.output) == json.loads(rows)


async def test_many_at_a_time(transformer: Transformer):
    """A hundred calls at once, short and long ones mixed, each get their own answer."""
    work = Script("function transform(n) { let s = 0; for (let i = 0; i < n; i++) s++; return s }")
    sizes = [10, 200_000] * 50
    outcomes = await asyncio.gather(
        *(
            transformer.transform(
                work, Call(str(size).encode(), now_ms=0, seed=0), Limits(time_ms=60_000)
            )
            for size in sizes
        )
    )
    assert [int(outcome.output) for outcome in outcomes] == sizes


async def test_errors_name_the_script(transformer: Transformer):
    """Two scripts with the same source each fail under their own name."""
    for name in ("first.js", "second.js"):
        with pytest.raises(ScriptThrew, match=name):
            await transformer.transform(Script("function transform() { throw 1 }", name), CALL)


def test_a_missing_guest_says_what_to_do(tmp_path: Path):
    """Without the artefact the engine does not start and says how to build it."""
    with pytest.raises(EngineUnavailable, match="make guest"):
        new_engine(tmp_path, guest=tmp_path / "guest.wasm")


@pytest.mark.parametrize("content", [b"", b"\0asm\1\0\0\0", b"not wasm"])
def test_a_foreign_guest_says_what_to_do(tmp_path: Path, content: bytes):
    """Something else in the artefact's place does not start either."""
    (tmp_path / "guest.wasm").write_bytes(content)
    with pytest.raises(EngineUnavailable, match="make guest"):
        new_engine(tmp_path, guest=tmp_path / "guest.wasm")
