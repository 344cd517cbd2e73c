"""What a transform costs, beside the engines a user would embed instead.

`python -m bench.transform` runs it alone. All take the same script and give JSON text for JSON
text; they take turns, round by round, and the median of the rounds' ratios counts.
"""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from bench.rows import Row, load_average, median, percentile, table
from tests.journeys.scenarios import CONTACT
from transformer.engines.wasm import new_engine
from transformer.model import Call, Limits, Script
from transformer.transform import Transformer

ROUNDS = 9
CALLS = 300
LARGE_CALLS = 5
SCRIPTS = 1_000
MEBIBYTE = 1024 * 1024
LIMITS = Limits(time_ms=20_000)
CONTACT_TEXT = json.dumps(CONTACT, separators=(",", ":")).encode()
CONTACT_SCRIPT = """function transform(input) {
  return {
    contact: {
      first_name: input.firstName,
      last_name: input.lastName,
      email_address: input.email,
      phone_number: input.phone || null,
      organization: input.company || null,
      job_title: input.title || null,
      custom_fields: { source: "integration_service" }
    }
  };
}"""
ROWS_SCRIPT = """function transform(input) {
  return input.map(row => ({
    id: row.id, name: `${row.first} ${row.last}`, total: row.prices.reduce((a, b) => a + b, 0),
    tags: row.tags.filter(tag => tag.length > 3), active: row.status === "active"
  }));
}"""
WHOLE = "; run = text => JSON.stringify(transform(JSON.parse(text)))"

Run = Callable[[], object]


def rows() -> list[Row]:
    """Measure everything."""
    return asyncio.run(_rows())


async def _rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as cache:
        engine = new_engine(Path(cache))
        transformer = Transformer(engine)
        try:
            return [
                *await _contact_rows(transformer),
                await _large_row(transformer, 100),
                await _large_row(transformer, 1_000),
                _compile_row(lambda script: engine.compile(script, LIMITS)),
                await _memory_row(transformer),
            ]
        finally:
            await transformer.close()


async def _contact_rows(transformer: Transformer) -> list[Row]:
    peers = {
        "warm mini-racer (V8)": (_mini_racer, 3.0),
        "fresh quickjs-rs": (_fresh_quickjs_rs, 20.0),
        "fresh native quickjs": (_fresh_quickjs, None),
        "warm native quickjs": (_warm_quickjs, None),
    }
    with ExitStack() as stack:
        started = {
            name: stack.enter_context(start(CONTACT_SCRIPT, CONTACT_TEXT))
            for name, (start, _) in peers.items()
        }
        ours, theirs = await _take_turns(
            _ours(transformer, CONTACT_SCRIPT, CONTACT_TEXT),
            {name: run for name, run in started.items() if run is not None},
            CALLS,
        )
    p50 = median([percentile(times, 0.5) for times in ours])
    best = min(percentile(times, 0.0) for times in ours)
    p99 = median([percentile(times, 0.99) for times in ours])
    found = [
        Row(
            "transform of a 170-byte contact in process, fresh sandbox: p50",
            f"{p50:.0f} µs (best {best:.0f}, p99 {p99:.0f})",
            "≤ 60 µs",
            p50 <= 60,
        )
    ]
    for name, (_, bar) in peers.items():
        found.append(_faster_row(name, ours, theirs.get(name), bar))
    return found


def _faster_row(
    name: str, ours: list[list[float]], theirs: list[list[float]] | None, bar: float | None
) -> Row:
    what = f"the same, as many times faster than {name}"
    shown = f"≥ {bar:g} x" if bar else ""
    if theirs is None:
        return Row(what, "not installed", shown)
    pairs = zip(ours, theirs, strict=True)
    ratio = median([percentile(peer, 0.5) / percentile(own, 0.5) for own, peer in pairs])
    spent = median([percentile(times, 0.5) for times in theirs])
    return Row(what, f"{ratio:.1f} x ({spent:.0f} µs)", shown, ratio >= bar if bar else None)


async def _large_row(transformer: Transformer, kilobytes: int) -> Row:
    text = _orders(kilobytes * 1_000)
    what = f"transform of {kilobytes} KB of JSON / warm native quickjs"
    with _warm_quickjs(ROWS_SCRIPT, text) as native:
        ours, theirs = await _take_turns(
            _ours(transformer, ROWS_SCRIPT, text),
            {} if native is None else {"native": native},
            LARGE_CALLS,
        )
    mine = median([percentile(times, 0.5) for times in ours]) / 1_000
    if not theirs:
        return Row(what, f"{mine:.1f} ms; quickjs not installed", "≤ 2.5 x")
    pairs = zip(ours, theirs["native"], strict=True)
    ratio = median([percentile(own, 0.5) / percentile(peer, 0.5) for own, peer in pairs])
    return Row(what, f"{ratio:.2f} x ({mine:.1f} ms)", "≤ 2.5 x", ratio <= 2.5)


