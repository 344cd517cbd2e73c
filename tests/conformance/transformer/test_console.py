"""What a script writes is kept for the caller."""

import pytest

from tests.conformance.transformer.scripts import SHORT, failure, run
from transformer.engines.wasm import WasmEngine
from transformer.model import Limits


def test_lines_with_levels(engine: WasmEngine):
    """Each console method makes a line of its level, values shown in full."""
    source = """console.debug("at the top");
        function transform(input) {
          console.log("a", 1, {b: [true, null]}, undefined, 10n);
          console.warn(new Map([[1, "x"]]), new Set([2]));
          console.error(new TypeError("bad"));
          return 0 }"""
    for _ in range(3):
        lines = run(engine, source).console
        assert [line.level for line in lines] == ["debug", "info", "warn", "error"]
        assert lines[1].text == 'a 1 {"b":[true,null]} undefined 10n'
        assert lines[2].text == '{"Map":[[1,"x"]]} {"Set":[2]}'
        assert lines[3].text.startswith("TypeError: bad\n    at transform (transform.js:5:")


def test_console_is_bounded(engine: WasmEngine):
    """Beyond the limit lines are dropped, and the last line says so."""
    source = """function transform() {
        for (let i = 0; i < 200; i++) console.log("x".repeat(90));
        return 0 }"""
    lines = run(engine, source, limits=Limits(time_ms=5_000, console_bytes=1_000)).console
    assert len(lines) == 11
    assert "dropped" in lines[-1].text
    assert sum(len(line.text) for line in lines[:-1]) <= 1_000


@pytest.mark.parametrize("hostile", ["{toJSON() { throw 1 }}", "{get a() { throw 1 }}", "cyclic"])
def test_values_that_cannot_be_shown(engine: WasmEngine, hostile: str):
    """A value that throws when shown does not make the script fail."""
    source = f"""const cyclic = {{}}; cyclic.me = cyclic;
        function transform() {{ console.log({hostile}); return 1 }}"""
    assert run(engine, source).console[0].text == "[unprintable object]"


def test_errors_carry_the_console(engine: WasmEngine):
    """What was written before a failure comes with the error, after a trap too."""
    thrown = failure(engine, 'function transform() { console.warn("before"); throw 1 }')
    assert thrown.details["console"] == [{"level": "warn", "text": "before"}]
    source = 'function transform() { console.log("before"); return new Array(2 ** 28).join("ab") }'
    stopped = failure(engine, source, limits=SHORT)
    assert stopped.details["console"] == [{"level": "info", "text": "before"}]
