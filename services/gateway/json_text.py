"""JSON as text: is it valid, how deep is it, what are its members.

Values stay the bytes they were written as; msgspec finds where each one ends. Sizes, offsets and
columns are in bytes.
"""

import re
from array import array
from collections.abc import Mapping
from itertools import accumulate
from typing import NoReturn

import msgspec

from services.gateway.errors import FieldsInvalid, MalformedJson, Problem

MAX_DEPTH = 128
_value = msgspec.json.Decoder(msgspec.Raw)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])
_string = msgspec.json.Decoder(str)
_OFFSET = re.compile(r"\(byte (\d+)\)")
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_KEY = re.compile(rb'\s*[{,]\s*"([^"\\]*(?:\\.[^"\\]*)*)"\s*:\s*', re.DOTALL)
_END = re.compile(rb"\s*\{?\s*\}\s*")
_NO_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))
_STEPS = bytes.maketrans(b"[]{}", b"\x01\xff\x01\xff")
_KINDS = {b'"': "a string", b"{": "an object", b"[": "an array", b"t": "true", b"f": "false"}


def check(text: bytes) -> None:
    """Pass exactly one JSON value (RFC 8259) in UTF-8, at most `MAX_DEPTH` deep.

    Raises `MalformedJson` with the offset, line and column of what is wrong.
    """
    if not text.isascii():
        _check_utf8(text)
    try:
        _value.decode(text)
    except msgspec.DecodeError as error:
        _refuse(text, error)
    except RecursionError:
        raise _too_deep() from None
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH and depth(text) > MAX_DEPTH:
        raise _too_deep()


def depth(text: bytes) -> int:
    """How deep arrays and objects are nested in a valid JSON text.

    Works by deleting: first what is escaped, then all but quotes and brackets, then strings. Each
    step runs at the speed of memory, where a loop over 16 MiB would hold up everybody else.
    """
    if b"\\" in text:
        text = text.replace(rb"\\", b"").replace(rb"\"", b"")
    # Two quotes side by side cancel out, be they of one string or of two.
    skeleton = text.translate(None, _NO_STRUCTURE).replace(b'""', b"")
    outside = b"".join(skeleton.split(b'"')[::2])
    return max(accumulate(array("b", outside.translate(_STEPS))), default=0)


def members(text: bytes, path: str) -> dict[str, msgspec.Raw]:
    """Raw values of a valid JSON object by their names, in order.

    Of a name that is there twice it has the last value; `require_unique` finds out. `path` is the
    object's JSON Pointer, for messages. Raises `FieldsInvalid` when the value is not an object.
    """
    try:
        return _members.decode(text)
    except msgspec.ValidationError:
        raise FieldsInvalid([Problem(path, f"must be an object, not {kind(text)}")]) from None


def require_unique(text: bytes, values: Mapping[str, msgspec.Raw], path: str) -> None:
    """Raise `FieldsInvalid` when a name is there twice in an object that has these members."""
    if b"\\" in text:
        return _follow(text, dict(values), path)
    # Where nothing is escaped, a name that is there once in quotes is there once as a name.
    for name in values:
        if text.count(b'"%b"' % name.encode()) > 1:
            return _follow(text, dict(values), path)
    return None


def items(text: bytes, path: str) -> list[bytes]:
    """Raw items of a valid JSON array; raises `FieldsInvalid` when it is none."""
    try:
        return [bytes(item) for item in _items.decode(text)]
    except msgspec.ValidationError:
        raise FieldsInvalid([Problem(path, f"must be an array, not {kind(text)}")]) from None


def string(text: bytes) -> str:
    """Decode a valid JSON string; raises `ValueError` when it is something else."""
    try:
        return _string.decode(text)
    except msgspec.ValidationError:
        raise ValueError(f"must be a string, not {kind(text)}") from None


def kind(text: bytes) -> str:
    """Say what a raw JSON value is, for people."""
    start = text.lstrip()[:1]
    return _KINDS.get(start) or ("null" if start == b"n" else "a number")


def _follow(text: bytes, values: dict[str, msgspec.Raw], path: str) -> None:
    # Following the text with the values that msgspec answers stays in step up to the end exactly
    # when no name is there twice.
    position, name = 0, ""
    for _ in range(len(values)):
        key = _KEY.match(text, position)
        if key is None:
            raise _twice(path, name)
        name = _name(key[1])
        value = bytes(values.pop(name, b""))
        position = key.end() + len(value)
        if not value or not text.startswith(value, key.end()):
            raise _twice(path, name)
    if not _END.fullmatch(text, position):
        key = _KEY.match(text, position)
        raise _twice(path, _name(key[1]) if key else name)


def _name(text: bytes) -> str:
    return _string.decode(b'"%b"' % text) if b"\\" in text else text.decode()


def _twice(path: str, name: str) -> FieldsInvalid:
    return FieldsInvalid([Problem(f"{path}/{name}", "is there twice")])


def _check_utf8(text: bytes) -> None:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise _malformed(text, error.start, "not UTF-8") from None


def _refuse(text: bytes, error: msgspec.DecodeError) -> NoReturn:
    place = _OFFSET.search(str(error))
    if place:
        why = str(error)[: place.start()].removeprefix("JSON is malformed: ").strip()
        raise _malformed(text, int(place[1]), why) from None
    half = _HALF_PAIR.search(text)
    if half:
        raise _malformed(text, half.start(), "half of a surrogate pair") from None
    raise _malformed(text, len(text), "it ends too early") from None


def _malformed(text: bytes, offset: int, why: str) -> MalformedJson:
    line = text.count(b"\n", 0, offset) + 1
    column = offset - text.rfind(b"\n", 0, offset)
    return MalformedJson(
        f"The body is not valid JSON at line {line}, column {column} (byte {offset}): {why}",
        offset=offset,
        line=line,
        column=column,
    )


def _too_deep() -> MalformedJson:
    return MalformedJson(
        f"The body's arrays and objects are nested more than {MAX_DEPTH} deep", maxDepth=MAX_DEPTH
    )
