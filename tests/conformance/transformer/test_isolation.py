"""A call sees nothing of another."""

import json
import random
import resource
import threading

import pytest

from tests.conformance.transformer.scripts import (
    CONTACT,
    REQUEST_TRANSFORM,
    SHORT,
    idle_memories,
    result,
    run,
    sandboxes_equal_their_images,
)
from transformer.engines.wasm import WasmEngine
from transformer.errors import ScriptThrew
from transformer.model import Call, Limits, Script

MARKER = "Xq7Marker" * 3


def test_globals_and_prototypes_start_fresh(engine: WasmEngine):
    """No variable, prototype or built-in keeps what an earlier call did to it."""
    source = """
        let calls = 0;
        var seen = [];
        function transform(input) {
          const fresh = [calls++, seen.push(1), typeof leaked, [].extra, "".extra, JSON.extra];
          leaked = 1; globalThis.leaked2 = 1;
          Array.prototype.extra = String.prototype.extra = JSON.extra = "dirty";
          Object.prototype.toJSON = () => "poisoned";
          delete Object.prototype.toJSON;
          Math.max = () => 0; transform.memo = 1;
          return [...fresh, typeof leaked2, Math.max(1, 2) ]
        }"""
    first, *others = [run(engine, source).output for _ in range(5)]
    assert json.loads(first)[:3] == [0, 1, "undefined"]
    assert all(output == first for output in others)


def test_memory_holds_no_trace_of_earlier_calls(engine: WasmEngine):
    """After calls that used a secret, no idle sandbox has it anywhere in its memory."""
    source = """let kept = "";
        function transform(input) {
          kept = input.secret.toLowerCase() + input.secret;
          console.log(input.secret);
          return kept.split("").reverse().join("") }"""
    for _ in range(3):
        run(engine, source, {"secret": MARKER})
    with pytest.raises(ScriptThrew):
        run(engine, "function transform(input) { throw input.secret }", {"secret": MARKER})
    memories = idle_memories(engine)
    assert memories
    for memory in memories:
        assert MARKER.encode() not in memory
        assert MARKER.lower().encode() not in memory
        assert MARKER[::-1].encode() not in memory


def test_reset_is_complete(engine: WasmEngine):
    """After any of a thousand random scripts every byte of memory is what the image says."""
    chance = random.Random(7)  # noqa: S311 - which scripts run when
    pieces = [
        "Array.from({length: N}, (_, i) => ({i, s: 'x'.repeat(i % 7)}))",
        "JSON.parse(JSON.stringify(input)).a.map(x => x * N)",
        "(function deep(n) { return n ? [deep(n - 1)] : 0 })(N % 60)",
        "new Map(Array.from({length: N}, (_, i) => [i, new Uint8Array(i)])).size",
        "'abc'.repeat(N).replace(/b/g, m => m + N).length",
        "[3, 1, 2].sort(() => (globalThis['g' + N] = N, 1))",
        "(Object.prototype['p' + N] = {N}, console.log({N}), new Date(N).toISOString())",
        "null.x",
        "(() => { throw new RangeError('N' + N) })()",
        "Symbol.for('s' + N).description + Math.random() + (typeof WeakRef)",
    ]
    scripts = [
        engine.compile(
            Script(f"function transform(input) {{ const N = input.n; return {piece} }}"), SHORT
        )
        for piece in pieces
    ]
    for number in range(1_000):
        text = json.dumps({"n": chance.randrange(400), "a": [number]}).encode()
        try:
            engine.run(chance.choice(scripts), Call(text, now_ms=number, seed=number), SHORT)
        except ScriptThrew:
            continue
    assert sandboxes_equal_their_images(engine)


def test_memory_under_churn(engine: WasmEngine):
    """Buffers of all sizes, grown, dropped and made again at random, never overlap."""
    source = """function transform(input) {
        const live = []; let wrong = 0;
        for (let step = 0; step < 4000; step++) {
          const size = Math.floor(2 ** (Math.random() * 15)), mark = step % 251;
          if (live.length > 60) {
            const [old] = live.splice(Math.floor(Math.random() * live.length), 1);
            if (!old.bytes.every(byte => byte === old.mark)) wrong++;
          }
          live.push({ mark, bytes: new Uint8Array(size).fill(mark) });
          if (step % 7 === 0) live.push({ mark, bytes: Array(size % 500).fill(mark) });
        }
        return [wrong, live.every(({ bytes, mark }) => bytes.every(byte => byte === mark))] }"""
    limits = Limits(time_ms=30_000, ticks=10**9)
    for seed in range(3):
        assert json.loads(run(engine, source, limits=limits, seed=seed).output) == [0, True]


def test_two_scripts_take_turns(engine: WasmEngine):
    """Scripts that follow each other in the same sandboxes do not see each other."""
    writer = "var shared = 5; function transform() { globalThis.left = 1; return shared }"
    reader = "function transform() { return [typeof shared, typeof left] }"
    for _ in range(6):
        assert result(engine, writer) == 5
        assert result(engine, reader) == ["undefined", "undefined"]


def test_more_scripts_than_sandboxes(engine: WasmEngine):
    """A hundred scripts in turn, three times over, each give their own result."""
    sources = [
        f"const k = {k}; function transform(input) {{ return input + k }}" for k in range(100)
    ]
    for _ in range(3):
        assert [result(engine, source, 1000) for source in sources] == [
            1000 + k for k in range(100)
        ]


def test_threads_run_side_by_side(engine: WasmEngine):
    """Four threads that run scripts at the same time all get their own results."""
    compiled = engine.compile(
        Script("function transform(n) { let s = 0, i = 0; for (; i++ < 2e3; ) s += n; return s }"),
        Limits(),
    )
    wrong: list[object] = []

    def work(number: int) -> None:
        for _ in range(50):
            call = Call(str(number).encode(), now_ms=0, seed=0)
            output = engine.run(compiled, call, Limits(time_ms=20_000)).output
            if output != str(number * 2000).encode():
                wrong.append(output)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_thousands_of_calls_leave_nothing_behind(engine: WasmEngine):
    """Two thousand calls grow neither linear memory nor the process by more than a little."""
    compiled = engine.compile(Script(REQUEST_TRANSFORM), Limits())
    call = Call(json.dumps(CONTACT).encode(), now_ms=0, seed=0)
    for _ in range(200):
        engine.run(compiled, call, Limits())
    sizes = {len(memory) for memory in idle_memories(engine)}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(2_000):
        engine.run(compiled, call, Limits())
    assert {len(memory) for memory in idle_memories(engine)} == sizes
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 16 * 1024
