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

from credentials.errors import RecordCorrupt, VersionConflict
from credentials.model import SecretRecord, Versioned
from credentials.records import decode, encode
from credentials.stores.local.engine import database_errors
from credentials.stores.local.keys import Keyring
from credentials.stores.local.master_key import MasterKey
from credentials.stores.local.sealing import Place, SealBroken, seal, unseal
from credentials.stores.local.tables import data_keys, records

_KEY_OF_RECORD = and_(
    data_keys.c.tenant == records.c.tenant, data_keys.c.key_id == records.c.key_id
)
_OF_INSTANCE = and_(
    records.c.tenant == bindparam("of_tenant"), records.c.instance_id == bindparam("of_instance")
)
_READ = (
    select(records, data_keys.c.master_key_id, data_keys.c.wrapped)
    .outerjoin_from(records, data_keys, _KEY_OF_RECORD)
    .where(_OF_INSTANCE, records.c.sealed.is_not(None))
)
_READ_VERSION = select(records.c.version).where(_OF_INSTANCE)
_FORGET = (
    update(records)
    .where(_OF_INSTANCE, records.c.sealed.is_not(None))
    .values(key_id=None, sealed=None)
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

    async def get(self, tenant: str, instance_id: str) -> Versioned | None:
        """Answer the record, None where there is none; raises `RecordCorrupt`."""
        with database_errors():
            async with self._engine.connect() as connection:
                rows = await connection.execute(_READ, _where(tenant, instance_id))
                row = rows.one_or_none()
        return None if row is None else self._opened(tenant, instance_id, row)

    async def put(
        self, tenant: str, instance_id: str, record: SecretRecord, expected_version: int
    ) -> int:
        """Replace the record of version `expected_version`; raises `VersionConflict`."""
        data = encode(record)
        with database_errors():
            latest = expected_version or await self._latest_version(tenant, instance_id)
            version = latest + 1
            key = await self._keyring.for_sealing(tenant)
            sealed = seal(key.value, data, _place(tenant, instance_id, version))
            row = {"version": version, "key_id": key.key_id, "sealed": sealed}
            if latest:
                write = _replacement(latest, is_there=expected_version != 0).values(row)
                wrote = await self._wrote(write, _where(tenant, instance_id))
            else:
                keys = {"tenant": tenant, "instance_id": instance_id}
                wrote = await self._wrote(insert(records), keys | row)
        if not wrote:
            raise VersionConflict(
                f"Credentials of {instance_id} are not at version {expected_version}; read again",
                instanceId=instance_id,
                expectedVersion=expected_version,
            )
        return version

    async def delete(self, tenant: str, instance_id: str) -> None:
        """Forget the record; its version lives on."""
        with database_errors():
            await self._wrote(_FORGET, _where(tenant, instance_id))

    async def _latest_version(self, tenant: str, instance_id: str) -> int:
        async with self._engine.connect() as connection:
            found = await connection.scalar(_READ_VERSION, _where(tenant, instance_id))
        return found or 0

    async def _wrote(self, write: Insert | Update, parameters: dict[str, Any]) -> bool:
        try:
            async with self._engine.begin() as connection:
                return (await connection.execute(write, parameters)).rowcount == 1
        except IntegrityError:  # another writer has inserted the row
            return False

    def _opened(self, tenant: str, instance_id: str, row: Row[Any]) -> Versioned:
        try:
            wrapped = row.wrapped or b""  # the join finds none when the key's row is gone
            key = self._keyring.unwrap(tenant, row.key_id, row.master_key_id, wrapped)
            data = unseal(key.value, row.sealed, _place(tenant, instance_id, row.version))
        except SealBroken as error:
            raise RecordCorrupt(
                f"Credentials of {instance_id} do not open: they were changed or moved; "
                "restore the database, or delete them and connect again",
                what="record",
            ) from error
        return Versioned(decode(data), row.version)


def _where(tenant: str, instance_id: str) -> dict[str, Any]:
    return {"of_tenant": tenant, "of_instance": instance_id}


def _replacement(version: int, *, is_there: bool) -> Update:
    """Write over the record of this version, or over what a deletion has left of it."""
    sealed: ColumnElement[bool] = (
        records.c.sealed.is_not(None) if is_there else records.c.sealed.is_(None)
    )
    return update(records).where(_OF_INSTANCE, records.c.version == version, sealed)


def _place(tenant: str, instance_id: str, version: int) -> Place:
    return ("record", tenant, instance_id, version)
