"""Scripts as authors write them."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.transformer.scripts import (
    CONTACT,
    REQUEST_TRANSFORM,
    RESPONSE_TRANSFORM,
    result,
    run,
)
from transformer.engines.wasm import WasmEngine
from transformer.model import Limits, Script


def test_request_transform_of_the_specification(engine: WasmEngine):
    """The CRM example's request transform, unchanged, gives the CRM's form of a contact."""
    assert result(engine, REQUEST_TRANSFORM, CONTACT) == {
        "contact": {
            "first_name": "Jane",
            "last_name": "Smith",
            "email_address": "jane.smith@example.com",
            "phone_number": "+1-555-123-4567",
            "organization": "Acme Inc.",
            "job_title": "Product Manager",
            "custom_fields": {"source": "integration_service"},
        }
    }


def test_response_transform_of_the_specification(engine: WasmEngine):
    """The CRM example's response transform, unchanged, gives the standard form."""
    created = {
        "contact_id": "cont_12345",
        "contact": {
            "first_name": "Jane",
            "last_name": "Smith",
            "email_address": "jane.smith@example.com",
        },
        "created_at": "2023-09-15T10:30:00Z",
    }
    assert result(engine, RESPONSE_TRANSFORM, created) == {
        "id": "cont_12345",
        "fullName": "Jane Smith",
        "email": "jane.smith@example.com",
        "createdAt": "2023-09-15T10:30:00Z",
    }


@pytest.mark.parametrize(
    ("source", "export"),
    [
        ("function transform(input) { return input * 2 }", "transform"),
        ("const transform = (input) => input * 2", "transform"),
        ("let transform = function (input) { return input * 2 }", "transform"),
        ("async function transform(input) { await null; return input * 2 }", "transform"),
        ("export default function (input) { return input * 2 }", "export default"),
        ("export default (input) => input * 2", "export default"),
        ("export function transform(input) { return input * 2 }", "export transform"),
        ("export const transform = async (input) => input * 2", "export transform"),
        ("const k = await 2; export default (input) => input * k", "export default"),
    ],
)
def test_every_accepted_form(engine: WasmEngine, source: str, export: str):
    """A function, a const, an arrow, an export, async or not: each is found and called."""
    assert result(engine, source, 21) == 42
    compiled = engine.compile(Script(source), Limits())
    assert engine.inspect(compiled, Limits()) == export


def test_context_is_the_second_argument(engine: WasmEngine):
    """The context arrives as transform's second argument."""
    source = "function transform(input, context) { return [input.a, context.config.b] }"
    assert result(engine, source, {"a": 1}, context=b'{"config":{"b":2}}') == [1, 2]


def test_text_survives(engine: WasmEngine):
    """Characters outside ASCII, outside the BMP, and NULs come back as they went in."""
    text = 'Zoë 漢字 😀 \u0000 " \\ \u2028'
    assert result(engine, "function transform(input) { return input }", text) == text


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_any_json_passes_through(engine: WasmEngine, value: object):
    """The identity transform returns any JSON value unchanged."""
    assert result(engine, "function transform(input) { return input }", value) == value


def test_large_input_and_output(engine: WasmEngine):
    """A megabyte goes through, and the next call of the script as well."""
    rows = [
        {"id": number, "name": f"name {number}", "tags": ["a", "b"]} for number in range(20_000)
    ]
    source = "function transform(input) { return input.map(row => ({...row, x: row.id + 1})) }"
    for _ in range(2):
        rewritten = result(engine, source, rows)
        assert isinstance(rewritten, list)
        assert rewritten[-1] == {**rows[-1], "x": 20_000}


def test_stats_say_what_was_used(engine: WasmEngine):
    """Time, ticks, memory and output size are reported."""
    source = """function transform() {
        const kept = [];
        for (let i = 0; i < 100000; i++) kept.push({ i });
        return kept.length }"""
    stats = run(engine, source).stats
    assert stats.time_us > 0
    assert 100_000 <= stats.ticks <= 500_000
    assert 1_000_000 < stats.memory_bytes < 20_000_000
    assert stats.output_bytes == 6
