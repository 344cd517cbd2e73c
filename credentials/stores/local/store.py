"""Secrets sealed in rows of a database."""

from typing import Any, Self

from sqlalchemy import (
    ColumnElement,
    Insert,
    Row,
    Update,
    and_,
    bindparam,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from credentials.errors import RecordCorrupt
from credentials.model import RecordKey, SecretRecord, Versioned
from credentials.records import decode, encode, version_conflict
from credentials.stores.local.engine import database_errors
from credentials.stores.local.keys import Keyring
from credentials.stores.local.master_key import MasterKey
from credentials.stores.local.sealing import Place, SealBroken, seal, unseal
from credentials.stores.local.tables import data_keys, records

_KEY_OF_RECORD = and_(
    data_keys.c.tenant == records.c.tenant, data_keys.c.key_id == records.c.key_id
)
_OF_KEY = and_(
    records.c.tenant == bindparam("of_tenant"),
    records.c.instance_id == bindparam("of_instance"),
    records.c.part == bindparam("of_part"),
)
_READ = (
    select(records, data_keys.c.master_key_id, data_keys.c.wrapped)
    .outerjoin_from(records, data_keys, _KEY_OF_RECORD)
    .where(_OF_KEY, records.c.sealed.is_not(None))
)
_READ_VERSION = select(records.c.version).where(_OF_KEY)
_FORGET = (
    update(records).where(_OF_KEY, records.c.sealed.is_not(None)).values(key_id=None, sealed=None)
)


class LocalSecretStore:
    """A `SecretStore` of sealed rows, safe for any number of processes on one database.

    A deletion takes the sealed bytes out of the row at once; on SQLite the write-ahead log may
    still hold them, sealed, until its next checkpoint.
    """

    def __init__(self, engine: AsyncEngine, keyring: Keyring) -> None:
        self._engine = engine
        self._keyring = keyring

    @classmethod
    async def open(cls, engine: AsyncEngine, master_key: MasterKey) -> Self:
        """Open the store whose tables `migrate` has made; the engine stays the caller's.

        The first master key that ever comes becomes the store's own. Raises `MasterKeyWrong`,
        having changed nothing, and `StoreUnavailable`.
        """
        with database_errors():
            return cls(engine, await Keyring.open(engine, master_key))

    async def get(self, key: RecordKey) -> Versioned | None:
        """Answer the record, None where there is none; raises `RecordCorrupt`."""
        with database_errors():
            async with self._engine.connect() as connection:
                rows = await connection.execute(_READ, _where(key))
                row = rows.one_or_none()
        return None if row is None else self._opened(key, row)

    async def put(self, key: RecordKey, record: SecretRecord, expected_version: int) -> int:
        """Replace the record of version `expected_version`; raises `VersionConflict`."""
        data = encode(record)
        with database_errors():
            latest = expected_version or await self._latest_version(key)
            version = latest + 1
            data_key = await self._keyring.for_sealing(key.tenant)
            sealed = seal(data_key.value, data, _place(key, version))
            row = {"version": version, "key_id": data_key.key_id, "sealed": sealed}
            if latest:
                write = _replacement(latest, is_there=expected_version != 0).values(row)
                wrote = await self._wrote(write, _where(key))
            else:
                wrote = await self._wrote(insert(records), key._asdict() | row)
        if not wrote:
            raise version_conflict(key, expected_version)
        return version

    async def delete(self, key: RecordKey) -> None:
        """Forget the record; its version lives on."""
        with database_errors():
            await self._wrote(_FORGET, _where(key))

    async def _latest_version(self, key: RecordKey) -> int:
        async with self._engine.connect() as connection:
            found = await connection.scalar(_READ_VERSION, _where(key))
        return found or 0

    async def _wrote(self, write: Insert | Update, parameters: dict[str, Any]) -> bool:
        try:
            async with self._engine.begin() as connection:
                return (await connection.execute(write, parameters)).rowcount == 1
        except IntegrityError:  # another writer has inserted the row
            return False

    def _opened(self, key: RecordKey, row: Row[Any]) -> Versioned:
        try:
            wrapped = row.wrapped or b""  # the join finds none when the key's row is gone
            data_key = self._keyring.unwrap(key.tenant, row.key_id, row.master_key_id, wrapped)
            data = unseal(data_key.value, row.sealed, _place(key, row.version))
        except SealBroken as error:
            raise RecordCorrupt(
                f"Credentials of {key.instance_id} do not open: they were changed or moved; "
                "restore the database, or delete them and connect again",
                what="record",
            ) from error
        return Versioned(decode(data), row.version)


def _where(key: RecordKey) -> dict[str, Any]:
    return {"of_tenant": key.tenant, "of_instance": key.instance_id, "of_part": key.part}


def _replacement(version: int, *, is_there: bool) -> Update:
    """Write over the record of this version, or over what a deletion has left of it."""
    sealed: ColumnElement[bool] = (
        records.c.sealed.is_not(None) if is_there else records.c.sealed.is_(None)
    )
    return update(records).where(_OF_KEY, records.c.version == version, sealed)


def _place(key: RecordKey, version: int) -> Place:
    return ("record", *key, version)
