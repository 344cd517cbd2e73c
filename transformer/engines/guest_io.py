"""How bytes enter the guest and leave it: the mailbox of guest.c, seen from the host."""

import struct
from enum import IntEnum
from typing import NamedTuple

from transformer.engines.sandbox import GuestIncoherent, Sandbox
from transformer.model import ConsoleLevel, ConsoleLine, Limits

TICKS_PER_POLL = 10_000
UINT32_MAX = 0xFFFF_FFFF
UINT64_MAX = 0xFFFF_FFFF_FFFF_FFFF

_REPLY = struct.Struct("<9I")
_REQUEST = struct.Struct("<8IdQ")
_REQUEST_OFFSET = 40
_INBOX_OFFSET = _REQUEST_OFFSET + _REQUEST.size
_INBOX_BYTES = 8192
_LEVELS: dict[int, ConsoleLevel] = {1: "debug", 2: "info", 3: "warn", 4: "error"}
_CONSOLE_TRUNCATED = 1
_CLOCK_OR_RANDOM_READ = 2


class Status(IntEnum):
    """What an export of the guest returns (`enum Status` in guest.c)."""

    OK = 0
    SYNTAX_ERROR = 1
    NO_TRANSFORM_FUNCTION = 2
    THROWN = 3
    INPUT_NOT_JSON = 4
    OUTPUT_TOO_LARGE = 5
    OUTPUT_NOT_JSON = 6
    TICKS_EXCEEDED = 7
    MEMORY_EXCEEDED = 8
    STACK_EXCEEDED = 9
    ASYNC_UNSETTLED = 10
    ENGINE_ERROR = 11


PHASES = ("parse", "compile", "load", "run", "serialize")
ENTRIES = ("", "transform", "export transform", "export default")


class Request(NamedTuple):
    """One message to the guest: bytecode, source or input, and beside an input its context."""

    limits: Limits
    first: bytes
    second: bytes = b""
    now_ms: int = 0
    seed: int = 0
    kind: int = 0  # what a source is compiled as: 0 a script, 1 a module


class Reply(NamedTuple):
    """The fixed part of the guest's answer: places and counts (`mailbox.reply` in guest.c)."""

    phase: int
    entry: int
    flags: int
    output: int
    output_bytes: int
    console: int
    console_bytes: int
    polls: int
    memory_peak: int

    @property
    def repeatable(self) -> bool:
        """Whether the script read neither clock nor random numbers so far."""
        return not self.flags & _CLOCK_OR_RANDOM_READ

    @property
    def ticks(self) -> int:
        """The steps used so far, to the nearest poll."""
        return self.polls * TICKS_PER_POLL


def send(sandbox: Sandbox, mailbox: int, request: Request) -> None:
    """Put a request into the mailbox, or beside it when it is too large for the inbox."""
    limits, first, second, now_ms, seed, _ = request
    content = b"%b\0%b\0" % (first, second)
    place = mailbox + _INBOX_OFFSET
    if len(content) > _INBOX_BYTES:
        place = sandbox.call("reserve", len(content))
        sandbox.write(place, content)
        content = b""
    header = _REQUEST.pack(
        place,
        len(first),
        place + len(first) + 1,
        len(second),
        -(-limits.ticks // TICKS_PER_POLL),
        min(limits.memory_bytes, UINT32_MAX),
        min(limits.output_bytes, UINT32_MAX),
        limits.console_bytes,
        now_ms,
        seed & UINT64_MAX,
    )
    sandbox.write(mailbox + _REQUEST_OFFSET, header + content)


def receive(sandbox: Sandbox, mailbox: int) -> Reply:
    """The fixed part of the answer. Raises `GuestIncoherent`."""
    reply = Reply._make(_REPLY.unpack(sandbox.read(mailbox, _REPLY.size)))
    if reply.phase >= len(PHASES) or reply.entry >= len(ENTRIES):
        raise GuestIncoherent(f"phase {reply.phase}, entry {reply.entry}")
    return reply


class Answer(NamedTuple):
    """All of a good answer."""

    reply: Reply
    output: bytes
    console: tuple[ConsoleLine, ...]


def output(sandbox: Sandbox, reply: Reply) -> bytes:
    """The answer's variable part."""
    return sandbox.read(reply.output, reply.output_bytes)


def console(sandbox: Sandbox, reply: Reply) -> tuple[ConsoleLine, ...]:
    """What the script wrote, oldest first."""
    if not reply.console_bytes and not reply.flags & _CONSOLE_TRUNCATED:
        return ()
    records = sandbox.read(reply.console, reply.console_bytes).split(b"\0")[:-1]
    lines = [
        ConsoleLine(_LEVELS.get(record[0], "info"), record[1:].decode("utf-8", "replace"))
        for record in records
        if record
    ]
    if reply.flags & _CONSOLE_TRUNCATED:
        lines.append(ConsoleLine("warn", "console output beyond its limit was dropped"))
    return tuple(lines)


def last_words(sandbox: Sandbox, mailbox: int) -> tuple[int, tuple[ConsoleLine, ...]]:
    """Phase and console of a run that was stopped, as far as its memory still makes sense."""
    try:
        reply = receive(sandbox, mailbox)
        return reply.phase, console(sandbox, reply)
    except GuestIncoherent:
        return PHASES.index("run"), ()


class Failure(NamedTuple):
    """How the guest describes what went wrong; texts it has nothing for are empty."""

    status: int
    reply: Reply
    console: tuple[ConsoleLine, ...]
    name: str
    message: str
    stack: str
    path: str


def failure(sandbox: Sandbox, reply: Reply, status: int) -> Failure:
    """The answer of an export that returned something other than OK."""
    texts = output(sandbox, reply).decode("utf-8", "replace").split("\0")
    name, message, stack, path = (*texts, "", "", "", "")[:4]
    return Failure(status, reply, console(sandbox, reply), name, message, stack, path)
