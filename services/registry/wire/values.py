"""Times and JSON values as the wire has them."""

import json
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from protos.integration.v1.json_pb2 import Json


def timestamp(moment: datetime | None) -> Timestamp | None:
    """Answer a moment as the wire has it."""
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def time(stamp: Timestamp) -> datetime:
    """Answer a moment of the wire as an aware UTC datetime."""
    return stamp.ToDatetime(tzinfo=UTC)


def json_value(value: object) -> Json:
    """Answer a parsed value as text; whole numbers keep every digit."""
    return Json(utf8=json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def parsed(message: Json) -> Any:
    """Answer the value of a text that one of our services wrote; None when there is none."""
    return json.loads(message.utf8) if message.utf8 else None
