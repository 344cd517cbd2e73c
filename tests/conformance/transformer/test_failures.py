"""Every failure says what happened and where."""

import re

import pytest

from tests.conformance.transformer.scripts import SHORT, failure, result, run
from transformer.engines.wasm import WasmEngine
from transformer.errors import (
    AsyncUnsettled,
    InputNotJson,
    OutputNotJson,
    ScriptSyntaxInvalid,
    ScriptThrew,
    StackExceeded,
    TicksExceeded,
    TransformFunctionMissing,
)
from transformer.model import Call, Limits, Script


def test_syntax_error(engine: WasmEngine):
    """A syntax error has its line, its column and a code frame."""
    error = failure(engine, "function transform(input) {\n  const a = 1;\n  return a * * 2;\n}")
    assert isinstance(error, ScriptSyntaxInvalid)
    assert error.details["code"] == "SYNTAX_ERROR"
    assert error.details["phase"] == "compile"
    assert (error.details["line"], error.details["column"]) == (3, 14)
    assert error.details["codeFrame"] == (
        "  2 |   const a = 1;\n> 3 |   return a * * 2;\n    |              ^\n  4 | }"
    )


def test_syntax_error_of_a_module(engine: WasmEngine):
    """In a module the error reported is the module's, not that exports are unknown."""
    error = failure(engine, "export default function (input) {\n  return input +;\n}")
    assert (error.details["line"], error.details["column"]) == (2, 17)


def test_thrown_error(engine: WasmEngine):
    """A thrown error names its message, the place it was made at, and the script."""
    compiled = engine.compile(
        Script(
            "function transform(input) {\n  throw new Error('no ' + input);\n}",
            "crm/request.js",
        ),
        Limits(),
    )
    with pytest.raises(ScriptThrew) as caught:
        engine.run(compiled, Call(b'"email"', now_ms=0, seed=0), Limits())
    error = caught.value
    assert re.fullmatch(r"Error: no email \(crm/request\.js:2:\d+, in transform\)", error.message)
    assert error.details["phase"] == "run"
    assert error.details["line"] == 2
    assert "> 2 |   throw new Error('no ' + input);" in str(error.details["codeFrame"])
    assert str(error.details["stack"]).startswith("    at transform (crm/request.js:2:")


def test_property_of_null(engine: WasmEngine):
    """Reaching into null is a TypeError with its place."""
    error = failure(
        engine, "function transform(input) { return input.contact.name }", {"contact": None}
    )
    assert isinstance(error, ScriptThrew)
    assert "TypeError: cannot read property 'name' of null" in error.message
    assert error.details["line"] == 1


@pytest.mark.parametrize(
    ("thrown", "shown"),
    [
        ('"plain text"', "plain text"),
        ("{code: 5}", '{"code":5}'),
        ("null", "null"),
        ("undefined", "undefined"),
        ("Symbol('s')", "Symbol(s)"),
        ("Object.create(null)", "{}"),
        ("{toJSON() { throw 1 }}", "[unprintable object]"),
    ],
)
def test_throwing_something_else(engine: WasmEngine, thrown: str, shown: str):
    """What is thrown without being an Error is shown as far as it can be."""
    error = failure(engine, f"function transform() {{ throw {thrown} }}")
    assert isinstance(error, ScriptThrew)
    assert error.message == f"{shown} (transform.js, in transform)"


def test_hostile_errors(engine: WasmEngine):
    """An error whose own properties throw or loop still ends in an error."""
    getters = "Object.defineProperty(e, 'stack', {get() { for (;;); }})"
    source = f"function transform() {{ const e = new Error('x'); {getters}; throw e }}"
    assert isinstance(failure(engine, source, limits=SHORT), (ScriptThrew, TicksExceeded))
    message = "e.message = {toString() { throw 1 }}"
    source = f"function transform() {{ const e = new Error('x'); {message}; throw e }}"
    assert isinstance(failure(engine, source), ScriptThrew)


def test_long_messages_are_cut(engine: WasmEngine):
    """A message of a megabyte arrives cut to a readable size."""
    error = failure(engine, "function transform() { throw new Error('é'.repeat(1e6)) }")
    assert isinstance(error, ScriptThrew)
    assert 500 < len(error.message) < 3_000


def test_error_at_the_top_level(engine: WasmEngine):
    """An error outside transform is told apart by its phase."""
    error = failure(engine, "const config = undefined.x; function transform() {}")
    assert isinstance(error, ScriptThrew)
    assert error.details["phase"] == "load"


