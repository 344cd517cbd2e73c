"""A script reaches nothing outside, and repeats exactly."""

from pathlib import Path

import pytest
import wasmtime

from tests.conformance.transformer.scripts import failure, result, run
from transformer.engines.base import GUEST_DIRECTORY
from transformer.engines.wasm import WasmEngine, new_engine
from transformer.errors import ScriptThrew


def test_guest_imports_nothing():
    """The guest module asks its host for nothing at all."""
    wasm = (GUEST_DIRECTORY / "guest.wasm").read_bytes()
    assert wasmtime.Module(wasmtime.Engine(), wasm).imports == []


@pytest.mark.parametrize(
    "expression",
    [
        'eval("1")',
        '(0, eval)("1")',
        'Function("return 1")()',
        'new Function("return 1")()',
        '(async () => {}).constructor("return 1")()',
        '(function* () {}).constructor("yield 1")().next()',
        'Reflect.construct(Object.getPrototypeOf(() => 1).constructor, ["return 1"])()',
    ],
)
def test_no_code_from_strings(engine: WasmEngine, expression: str):
    """Neither eval nor any function constructor turns a string into code."""
    error = failure(engine, f"function transform() {{ return {expression} }}")
    assert isinstance(error, ScriptThrew)
    assert "eval is not supported" in error.message


def test_no_imports(engine: WasmEngine):
    """A static import fails at compile time, a dynamic one rejects."""
    static = failure(engine, 'import fs from "fs"; export default () => 1')
    assert "fs" in static.message
    dynamic = failure(engine, 'async function transform() { return await import("fs") }')
    assert isinstance(dynamic, ScriptThrew)


def test_no_host_objects(engine: WasmEngine):
    """None of the objects of a browser, of Node or of a shell exist."""
    names = ["require", "process", "fetch", "XMLHttpRequest", "std", "os", "bjson", "Deno"]
    names += ["setTimeout", "print", "scriptArgs", "WebAssembly", "performance", "gc"]
    source = f"function transform() {{ return {names}.filter(n => n in globalThis) }}"
    assert result(engine, source) == []


def test_clock_is_the_callers(engine: WasmEngine):
    """Date is what the call says, at the top level of a script too."""
    source = (
        "const top = Date.now(); function transform() { return [top, Date.now(), +new Date()] }"
    )
    for now in (0, 1_700_000_000_123, 1_700_000_000_124):
        assert result(engine, source, now_ms=now) == [now, now, now]


def test_random_numbers_follow_the_seed(engine: WasmEngine):
    """The same seed gives the same numbers, another seed others, all in [0, 1)."""
    source = "function transform() { return Array.from({length: 50}, Math.random) }"
    first = result(engine, source, seed=5)
    assert first == result(engine, source, seed=5)
    assert first != result(engine, source, seed=6)
    assert isinstance(first, list)
    assert len(set(first)) == 50
    assert all(0 <= number < 1 for number in first)


def test_random_numbers_at_the_top_level(engine: WasmEngine):
    """Numbers drawn while a script loads follow the seed and are not drawn again later."""
    source = "const top = Math.random(); function transform() { return [top, Math.random()] }"
    runs = [result(engine, source, seed=seed) for seed in (5, 5, 6, 5)]
    assert runs[0] == runs[1] == runs[3] != runs[2]
    assert len(set(runs[0])) == 2


def test_a_second_engine_gives_the_same_bytes(engine: WasmEngine, tmp_path: Path):
    """Input, clock and seed decide every byte of the output, whichever engine runs it."""
    source = """function transform(input) {
        return [new Date(), Math.random(), Object.keys(input), [..."cab"].sort(), 0.1] }"""
    value = {"b": 1, "a": 2}
    expected = run(engine, source, value, now_ms=1_700_000_000_000, seed=9)
    with_other = new_engine(tmp_path)
    try:
        again = run(with_other, source, value, now_ms=1_700_000_000_000, seed=9)
    finally:
        with_other.close()
    assert again.output == expected.output
    assert again.stats.ticks == expected.stats.ticks
