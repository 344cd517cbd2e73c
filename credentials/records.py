"""How a record is written as bytes: JSON in ASCII, every number as exact as it came."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from credentials.errors import InvalidCredentials, VersionConflict
from credentials.model import RecordKey, SecretRecord

KIB = 1024
MAX_RECORD_BYTES = 512 * KIB  # half of what a Vault KV entry can hold: room for two generations


def encode(record: SecretRecord) -> bytes:
    """Write a record.

    Raises `InvalidCredentials` for a value that JSON has not (NaN, bytes, a cycle), and above
    512 KiB.
    """
    try:
        data = _json({"fields": dict(record.fields)})
    except (TypeError, ValueError, RecursionError):
        name = next((name for name, value in record.fields.items() if not _is_json(value)), "")
        message = f"Credentials field {name!r} is no JSON value; send text, a number or a container"
        raise InvalidCredentials(message, field=name) from None
    if len(data) > MAX_RECORD_BYTES:
        largest = max(record.fields, key=lambda name: len(_json(record.fields[name])))
        message = (
            f"Credentials take {len(data)} bytes, more than {MAX_RECORD_BYTES}; "
            f"shorten field {largest!r}, the largest"
        )
        raise InvalidCredentials(message, field=largest)
    return data


def decode(data: bytes) -> SecretRecord:
    """Read what `encode` wrote."""
    fields: Mapping[str, Any] = json.loads(data)["fields"]
    return SecretRecord(MappingProxyType(fields))


def version_conflict(key: RecordKey, expected_version: int) -> VersionConflict:
    """Make the error of a writer who came second."""
    return VersionConflict(
        f"Credentials of {key.instance_id} are not at version {expected_version}; read again",
        instanceId=key.instance_id,
        expectedVersion=expected_version,
    )


def _json(value: object) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")


def _is_json(value: object) -> bool:
    try:
        _json(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
