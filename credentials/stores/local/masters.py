"""The master keys that wrap data keys in one database, by the numbers they have there."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import exists, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from credentials.errors import MasterKeyWrong
from credentials.stores.local.master_key import MasterKeys
from credentials.stores.local.tables import data_keys, master_keys
from credentials.stores.local.wrapping import (
    DataKey,
    WrappedKey,
    check_value,
    data_key_corrupt,
    opens_check,
    unwrap,
    wrap,
)

FIRST = 1


@dataclass(frozen=True, slots=True, repr=False)
class Masters:
    """The master keys of a database that are at hand, by number. Never printed."""

    by_id: Mapping[int, bytes]

    @property
    def newest(self) -> int:
        """The number of the one that wraps new data keys."""
        return max(self.by_id)

    def wrap(self, tenant: str, key: DataKey) -> WrappedKey:
        """Seal a data key with the newest."""
        return wrap(self.by_id[self.newest], self.newest, tenant, key)

    def unwrap(self, key: WrappedKey) -> DataKey:
        """Open a data key; raises `RecordCorrupt`, also when its master key is not at hand."""
        master_key = self.by_id.get(key.master_key_id)
        if master_key is None:
            raise data_key_corrupt(key.tenant, key.key_id)
        return unwrap(master_key, key)


async def identify(engine: AsyncEngine, keys: MasterKeys) -> Masters:
    """Find the database's master keys among those at hand; a new database takes the first.

    Keys without a number there wait until a rotation gives them one. Raises `MasterKeyWrong`,
    having changed nothing, when one that is needed is not at hand.
    """
    checks = await _checks(engine)
    if not checks:
        await register(engine, keys.values[0], FIRST)
        checks = await _checks(engine)
    found = {
        key_id: value
        for key_id, check in checks.items()
        for value in keys.values
        if opens_check(value, key_id, check)
    }
    if not found or await _wraps_something(engine, checks.keys() - found.keys()):
        raise MasterKeyWrong(
            f"{keys.source} does not hold the master key that the credential store was made with, "
            "and nothing was changed. Put the right key back from its backup; without "
            "it, move the store's database away and connect the instances again",
            source=keys.source,
        )
    return Masters(found)


async def register(engine: AsyncEngine, value: bytes, key_id: int) -> None:
    """Give a master key a number, unless the number is taken: who has it shows by its check."""
    row = {"key_id": key_id, "check_value": check_value(value, key_id)}
    try:
        async with engine.begin() as connection:
            await connection.execute(insert(master_keys).values(row))
    except IntegrityError:
        return


async def highest(engine: AsyncEngine) -> int:
    """Answer the highest number given, 0 when none is."""
    async with engine.connect() as connection:
        return await connection.scalar(select(func.max(master_keys.c.key_id))) or 0


async def _checks(engine: AsyncEngine) -> dict[int, bytes]:
    statement = select(master_keys.c.key_id, master_keys.c.check_value)
    async with engine.connect() as connection:
        return {row.key_id: row.check_value for row in await connection.execute(statement)}


async def _wraps_something(engine: AsyncEngine, key_ids: set[int]) -> bool:
    if not key_ids:
        return False
    statement = select(exists().where(data_keys.c.master_key_id.in_(key_ids)))
    async with engine.connect() as connection:
        return bool(await connection.scalar(statement))
