"""Rewrites a WebAssembly module so that it starts from a memory image.

The result is the same code with the image as its data, so that wasmtime starts an instance by
mapping the image copy-on-write instead of running the initialisation again. Format: WebAssembly
Core Specification 2.0, chapter 5 (binary format).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

MAGIC = b"\0asm\1\0\0\0"
PAGE_BYTES = 65_536
MEMORY, EXPORT, START, DATA, DATA_COUNT, CUSTOM = 5, 7, 8, 11, 12, 0
I32_CONST, END = 0x41, 0x0B
LEB_BITS, LEB_MORE, LEB_SIGN = 0x7F, 0x80, 0x40
# A shorter run of zeros costs less inside a segment than a new segment does.
ZERO_RUN = bytes(64)


class ModuleUnsupported(ValueError):
    """The module has a shape this rewriting does not know."""


@dataclass(slots=True)
class _Reader:
    data: bytes
    position: int = 0

    def byte(self) -> int:
        self.position += 1
        return self.data[self.position - 1]

    def unsigned(self) -> int:
        value = shift = 0
        while (byte := self.byte()) & LEB_MORE:
            value |= (byte & LEB_BITS) << shift
            shift += 7
        return value | byte << shift

    def take(self, count: int) -> bytes:
        self.position += count
        return self.data[self.position - count : self.position]


def unsigned_leb(value: int) -> bytes:
    """LEB128 of an unsigned integer."""
    out = bytearray()
    while value > LEB_BITS:
        out.append(value & LEB_BITS | LEB_MORE)
        value >>= 7
    out.append(value)
    return bytes(out)


def signed_leb(value: int) -> bytes:
    """LEB128 of a signed integer."""
    out = bytearray()
    while not -LEB_SIGN <= value < LEB_SIGN:
        out.append(value & LEB_BITS | LEB_MORE)
        value >>= 7
    out.append(value & LEB_BITS)
    return bytes(out)


def sections(module: bytes) -> Iterator[tuple[int, bytes]]:
    """The (id, content) pairs of a module, in order."""
    if module[:8] != MAGIC:
        raise ModuleUnsupported("not a WebAssembly 1.0 module")
    reader = _Reader(module, 8)
    while reader.position < len(module):
        kind = reader.byte()
        yield kind, reader.take(reader.unsigned())


def with_image(module: bytes, image: bytes, *, drop_exports: frozenset[str]) -> bytes:
    """The module, starting with `image` as its memory and without the named exports.

    The caller vouches that every global holds the value the module gives it at its start.
    Raises `ModuleUnsupported`.
    """
    rewritten: dict[int, Callable[[bytes], bytes]] = {
        MEMORY: lambda content: _memory_of(content, len(image) // PAGE_BYTES),
        EXPORT: lambda content: _exports_without(content, drop_exports),
        DATA: lambda content: _segments_of(content, image),
    }
    out = bytearray(MAGIC)
    for kind, content in sections(module):
        if kind in (CUSTOM, START, DATA_COUNT):
            continue
        body = rewritten[kind](content) if kind in rewritten else content
        out += bytes([kind]) + unsigned_leb(len(body)) + body
    return bytes(out)


def _memory_of(content: bytes, pages: int) -> bytes:
    reader = _Reader(content)
    if reader.unsigned() != 1 or reader.byte() != 0:
        raise ModuleUnsupported("expected one memory without a maximum")
    return b"\1\0" + unsigned_leb(pages)


def _exports_without(content: bytes, dropped: frozenset[str]) -> bytes:
    reader = _Reader(content)
    kept = []
    for _ in range(reader.unsigned()):
        name = reader.take(reader.unsigned())
        entry = (
            unsigned_leb(len(name))
            + name
            + bytes([reader.byte()])
            + unsigned_leb(reader.unsigned())
        )
        if name.decode() not in dropped:
            kept.append(entry)
    return unsigned_leb(len(kept)) + b"".join(kept)


def _segments_of(content: bytes, image: bytes) -> bytes:
    reader = _Reader(content)
    if reader.unsigned() and reader.byte() != 0:
        raise ModuleUnsupported("expected active data segments only")
    segments = [
        bytes([0, I32_CONST]) + signed_leb(offset) + bytes([END]) + unsigned_leb(len(run)) + run
        for offset, run in nonzero_runs(image)
    ]
    return unsigned_leb(len(segments)) + b"".join(segments)


def nonzero_runs(image: bytes) -> Iterator[tuple[int, bytes]]:
    """The parts of an image that are not zero, as (offset, bytes)."""
    position = 0
    while position < len(image):
        rest = image[position : position + PAGE_BYTES]
        skipped = len(rest) - len(rest.lstrip(b"\0"))
        position += skipped
        if skipped == len(rest):
            continue
        end = image.find(ZERO_RUN, position)
        end = len(image) if end < 0 else end
        yield position, image[position:end]
        position = end
