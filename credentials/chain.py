"""A chain of entries: each carries the hash of the one before, so none can be changed unseen.

An entry is one line of JSON with the members `n` (from 1, without a gap), `at` (RFC 3339),
`process`, `action`, `tenant`, `instanceId`, `actor`, `outcome`, `details`, and then `prev` and
`hash`. `hash` is the SHA-256, in hexadecimal, of `prev` followed by the entry without these two:
compact JSON in UTF-8 with the members of all objects in order. `prev` is the `hash` of the entry
before, zeros for the first. A chain goes on over any number of files: `<slot>.<number>.jsonl`, with
`<slot>.head` beside them, which says how far the chain had got, so that a missing end is found too.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from credentials.errors import AuditBroken
from credentials.model import AuditEntry


class Head(NamedTuple):
    """How far a chain goes: the number and hash of its last entry."""

    n: int
    hash: str


class Mark(NamedTuple):
    """What a head file says: the last entry, the number of its file, and where it is in there.

    `start` and `end` count bytes.
    """

    head: Head
    file: int = 1
    start: int = 0
    end: int = 0


class Stamp(msgspec.Struct):
    """What of an entry its reader has to know: its number and its time."""

    n: int
    at: str


NO_ENTRY: Final = "is no entry of an audit log"
GENESIS: Final = Head(0, "0" * 64)

_FILE: Final = re.compile(r"slot-(\d{2,})\.(?:(\d{6,})\.jsonl|head)")
_MARK: Final = re.compile(rb"(\d{20}) ([0-9a-f]{64}) (\d{6,}) (\d{20}) (\d{20})\n")
_TAIL: Final = re.compile(rb',"prev":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"}\n')
_TAIL_LENGTH: Final = len(',"prev":"","hash":""}\n') + 2 * 64
_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_STAMP: Final = msgspec.json.Decoder(Stamp)


def link(after: Head, at: datetime, process: str, entry: AuditEntry) -> tuple[bytes, Head]:
    """Answer the line of the next entry, and the head it makes.

    Raises `TypeError`, `ValueError` or `OverflowError` when a detail is no JSON value.
    """
    number = after.n + 1
    body = _ENCODER.encode(
        {
            "n": number,
            "at": at,
            "process": process,
            "action": entry.action,
            "tenant": entry.tenant,
            "instanceId": entry.instance_id,
            "actor": entry.actor,
            "outcome": entry.outcome,
            "details": entry.details,
        }
    )
    digest = _digest(after.hash, body)
    tail = f',"prev":"{after.hash}","hash":"{digest}"}}\n'
    return body[:-1] + tail.encode(), Head(number, digest)


def verify(lines: Iterable[bytes], path: str = "", after: Head = GENESIS) -> Iterator[Head]:
    """Answer the head after each line (newline included).

    Raises `AuditBroken` at the first that is not what was written there.
    """
    for place, line in enumerate(lines, 1):
        found = _TAIL.fullmatch(line[-_TAIL_LENGTH:])
        if found is None:
            raise broken(NO_ENTRY, path, place)
        previous, digest = found[1].decode(), found[2].decode()
        body = line[:-_TAIL_LENGTH] + b"}"
        if _digest(previous, body) != digest:
            raise broken("was changed", path, place)
        number = stamp(line, path, place).n
        if number != after.n + 1:
            raise broken(f"has entry {number} where entry {after.n + 1} should be", path, place)
        if previous != after.hash:
            raise broken("does not follow the entry before it", path, place)
        after = Head(number, digest)
        yield after


def origin(line: bytes, path: str, place: int = 1) -> Head:
    """Answer what a line says was the head before it, unproven; raises `AuditBroken`."""
    found = _TAIL.fullmatch(line[-_TAIL_LENGTH:])
    if found is None:
        raise broken(NO_ENTRY, path, place)
    return Head(stamp(line, path, place).n - 1, found[1].decode())


def stamp(line: bytes, path: str, place: int) -> Stamp:
    """Read number and time of an entry; raises `AuditBroken`."""
    try:
        return _STAMP.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise broken(NO_ENTRY, path, place) from error


def broken(what: str, path: str, line: int) -> AuditBroken:
    """Make the error that tells where a log is not what was written."""
    return AuditBroken(
        f"The audit log is not what was written: line {line} of {path} {what}", path=path, line=line
    )


def slot_name(slot: int) -> str:
    """Name a chain: `slot-00`."""
    return f"slot-{slot:02}"


def file_name(slot: int, number: int) -> str:
    """Name the file of a chain, counted from 1."""
    return f"{slot_name(slot)}.{number:06}.jsonl"


def head_name(slot: int) -> str:
    """Name the head file of a chain."""
    return f"{slot_name(slot)}.head"


def file_of(name: str) -> tuple[int, int] | None:
    """Answer slot and number of a file by its name, 0 for a head file; None for any other."""
    found = _FILE.fullmatch(name)
    return None if found is None else (int(found[1]), int(found[2] or 0))


def encode_mark(mark: Mark) -> bytes:
    """Write a head file's line, always equally long."""
    (number, digest), file, start, end = mark
    return f"{number:020} {digest} {file:06} {start:020} {end:020}\n".encode()


def decode_mark(text: bytes, path: str) -> Mark:
    """Read a head file; raises `AuditBroken`."""
    found = _MARK.fullmatch(text)
    if found is None:
        raise broken("is no head", path, 1)
    number, file, start, end = (int(found[group]) for group in (1, 3, 4, 5))
    return Mark(Head(number, found[2].decode()), file, start, end)


def _digest(previous: str, body: bytes) -> str:
    return sha256(previous.encode() + body).hexdigest()