def test_rejected_module(engine: WasmEngine):
    """A module whose top level throws fails with that error."""
    error = failure(engine, "export default () => 1;\nthrow new Error('at load')")
    assert isinstance(error, ScriptThrew)
    assert (error.details["phase"], error.details["line"]) == ("load", 2)


@pytest.mark.parametrize(
    "source", ["", "const other = 1", "var transform = 5", "export const x = 1"]
)
def test_no_function(engine: WasmEngine, source: str):
    """A script without a transform says what to write."""
    error = failure(engine, source)
    assert isinstance(error, TransformFunctionMissing)
    assert "function transform(input, context)" in error.message


@pytest.mark.parametrize("text", [b"", b"{", b"{'a':1}", b"[1,]", b"1 2", b"nope", b"\xff", b"01"])
def test_input_that_is_not_json(engine: WasmEngine, text: bytes):
    """Input that is not JSON is refused before the script runs."""
    error = failure(engine, "function transform() { throw 1 }", text)
    assert isinstance(error, InputNotJson)
    assert error.message.startswith("the input is not JSON: ")
    assert error.details["phase"] == "parse"


def test_context_that_is_not_json(engine: WasmEngine):
    """A broken context is told apart from broken input."""
    with pytest.raises(InputNotJson, match="the context is not JSON"):
        run(engine, "function transform() { return 1 }", context=b"{")


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_input_nested_without_end(engine: WasmEngine, opening: bytes):
    """Input nested a hundred thousand levels deep is an error and not a crash."""
    error = failure(engine, "function transform() { return 1 }", opening * 100_000)
    assert isinstance(error, StackExceeded)
    assert error.message == "the input nests too deeply to read"


@pytest.mark.parametrize("kind", ["undefined", "function", "symbol"])
def test_results_that_are_no_value(engine: WasmEngine, kind: str):
    """A result without a JSON form is named, never turned into nothing."""
    expression = {"undefined": "undefined", "function": "() => 1", "symbol": "Symbol()"}[kind]
    error = failure(engine, f"function transform() {{ return {expression} }}")
    assert isinstance(error, OutputNotJson)
    assert f"returned {kind}" in error.message


@pytest.mark.parametrize(
    ("expression", "path", "hint"),
    [
        ("new Map()", "$", "Object.fromEntries"),
        ("{a: {b: [1, new Set([1])]}}", "$.a.b[1]", "[...set]"),
        ("{'odd key': 5n}", '$["odd key"]', "Number(value)"),
        ("[Promise.resolve(1)]", "$[0]", "await it"),
        ("new WeakMap()", "$", "WeakMap"),
    ],
)
def test_values_inside_that_have_no_json(engine: WasmEngine, expression: str, path: str, hint: str):
    """A Map, Set, BigInt or Promise anywhere in the result is named with its path."""
    error = failure(engine, f"function transform() {{ return {expression} }}")
    assert isinstance(error, OutputNotJson)
    assert error.details["path"] == path
    assert error.details["phase"] == "serialize"
    assert hint in error.message


def test_own_tojson_is_respected(engine: WasmEngine):
    """A script may give Map a JSON form, and JSON.stringify of its own works as ever."""
    source = """Map.prototype.toJSON = function () { return [...this] };
        function transform() { return [new Map([[1, 2]]), JSON.stringify(new Set([1]))] }"""
    assert result(engine, source) == [[[1, 2]], "{}"]


def test_circular_result(engine: WasmEngine):
    """A result that contains itself is not JSON."""
    error = failure(engine, "function transform() { const a = {}; a.a = a; return a }")
    assert isinstance(error, OutputNotJson)
    assert "circular" in error.message


@pytest.mark.parametrize(
    "source",
    [
        "function transform() { return new Promise(() => {}) }",
        "async function transform() { await new Promise(() => {}); return 1 }",
        "await new Promise(() => {}); export default () => 1",
    ],
)
def test_promise_that_never_settles(engine: WasmEngine, source: str):
    """Waiting for what cannot happen is an error at once."""
    error = failure(engine, source)
    assert isinstance(error, AsyncUnsettled)
    assert "never settles" in error.message


def test_rejected_promise(engine: WasmEngine):
    """An async transform that throws fails with what it threw, and where."""
    error = failure(engine, "async function transform() {\n  await null;\n  null.x\n}")
    assert isinstance(error, ScriptThrew)
    assert error.details["line"] == 3
