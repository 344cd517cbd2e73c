"""What is sealed with which key: checks and data keys with a master key, records with a data key.

Pure functions. Each binds what it seals to the place where it is kept.
"""

from dataclasses import dataclass

from credentials.errors import RecordCorrupt
from credentials.model import Part, RecordKey
from credentials.stores.local.sealing import Place, SealBroken, seal, unseal

_CHECK_TEXT = b"integration-service credentials"


@dataclass(frozen=True, slots=True, repr=False)
class DataKey:
    """One of a tenant's keys, unwrapped. Never printed."""

    key_id: int
    value: bytes


@dataclass(frozen=True, slots=True, repr=False)
class WrappedKey:
    """A data key as it is kept: with the number of the master key that wraps it."""

    tenant: str
    key_id: int
    master_key_id: int
    wrapped: bytes


def check_value(master_key: bytes, master_key_id: int) -> bytes:
    """Make what opens only with this master key under this number."""
    return seal(master_key, _CHECK_TEXT, _place_of_check(master_key_id))


def opens_check(master_key: bytes, master_key_id: int, value: bytes) -> bool:
    """Tell whether this is the master key of this number."""
    try:
        unseal(master_key, value, _place_of_check(master_key_id))
    except SealBroken:
        return False
    return True


def wrap(master_key: bytes, master_key_id: int, tenant: str, key: DataKey) -> WrappedKey:
    """Seal a data key with a master key."""
    place = _place_of_key(tenant, key.key_id, master_key_id)
    return WrappedKey(tenant, key.key_id, master_key_id, seal(master_key, key.value, place))


def unwrap(master_key: bytes, key: WrappedKey) -> DataKey:
    """Undo `wrap`; raises `RecordCorrupt`."""
    place = _place_of_key(key.tenant, key.key_id, key.master_key_id)
    try:
        return DataKey(key.key_id, unseal(master_key, key.wrapped, place))
    except SealBroken as error:
        raise data_key_corrupt(key.tenant, key.key_id) from error


def data_key_corrupt(tenant: str, key_id: int) -> RecordCorrupt:
    """Make the error of a data key that is not what it was."""
    message = f"Data key {key_id} of {tenant} is gone or changed; restore the database"
    return RecordCorrupt(message, what="dataKey")


def seal_record(data_key: DataKey, key: RecordKey, version: int, data: bytes) -> bytes:
    """Seal a record with its tenant's data key."""
    return seal(data_key.value, data, _place_of_record(key, version))


def open_record(data_key: DataKey, key: RecordKey, version: int, sealed: bytes) -> bytes:
    """Undo `seal_record`; raises `RecordCorrupt`."""
    try:
        return unseal(data_key.value, sealed, _place_of_record(key, version))
    except SealBroken as error:
        raise RecordCorrupt(
            f"Credentials of {key.instance_id} do not open: they were changed or moved; "
            "restore the database, or delete them and connect again",
            what="record",
        ) from error


def _place_of_check(master_key_id: int) -> Place:
    return ("master-key-check", master_key_id)


def _place_of_key(tenant: str, key_id: int, master_key_id: int) -> Place:
    return ("data-key", tenant, key_id, master_key_id)


def _place_of_record(key: RecordKey, version: int) -> Place:
    # The first release had no parts. Its places are shorter, so none is taken for another.
    part = () if key.part is Part.CONFIG else (key.part.value,)
    return ("record", key.tenant, key.instance_id, *part, version)
