"""Messages whose JSON form is not an object of their fields."""

from datetime import UTC, datetime, timedelta

from google.protobuf.descriptor import Descriptor
from google.protobuf.timestamp_pb2 import Timestamp

from protos.integration.v1.json_pb2 import Json
from services.gateway import json_text
from services.gateway.errors import UnsupportedField

JSON = Json.DESCRIPTOR.full_name
TIMESTAMP = Timestamp.DESCRIPTOR.full_name
# An object without fields, as ProtoJSON has it.
_ORDINARY = frozenset({"google.protobuf.Empty"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_special(message: Descriptor) -> bool:
    """Tell whether a message's JSON is not an object of its fields."""
    return message.full_name in (JSON, TIMESTAMP)


def refuse_unsupported(message: Descriptor) -> None:
    """Raise `UnsupportedField` for a well-known type that has a JSON form we do not speak."""
    foreign = message.full_name.startswith("google.")
    entry = message.GetOptions().map_entry
    if entry or (foreign and message.full_name not in {TIMESTAMP, *_ORDINARY}):
        raise UnsupportedField(f"{message.full_name} has no JSON form here")


def read_json(target: Json, raw: bytes) -> None:
    """Take a raw JSON value as it is, byte for byte."""
    target.utf8 = raw


def write_json(value: Json) -> bytes:
    """Give the raw JSON value back; `null` where none was given."""
    return value.utf8 or b"null"


def read_timestamp(target: Timestamp, raw: bytes) -> None:
    """Read an RFC 3339 time; raises `ValueError`."""
    text = json_text.string(raw)
    try:
        target.FromJsonString(text)
    except ValueError:
        raise ValueError(
            f"must be a time such as 2025-01-31T09:30:00Z (RFC 3339), not '{text[:40]}'"
        ) from None


def write_timestamp(value: Timestamp) -> bytes:
    """Write RFC 3339 in UTC with `Z` and no, 3, 6 or 9 digits of a second."""
    text = (_EPOCH + timedelta(seconds=value.seconds)).isoformat()[:19]
    if value.nanos:
        digits = f"{value.nanos:09d}"
        keep = 3 if digits.endswith("000000") else 6 if digits.endswith("000") else 9
        text = f"{text}.{digits[:keep]}"
    return f'"{text}Z"'.encode()
