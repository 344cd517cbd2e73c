"""Nothing a script does goes on for ever or takes everything."""

import json
import time

import pytest

from tests.conformance.transformer.scripts import SHORT, failure, idle_memories, result, run
from transformer.engines.wasm import WasmEngine
from transformer.errors import (
    InputTooLarge,
    MemoryExceeded,
    OutputTooLarge,
    SourceTooLarge,
    StackExceeded,
    TicksExceeded,
    TimeExceeded,
)
from transformer.model import Limits

SHORT_MEMORY = Limits(time_ms=20_000, memory_bytes=2 * 1024 * 1024)


@pytest.mark.parametrize(
    "body",
    [
        "while (true) {}",
        "for (;;) { try { while (true) {} } catch (e) {} }",
        "for (;;) { try { while (true) {} } finally { continue } }",
        "return [1, 2, 3].sort(() => { while (true) {} })",
        "return { get a() { while (true) {} } }",
        "return { toJSON() { while (true) {} } }",
        "return (async () => { try { for (;;); } catch { return 1 } })()",
        "return new Promise(function again(ok) { Promise.resolve().then(() => again(ok)) })",
        "const p = new Proxy({}, { get() { for (;;); } }); return p.x",
        "return Array.from({ length: 1e9 }, (_, i) => 0)",
        "for (const x of { *[Symbol.iterator]() { for (;;) yield 1 } }) {}",
    ],
)
def test_endless_loops(engine: WasmEngine, body: str):
    """Loops that never end stop at the tick budget, whatever they catch."""
    limits = Limits(time_ms=20_000, ticks=1_000_000)
    error = failure(engine, f"function transform(input) {{ {body} }}", limits=limits)
    assert isinstance(error, (TicksExceeded, MemoryExceeded))
    if isinstance(error, TicksExceeded):
        assert error.details["limit"] == "ticks"
        assert error.details["used"] > error.details["allowed"]
        assert error.details["allowed"] == 1_000_000


def test_time_passes_after_a_pause(engine: WasmEngine):
    """The time limit holds for the first run after the engine was idle for a while, too."""
    time.sleep(0.8)
    limits = Limits(time_ms=50, ticks=10**12)
    error = failure(engine, "function transform() { while (true) {} }", limits=limits)
    assert isinstance(error, TimeExceeded)


def test_endless_loop_at_the_top_level(engine: WasmEngine):
    """A loop outside transform stops as well."""
    error = failure(engine, "while (true) {}", limits=SHORT)
    assert isinstance(error, (TicksExceeded, TimeExceeded))
    assert error.details["phase"] == "load"


@pytest.mark.parametrize(
    "body",
    [
        'return new Array(2 ** 28).join("ab")',
        "return Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)",
        'return /^(a+)+$/.test("a".repeat(40) + "b")',
    ],
)
def test_work_that_does_not_tick(engine: WasmEngine, body: str):
    """Work inside the engine that takes no steps of the script stops at the time limit."""
    limits = Limits(time_ms=100, ticks=10**12)
    error = failure(engine, f"function transform() {{ {body} }}", limits=limits)
    assert isinstance(error, TimeExceeded)
    assert error.details["limit"] == "timeMs"
    assert error.details["allowed"] == 100


@pytest.mark.parametrize(
    "body",
    [
        "const a = []; for (;;) a.push(new Array(1000).fill(0))",
        "let s = 'x'; for (;;) s += s",
        "return 'x'.repeat(2 ** 29)",
        "return new Uint8Array(2 ** 30).length",
        "const m = new Map(); for (let i = 0; ; i++) m.set(i, 'v' + i)",
        "return new Array(1e8).fill(1)",
        "let o = {}; for (;;) o = { o }",
    ],
)
def test_allocation_without_end(engine: WasmEngine, body: str):
    """Arrays, strings and objects without end stop at the memory limit."""
    limits = Limits(time_ms=20_000, ticks=10**9, memory_bytes=4 * 1024 * 1024)
    error = failure(engine, f"function transform() {{ {body} }}", limits=limits)
    assert isinstance(error, MemoryExceeded)
    assert error.details["limit"] == "memoryBytes"
    assert error.details["allowed"] == 4 * 1024 * 1024


