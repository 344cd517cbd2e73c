"""What goes into a transform and what comes out of it.

What is made anew for every call is a `msgspec.Struct`, whose constructor is C.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

ConsoleLevel = Literal["debug", "info", "warn", "error"]

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Script:
    """An author's source. `digest` is the SHA-256 of the source in hexadecimal."""

    source: str
    name: str = "transform.js"
    digest: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        encoded = self.source.encode("utf-8", "surrogatepass")
        object.__setattr__(self, "digest", hashlib.sha256(encoded).hexdigest())


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call may use.

    `ticks` counts the engine's backward jumps and calls in steps of 10,000: the same script and
    input use the same number everywhere, so this is the limit that usually decides. `time_ms` is
    how long the script may run, without the time its process waits for a processor and without
    reading the input: it catches what does not tick. `memory_bytes` is what the script may
    allocate beside its parsed input. The rest are sizes in bytes.
    """

    time_ms: int = 500
    ticks: int = 20_000_000
    memory_bytes: int = 32 * MEBIBYTE
    input_bytes: int = 5 * MEBIBYTE
    output_bytes: int = 5 * MEBIBYTE
    source_bytes: int = 256 * 1024
    console_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments of one call: UTF-8 JSON texts, the clock in ms since 1970, a random seed."""

    input: bytes
    context: bytes = b"{}"
    now_ms: int = field(kw_only=True)
    seed: int = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """One line the script wrote with console.*."""

    level: ConsoleLevel
    text: str


class Stats(Struct, frozen=True):
    """What a call used: wall time in µs, ticks, peak script memory and output in bytes."""

    time_us: int
    ticks: int
    memory_bytes: int
    output_bytes: int
    path: Literal["inline", "worker"]


class Outcome(Struct, frozen=True):
    """A finished call: the result as a UTF-8 JSON text."""

    output: bytes
    console: tuple[ConsoleLine, ...]
    stats: Stats


@dataclass(frozen=True, slots=True)
class Compiled:
    """A script in the engine's own form, good for the engine that made it and no other."""

    script: Script
    bytecode: bytes


@dataclass(frozen=True, slots=True)
class Problem:
    """Something an author has to put right."""

    code: str
    message: str
    line: int | None = None
    column: int | None = None
    code_frame: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """The verdict on a script. `export` names the function that would be called."""

    ok: bool
    problems: tuple[Problem, ...]
    bytecode_bytes: int
    export: str | None