def _compile_row(compile_script: Callable[[Script], object]) -> Row:
    times = []
    for number in range(300):
        script = Script(f"// {number}\n{CONTACT_SCRIPT}")
        times.append(_timed(lambda script=script: compile_script(script)))
    p50 = percentile(times, 0.5) / 1_000
    return Row("compile a script: p50", f"{p50:.2f} ms", "≤ 2 ms", p50 <= 2)


async def _memory_row(transformer: Transformer) -> Row:
    before = _resident_bytes()
    call = Call(CONTACT_TEXT, now_ms=0, seed=0)
    for _ in range(3):
        for number in range(SCRIPTS):
            await transformer.transform(Script(f"// {number}\n{CONTACT_SCRIPT}"), call, LIMITS)
    grown = (_resident_bytes() - before) / MEBIBYTE
    return Row(
        f"{SCRIPTS} scripts compiled and in use: resident memory",
        f"{grown:.0f} MB",
        "≤ 100 MB",
        grown <= 100,
    )


async def _take_turns(
    ours: Callable[[], Awaitable[object]], theirs: dict[str, Run], calls: int
) -> tuple[list[list[float]], dict[str, list[list[float]]]]:
    """The times of all rounds in µs; the first round warms up and is left out."""
    own: list[list[float]] = []
    others: dict[str, list[list[float]]] = {name: [] for name in theirs}
    for _ in range(ROUNDS + 1):
        own.append([await _timed_async(ours) for _ in range(calls)])
        for name, run in theirs.items():
            others[name].append([_timed(run) for _ in range(max(3, calls // 10))])
    return own[1:], {name: times[1:] for name, times in others.items()}


def _ours(transformer: Transformer, source: str, text: bytes) -> Callable[[], Awaitable[object]]:
    script, call = Script(source), Call(text, now_ms=0, seed=0)
    return lambda: transformer.transform(script, call, LIMITS)


def _timed(run: Run) -> float:
    started = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - started) / 1_000


async def _timed_async(run: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter_ns()
    await run()
    return (time.perf_counter_ns() - started) / 1_000


@contextmanager
def _mini_racer(source: str, text: bytes) -> Iterator[Run | None]:
    """V8, with the script loaded once and for all: nothing of a call is undone."""
    if find_spec("py_mini_racer") is None:
        yield None
        return
    context = import_module("py_mini_racer").MiniRacer()
    context.eval(f"var run; {source}{WHOLE}; 0")
    call = f"run({json.dumps(text.decode())})"
    yield lambda: context.eval(call)
    context.close()


@contextmanager
def _warm_quickjs(source: str, text: bytes) -> Iterator[Run | None]:
    """Native QuickJS without a sandbox, with the script loaded once and for all."""
    if find_spec("quickjs") is None:
        yield None
        return
    context = import_module("quickjs").Context()
    context.eval(f"var run; {source}{WHOLE}")
    run, argument = context.get("run"), text.decode()
    yield lambda: run(argument)


@contextmanager
def _fresh_quickjs(source: str, text: bytes) -> Iterator[Run | None]:
    """Native QuickJS without a sandbox, a new context per call."""
    if find_spec("quickjs") is None:
        yield None
        return
    new_context, argument = import_module("quickjs").Context, text.decode()

    def run() -> object:
        context = new_context()
        context.eval(f"var run; {source}{WHOLE}")
        return context.get("run")(argument)

    yield run


@contextmanager
def _fresh_quickjs_rs(source: str, text: bytes) -> Iterator[Run | None]:
    """QuickJS in wasmtime as the PyPI package does it, a new sandbox per call."""
    if find_spec("quickjs_rs") is None:
        yield None
        return
    runtime = import_module("quickjs_rs").Runtime
    code = f"var run; {source}{WHOLE}; run({json.dumps(text.decode())})"

    def run() -> object:
        with runtime() as fresh, fresh.new_context() as context:
            return context.eval(code)

    yield run


def _orders(size: int) -> bytes:
    """About so many bytes of orders."""
    order = {
        "id": 1,
        "first": "Jane",
        "last": "Smith",
        "prices": [10.5, 20, 3.25],
        "tags": ["new", "priority", "gift"],
        "status": "active",
        "note": "Ring twice, the bell is broken",
    }
    one = json.dumps(order).encode()
    return b"[" + b",".join([one] * (size // len(one))) + b"]"


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    print(table(rows()))
    print(f"\nload average {load_average()}")
