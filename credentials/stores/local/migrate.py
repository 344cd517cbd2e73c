"""Bringing the local store's tables to the newest form."""

import asyncio

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from credentials.errors import StoreUnavailable
from credentials.stores.local.engine import database_errors
from credentials.stores.local.master_key import MasterKeySource
from credentials.stores.local.masters import identify
from credentials.stores.local.tables import VERSION_TABLE

HEAD = "0002"

# Held until the transaction ends, so that of several processes that start together one migrates.
_LOCKS = {
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": f"SELECT pg_advisory_xact_lock(hashtext('{VERSION_TABLE}'))",
}


async def migrate(engine: AsyncEngine, source: MasterKeySource | None = None) -> None:
    """Make or change the tables as this release needs them, in one transaction.

    With a `source`, tables that are there are changed only when it holds their master key.

    Takes some milliseconds when there is nothing to do. Raises `StoreUnavailable`, also when a
    newer release has made the tables, and `MasterKeyWrong` and `MasterKeyMissing`.
    """
    with database_errors():
        async with engine.connect() as connection:
            found = await connection.run_sync(_revision)
        if found == HEAD:
            return
        if found is not None and source is not None:
            await identify(engine, await asyncio.to_thread(source.load))
        async with engine.begin() as connection:
            if await connection.run_sync(_revision) == HEAD:
                return
            await connection.exec_driver_sql(_LOCKS[engine.dialect.name])
            await connection.run_sync(_upgrade)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608 - a constant
    return found


def _upgrade(connection: Connection) -> None:
    # Imported here because most starts do not need it, and it costs them 0.2 s.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "credentials.stores.local:migrations")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, HEAD)
    except CommandError as error:
        raise StoreUnavailable(
            "The tables of the credential store were made by a newer release; run that one"
        ) from error
