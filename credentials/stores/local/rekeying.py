"""Data keys under a new master key: the old ones wrapped anew, and one more for each tenant."""

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from credentials.stores.local.keys import STORE_ITSELF, row_of
from credentials.stores.local.masters import Masters
from credentials.stores.local.sealing import new_key
from credentials.stores.local.tables import data_keys, master_keys, records
from credentials.stores.local.wrapping import DataKey, WrappedKey


class _Overtaken(Exception):
    """Somebody else has changed a data key first."""


async def tenants_behind(engine: AsyncEngine, master_key_id: int) -> list[str]:
    """Name the tenants with a data key that another master key wraps."""
    statement = (
        select(data_keys.c.tenant).distinct().where(data_keys.c.master_key_id != master_key_id)
    )
    async with engine.connect() as connection:
        return sorted((await connection.scalars(statement)).all())


async def tenants_with_old_keys(engine: AsyncEngine) -> list[str]:
    """Name the tenants with more than one data key."""
    statement = (
        select(data_keys.c.tenant)
        .where(data_keys.c.tenant != STORE_ITSELF)
        .group_by(data_keys.c.tenant)
        .having(func.count() > 1)
    )
    async with engine.connect() as connection:
        return sorted((await connection.scalars(statement)).all())


async def keys_of(engine: AsyncEngine, masters: Masters, tenant: str) -> dict[int, DataKey]:
    """Open a tenant's data keys; raises `RecordCorrupt`."""
    return {row.key_id: masters.unwrap(row) for row in await _rows(engine, tenant)}


async def renew_keys(engine: AsyncEngine, masters: Masters, tenant: str) -> bool:
    """Wrap a tenant's data keys with the newest master key and add one, all at once.

    Answers False when another writer was faster; raises `RecordCorrupt` when one does not open.
    """
    rows = await _rows(engine, tenant)
    opened = [(row, masters.unwrap(row)) for row in rows]
    fresh = DataKey(max(row.key_id for row in rows) + 1, new_key())
    try:
        async with engine.begin() as connection:
            for row, key in opened:
                if row.master_key_id != masters.newest:
                    await _replace(connection, row, masters.wrap(tenant, key))
            added = row_of(masters.wrap(tenant, fresh))
            await connection.execute(insert(data_keys).values(added))
    except (IntegrityError, _Overtaken):
        return False
    return True


async def retire_keys(engine: AsyncEngine, tenant: str, newest: int) -> bool:
    """Delete a tenant's older data keys that seal nothing; tell whether none is left."""
    older = (data_keys.c.tenant == tenant) & (data_keys.c.key_id < newest)
    used = exists().where(
        records.c.tenant == data_keys.c.tenant, records.c.key_id == data_keys.c.key_id
    )
    try:
        async with engine.begin() as connection:
            await connection.execute(delete(data_keys).where(older, ~used))
            return not await connection.scalar(select(exists().where(older)))
    except IntegrityError:  # something was just sealed with one of them
        return False


async def retire_masters(engine: AsyncEngine, newest: int) -> bool:
    """Delete the older master keys' numbers; False when one wraps something again."""
    try:
        async with engine.begin() as connection:
            await connection.execute(delete(master_keys).where(master_keys.c.key_id != newest))
    except IntegrityError:
        return False
    return True


async def _rows(engine: AsyncEngine, tenant: str) -> list[WrappedKey]:
    statement = select(data_keys).where(data_keys.c.tenant == tenant)
    async with engine.connect() as connection:
        return [WrappedKey(*row) for row in await connection.execute(statement)]


async def _replace(connection: AsyncConnection, old: WrappedKey, new: WrappedKey) -> None:
    statement = (
        update(data_keys)
        .where(
            data_keys.c.tenant == old.tenant,
            data_keys.c.key_id == old.key_id,
            data_keys.c.wrapped == old.wrapped,
        )
        .values(master_key_id=new.master_key_id, wrapped=new.wrapped)
    )
    if (await connection.execute(statement)).rowcount != 1:
        raise _Overtaken