@pytest.mark.parametrize(
    "body",
    [
        "function r() { r() } r()",
        "const f = () => [1].map(f); f()",
        "const o = { toString() { return String(o) } }; return String(o)",
        "return JSON.parse('['.repeat(1e5))",
        "let a = []; for (let i = 0; i < 20000; i++) a = [a]; return a",
        "let a = []; for (let i = 0; i < 20000; i++) a = [a]; return JSON.stringify(a)",
        "let p = {}; for (let i = 0; i < 9000; i++) p = new Proxy(p, {}); return p.x",
        "function f() { return 'a'.replace(/a/, f) } return f()",
        "function f() { return JSON.parse('[1]', f) } return f()",
        "function* g() { yield* g() } return [...g()]",
    ],
)
def test_recursion_without_end(engine: WasmEngine, body: str):
    """Recursion without end is an error of its own, however it is brought about."""
    error = failure(engine, f"function transform() {{ {body} }}", limits=Limits(time_ms=20_000))
    assert isinstance(error, StackExceeded)
    assert "nests too deeply" in error.message


def test_recursion_can_be_caught(engine: WasmEngine):
    """A script may catch the RangeError of its own recursion, as in any engine."""
    source = """let depth = 0; function down() { depth++; down() }
        function transform() { try { down() } catch (e) { return [e.name, depth > 100] } }"""
    assert result(engine, source) == ["RangeError", True]


@pytest.mark.parametrize("nested", ["(", "[", "{a:", "-", "x=>", "{", "`${", "class A{static{"])
def test_source_nested_without_end(engine: WasmEngine, nested: str):
    """Source nested thousands of levels deep is an error and not a crash."""
    error = failure(engine, f"function transform() {{ return {nested * (100_000 // len(nested))}")
    assert error.details["code"] in ("STACK_EXCEEDED", "SYNTAX_ERROR")
    assert error.details["phase"] == "compile"


def test_memory_can_run_out_caught(engine: WasmEngine):
    """A script that catches running out of memory may go on with what it has."""
    source = """function transform() {
        try { const a = []; for (;;) a.push(new Array(100).fill(0)) }
        catch (e) { return e.message } }"""
    assert json.loads(run(engine, source, limits=SHORT_MEMORY).output) == "out of memory"


def test_input_limit(engine: WasmEngine):
    """Input and context together may have so many bytes and not one more."""
    limits = Limits(input_bytes=10)
    assert run(engine, "function transform(input) { return 1 }", b'"123456"', limits).output == b"1"
    error = failure(engine, "function transform(input) { return 1 }", b'"1234567"', limits)
    assert isinstance(error, InputTooLarge)
    assert (error.details["used"], error.details["allowed"]) == (11, 10)


def test_output_limit(engine: WasmEngine):
    """The result may have so many bytes, counted in UTF-8, and not one more."""
    limits = Limits(output_bytes=10)
    assert run(engine, "function transform() { return 'éééé' }", limits=limits).output
    error = failure(engine, "function transform() { return 'ééééa' }", limits=limits)
    assert isinstance(error, OutputTooLarge)
    assert (error.details["used"], error.details["allowed"]) == (11, 10)


def test_source_limit(engine: WasmEngine):
    """A source may have so many bytes and not one more."""
    limits = Limits(source_bytes=40)
    error = failure(engine, "function transform() { return 1 } // é" + "x" * 3, limits=limits)
    assert isinstance(error, SourceTooLarge)
    assert (error.details["used"], error.details["allowed"]) == (42, 40)


def test_grown_memory_is_replaced(engine: WasmEngine):
    """A call that needed much memory does not leave the next one a larger sandbox."""
    run(engine, "function transform() { return new Array(1e5).fill('x').length }")
    assert len({len(memory) for memory in idle_memories(engine)}) == 1


def test_budgets_are_per_call(engine: WasmEngine):
    """Calls that each use most of their budget do not use up each other's."""
    source = "function transform() { let n = 0; while (n < 300000) n++; return n }"
    limits = Limits(time_ms=20_000, ticks=1_000_000)
    ticks = {run(engine, source, limits=limits).stats.ticks for _ in range(5)}
    assert len(ticks) == 1
