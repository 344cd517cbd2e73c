"""Protobuf scalars as JSON and as text (protobuf.dev, "ProtoJSON Format").

A `Scalar` turns one kind of value around in three ways: from a raw JSON value, from the text of a
path or a query, and back to raw JSON. The readers raise `ValueError` with a message that completes
"<where> …": "must be a whole number, not a string".
"""

import base64
import binascii
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from services.gateway import json_text
from services.gateway.errors import UnsupportedField

_WHOLE = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
# Turning megabytes of digits into a number takes quadratic time.
_LONGEST_NUMBER = 400
_TRUE = frozenset({"true", "True", "TRUE", "t", "T", "1"})
_FALSE = frozenset({"false", "False", "FALSE", "f", "F", "0"})
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
# No 64-bit number has more digits in front of its point.
_MOST_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Scalar:
    """How one kind of value is read and written."""

    from_json: Callable[[bytes], Any]
    from_text: Callable[[str], Any]
    to_json: Callable[[Any], bytes]


def scalar_of(field: FieldDescriptor) -> Scalar:
    """The scalar of a field that holds no message; raises `UnsupportedField` for a `float`."""
    if field.enum_type is not None:
        return _enum(field.enum_type)
    if field.type not in _SCALARS:
        raise UnsupportedField(f"{field.full_name} is of a type that has no JSON form here")
    return _SCALARS[field.type]


def _integer(low: int, high: int, to_json: Callable[[Any], bytes]) -> Scalar:
    def bounded(value: int) -> int:
        if not low <= value <= high:
            raise ValueError(f"must be between {low} and {high}")
        return value

    def from_text(text: str) -> int:
        return bounded(_whole(text, f"'{text[:40]}'"))

    def from_json(raw: bytes) -> int:
        if raw[:1] == b'"':
            return from_text(json_text.string(raw))
        return bounded(_whole(raw.decode(), json_text.kind(raw)))

    return Scalar(from_json, from_text, to_json)


def _whole(text: str, called: str) -> int:
    """Read a whole number, also written as 1.0 or 1e2; `called` is what messages call it."""
    if _WHOLE.fullmatch(text):
        return int(text)
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"must be a whole number, not {called}")
    value = _decimal(text)
    if value and (value.adjusted() < 0 or value % 1):
        raise ValueError(f"must be a whole number, not {text[:40]}")
    return int(value)


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text if len(text) <= _LONGEST_NUMBER else "Infinity")
    except InvalidOperation:
        raise ValueError("is out of range") from None
    if value.is_infinite() or (value and value.adjusted() > _MOST_DIGITS):
        raise ValueError("is out of range")
    return value


def _double_from_text(text: str) -> float:
    if text in _SPECIAL:
        return _SPECIAL[text]
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"must be a number, not '{text[:40]}'")
    value = float(text) if len(text) <= _LONGEST_NUMBER else math.inf
    if math.isinf(value):
        raise ValueError("is out of range")
    return value


def _double_from_json(raw: bytes) -> float:
    if raw[:1] == b'"':
        return _double_from_text(json_text.string(raw))
    text = raw.decode()
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"must be a number, not {json_text.kind(raw)}")
    return _double_from_text(text)


def _enum(enum: EnumDescriptor) -> Scalar:
    names = {value.name: value.number for value in enum.values}
    texts = _EnumTexts({value.number: orjson.dumps(value.name) for value in reversed(enum.values)})
    number = _SCALARS[FieldDescriptor.TYPE_INT32]

    def from_text(text: str) -> int:
        if text in names:
            return names[text]
        if _WHOLE.fullmatch(text):
            return int(number.from_text(text))
        raise ValueError(f"must be one of {', '.join(names)}, not '{text[:40]}'")

    def from_json(raw: bytes) -> int:
        if raw[:1] == b'"':
            return from_text(json_text.string(raw))
        return int(number.from_json(raw))

    return Scalar(from_json, from_text, texts.__getitem__)


class _EnumTexts(dict[int, bytes]):
    """The names of an enum as JSON."""

    def __missing__(self, number: int) -> bytes:
        """Show a number without a name as it is: it comes from a newer contract."""
        return b"%d" % number


def _bool_from_json(raw: bytes) -> bool:
    if raw in (b"true", b"false"):
        return raw == b"true"
    raise ValueError(f"must be true or false, not {json_text.kind(raw)}")


def _bool_from_text(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"must be true or false, not '{text[:40]}'")


def _bytes_from_text(text: str) -> bytes:
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be base64") from None


def _double_to_json(value: float) -> bytes:
    if math.isfinite(value):
        return orjson.dumps(value)
    if math.isnan(value):
        return b'"NaN"'
    return b'"Infinity"' if value > 0 else b'"-Infinity"'


def _quoted(value: int) -> bytes:
    return b'"%d"' % value


def _plain(value: int) -> bytes:
    return b"%d" % value


_INT32 = _integer(-(2**31), 2**31 - 1, _plain)
_UINT32 = _integer(0, 2**32 - 1, _plain)
_INT64 = _integer(-(2**63), 2**63 - 1, _quoted)
_UINT64 = _integer(0, 2**64 - 1, _quoted)
_SCALARS = {
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_SFIXED32: _INT32,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SINT64: _INT64,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_UINT64: _UINT64,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
    FieldDescriptor.TYPE_DOUBLE: Scalar(_double_from_json, _double_from_text, _double_to_json),
    FieldDescriptor.TYPE_BOOL: Scalar(
        _bool_from_json, _bool_from_text, lambda value: b"true" if value else b"false"
    ),
    FieldDescriptor.TYPE_STRING: Scalar(json_text.string, str, orjson.dumps),
    FieldDescriptor.TYPE_BYTES: Scalar(
        lambda raw: _bytes_from_text(json_text.string(raw)),
        _bytes_from_text,
        lambda value: b'"%b"' % base64.b64encode(value),
    ),
}
