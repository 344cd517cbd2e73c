"""The keys in the database: which master key is in use, and each tenant's data key."""

from dataclasses import dataclass

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from credentials.errors import MasterKeyWrong, RecordCorrupt
from credentials.stores.local.master_key import MasterKey
from credentials.stores.local.sealing import SealBroken, new_key, seal, unseal
from credentials.stores.local.tables import data_keys, master_keys

_CHECK_TEXT = b"integration-service credentials"
_FIRST = 1


@dataclass(frozen=True, slots=True, repr=False)
class DataKey:
    """One of a tenant's keys, unwrapped. Never printed."""

    key_id: int
    value: bytes


class Keyring:
    """Wraps and unwraps data keys with the master key; keeps none of them."""

    def __init__(self, engine: AsyncEngine, master_key: MasterKey, master_key_id: int) -> None:
        self._engine = engine
        self._master_key = master_key
        self._master_key_id = master_key_id

    @classmethod
    async def open(cls, engine: AsyncEngine, master_key: MasterKey) -> "Keyring":
        """Find the master key among those in use; the first one ever becomes the one in use.

        Raises `MasterKeyWrong`, having changed nothing.
        """
        checks = await _checks(engine)
        if not checks:
            await _register(engine, master_key)
            checks = await _checks(engine)
        for key_id, check_value in checks:
            if _opens(master_key, key_id, check_value):
                return cls(engine, master_key, key_id)
        raise MasterKeyWrong(
            f"The master key in {master_key.path} is not the one that the credential store was "
            "made with, and nothing was changed. Put the right key back from its backup; without "
            "it, move the store's database away and connect the instances again",
            path=master_key.path,
        )

    async def for_sealing(self, tenant: str) -> DataKey:
        """Answer the tenant's newest data key, made now if there is none."""
        return await self._newest(tenant) or await self._create(tenant)

    def unwrap(self, tenant: str, key_id: int, master_key_id: int, wrapped: bytes) -> DataKey:
        """Open a data key; raises `RecordCorrupt`."""
        place = _place_of_key(tenant, key_id, master_key_id)
        try:
            return DataKey(key_id, unseal(self._master_key.value, wrapped, place))
        except SealBroken as error:
            message = f"Data key {key_id} of {tenant} is gone or changed; restore the database"
            raise RecordCorrupt(message, what="dataKey") from error

    async def _newest(self, tenant: str) -> DataKey | None:
        statement = (
            select(data_keys.c.key_id, data_keys.c.master_key_id, data_keys.c.wrapped)
            .where(data_keys.c.tenant == tenant)
            .order_by(data_keys.c.key_id.desc())
            .limit(1)
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else self.unwrap(tenant, *row)

    async def _create(self, tenant: str) -> DataKey:
        key = DataKey(_FIRST, new_key())
        place = _place_of_key(tenant, key.key_id, self._master_key_id)
        row = {
            "tenant": tenant,
            "key_id": key.key_id,
            "master_key_id": self._master_key_id,
            "wrapped": seal(self._master_key.value, key.value, place),
        }
        try:
            async with self._engine.begin() as connection:
                await connection.execute(insert(data_keys).values(row))
        except IntegrityError:  # another writer of this tenant was first: its key counts
            return await self.for_sealing(tenant)
        return key


def _place_of_key(tenant: str, key_id: int, master_key_id: int) -> tuple[str | int, ...]:
    return ("data-key", tenant, key_id, master_key_id)


def _place_of_check(key_id: int) -> tuple[str | int, ...]:
    return ("master-key-check", key_id)


async def _checks(engine: AsyncEngine) -> list[tuple[int, bytes]]:
    statement = select(master_keys.c.key_id, master_keys.c.check_value)
    async with engine.connect() as connection:
        return [(row.key_id, row.check_value) for row in await connection.execute(statement)]


async def _register(engine: AsyncEngine, master_key: MasterKey) -> None:
    check_value = seal(master_key.value, _CHECK_TEXT, _place_of_check(_FIRST))
    statement = insert(master_keys).values(key_id=_FIRST, check_value=check_value)
    try:
        async with engine.begin() as connection:
            await connection.execute(statement)
    except IntegrityError:  # another process was first; whether it has our key shows next
        return


def _opens(master_key: MasterKey, key_id: int, check_value: bytes) -> bool:
    try:
        unseal(master_key.value, check_value, _place_of_check(key_id))
    except SealBroken:
        return False
    return True
