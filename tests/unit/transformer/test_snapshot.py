"""Rewriting a module to start from an image."""

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st

from transformer.engines.snapshot import (
    PAGE_BYTES,
    ModuleUnsupported,
    nonzero_runs,
    sections,
    signed_leb,
    unsigned_leb,
    with_image,
)

MODULE = """(module
  (memory (export "memory") 1)
  (global $calls (mut i32) (i32.const 0))
  (data (i32.const 16) "original")
  (func (export "setup"))
  (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0)))
)"""


def started(wasm: bytes) -> tuple[dict[str, object], bytes]:
    """The exports of a new instance, and its memory."""
    store = wasmtime.Store()
    instance = wasmtime.Instance(store, wasmtime.Module(store.engine, wasm), [])
    exports = instance.exports(store)
    memory = exports["memory"]
    assert isinstance(memory, wasmtime.Memory)
    return dict(exports), bytes(memory.read(store))


def test_starts_from_the_image():
    """The rewritten module starts with the image as its memory, page for page."""
    image = bytearray(3 * PAGE_BYTES)
    image[16:24] = b"replaced"
    image[2 * PAGE_BYTES + 7] = 9
    image[-1] = 255
    rewritten = with_image(
        bytes(wasmtime.wat2wasm(MODULE)), bytes(image), drop_exports=frozenset({"setup"})
    )
    exports, memory = started(rewritten)
    assert memory == image
    assert set(exports) == {"memory", "at"}


@given(st.lists(st.tuples(st.integers(0, 2 * PAGE_BYTES - 1), st.binary(max_size=80)), max_size=8))
def test_runs_are_the_image(writes: list[tuple[int, bytes]]):
    """The runs put onto zeros give the image back, none is empty, none overlap."""
    image = bytearray(2 * PAGE_BYTES)
    for place, content in writes:
        image[place : place + len(content)] = content[: len(image) - place]
    again, end = bytearray(len(image)), -1
    for place, content in nonzero_runs(bytes(image)):
        assert content
        assert place > end
        again[place : place + len(content)] = content
        end = place + len(content)
    assert again == image


@given(st.integers(0, 2**32 - 1))
def test_unsigned_leb(value: int):
    """LEB128 of an unsigned integer has its bits in groups of seven, the last without a flag."""
    encoded = unsigned_leb(value)
    assert sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(encoded)) == value
    assert [byte >= 0x80 for byte in encoded] == [True] * (len(encoded) - 1) + [False]


@given(st.integers(-(2**31), 2**31 - 1))
def test_signed_leb(value: int):
    """LEB128 of a signed integer extends the sign from the last group."""
    encoded = signed_leb(value)
    bits = 7 * len(encoded)
    raw = sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(encoded))
    assert (raw - (1 << bits) if raw >> (bits - 1) else raw) == value


def test_other_files_are_refused():
    """What is no WebAssembly module is refused."""
    with pytest.raises(ModuleUnsupported):
        list(sections(b"\x7fELF and so on"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("(module (memory 1 2) (data (i32.const 0) ))", "memory"),
        ('(module (memory 1) (data "passive"))', "active"),
    ],
)
def test_unknown_shapes_are_refused(text: str, why: str):
    """A module this rewriting would get wrong is refused."""
    with pytest.raises(ModuleUnsupported, match=why):
        with_image(bytes(wasmtime.wat2wasm(text)), bytes(PAGE_BYTES), drop_exports=frozenset())
