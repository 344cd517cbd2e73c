"""Secrets sealed in rows of a database."""

import asyncio
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

from credentials.errors import StoreUnavailable
from credentials.model import RecordKey, SecretRecord, Versioned
from credentials.records import decode, encode, version_conflict
from credentials.stores.local.engine import database_errors
from credentials.stores.local.keys import MAX_TRIES, Keyring
from credentials.stores.local.master_key import MasterKeySource
from credentials.stores.local.tables import data_keys, records
from credentials.stores.local.wrapping import WrappedKey, open_record, seal_record

_MOST_WRITERS = 10  # at once, where the database takes several

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
_READ_KEY = select(data_keys.c.key_id).where(
    data_keys.c.tenant == bindparam("of_tenant"), data_keys.c.key_id == bindparam("of_data_key")
)
_READ_VERSION = select(records.c.version).where(_OF_KEY)
_FORGET = (
    update(records).where(_OF_KEY, records.c.sealed.is_not(None)).values(key_id=None, sealed=None)
)


class _KeyGone(Exception):
    """A rotation took the data key away between sealing with it and writing."""


class LocalSecretStore:
    """A `SecretStore` of sealed rows, safe for any number of processes on one database.

    A deletion takes the sealed bytes out of the row at once; on SQLite the write-ahead log may
    still hold them, sealed, until its next checkpoint. `keyring` is for what is sealed beside it.

    On SQLite the writers of a process take turns: it lets one write at a time and makes the others
    try again and again, in no order, until some of many have waited for too long.
    """

    def __init__(self, engine: AsyncEngine, keyring: Keyring) -> None:
        self._engine = engine
        self._turns = asyncio.Semaphore(1 if engine.dialect.name == "sqlite" else _MOST_WRITERS)
        self.keyring = keyring

    @classmethod
    async def open(cls, engine: AsyncEngine, source: MasterKeySource) -> Self:
        """Open the store whose tables `migrate` has made; the engine stays the caller's.

        The first master key that ever comes becomes the store's own. Raises `MasterKeyWrong` and
        `MasterKeyMissing`, having changed nothing, and `StoreUnavailable`.
        """
        with database_errors():
            return cls(engine, await Keyring.open(engine, source))

    async def get(self, key: RecordKey) -> Versioned | None:
        """Answer the record, None where there is none; raises `RecordCorrupt`."""
        with database_errors():
            row = await self._row(key)
            # None: the data key is gone, which loading cannot cure.
            if row and row.master_key_id is not None and not self.keyring.has(row.master_key_id):
                await self.keyring.look_for(row.master_key_id)
                row = await self._row(key)
        return None if row is None else self._opened(key, row)

    async def put(self, key: RecordKey, record: SecretRecord, expected_version: int) -> int:
        """Replace the record of version `expected_version`; raises `VersionConflict`."""
        data = encode(record)
        with database_errors():
            for _ in range(MAX_TRIES):
                try:
                    return await self._put(key, data, expected_version)
                except _KeyGone:
                    continue
        raise StoreUnavailable("The keys are being rotated too often just now; try again")

    async def delete(self, key: RecordKey) -> None:
        """Forget the record; its version lives on."""
        with database_errors():
            async with self._turns, self._engine.begin() as connection:
                await connection.execute(_FORGET, _where(key))

    async def _row(self, key: RecordKey) -> Row[Any] | None:
        async with self._engine.connect() as connection:
            return (await connection.execute(_READ, _where(key))).one_or_none()

    async def _put(self, key: RecordKey, data: bytes, expected_version: int) -> int:
        latest = expected_version or await self._latest_version(key)
        version = latest + 1
        data_key = await self.keyring.for_sealing(key.tenant)
        sealed = seal_record(data_key, key, version, data)
        row = {"version": version, "key_id": data_key.key_id, "sealed": sealed}
        if latest:
            write = _replacement(latest, is_there=expected_version != 0).values(row)
            wrote = await self._wrote(write, key, data_key.key_id)
        else:
            wrote = await self._wrote(
                insert(records).values(key._asdict() | row), key, data_key.key_id
            )
        if not wrote:
            raise version_conflict(key, expected_version)
        return version

    async def _latest_version(self, key: RecordKey) -> int:
        async with self._engine.connect() as connection:
            found = await connection.scalar(_READ_VERSION, _where(key))
        return found or 0

    async def _wrote(self, write: Insert | Update, key: RecordKey, data_key_id: int) -> bool:
        parameters = _where(key) if isinstance(write, Update) else {}
        try:
            async with self._turns, self._engine.begin() as connection:
                return (await connection.execute(write, parameters)).rowcount == 1
        except IntegrityError as error:  # another writer has inserted the row, or the key is gone
            if not await self._has(key.tenant, data_key_id):
                raise _KeyGone from error
            return False

    async def _has(self, tenant: str, data_key_id: int) -> bool:
        where = {"of_tenant": tenant, "of_data_key": data_key_id}
        async with self._engine.connect() as connection:
            return await connection.scalar(_READ_KEY, where) is not None

    def _opened(self, key: RecordKey, row: Row[Any]) -> Versioned:
        # The join finds neither when the key's row is gone.
        wrapped = WrappedKey(key.tenant, row.key_id, row.master_key_id or 0, row.wrapped or b"")
        data_key = self.keyring.unwrap(wrapped)
        return Versioned(decode(open_record(data_key, key, row.version, row.sealed)), row.version)


def _where(key: RecordKey) -> dict[str, Any]:
    return {"of_tenant": key.tenant, "of_instance": key.instance_id, "of_part": key.part}


def _replacement(version: int, *, is_there: bool) -> Update:
    """Write over the record of this version, or over what a deletion has left of it."""
    sealed: ColumnElement[bool] = (
        records.c.sealed.is_not(None) if is_there else records.c.sealed.is_(None)
    )
    return update(records).where(_OF_KEY, records.c.version == version, sealed)
