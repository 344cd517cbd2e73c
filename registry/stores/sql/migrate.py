"""Bringing the registry's tables to the form this release needs."""

from typing import Final

from sqlalchemy import Connection, column, inspect, select, table
from sqlalchemy.ext.asyncio import AsyncEngine

from registry.errors import StoreUnavailable
from registry.stores.sql.engine import database_errors
from registry.stores.sql.tables import VERSION_TABLE

HEAD: Final = "0001"

# Held until the transaction ends, so that of several processes that start together one migrates.
_LOCKS: Final = {
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": f"SELECT pg_advisory_xact_lock(hashtext('{VERSION_TABLE}'))",
}


async def migrate(engine: AsyncEngine) -> None:
    """Make or change the tables as this release needs them, in one transaction.

    Costs two small queries when there is nothing to do. Raises `StoreUnavailable`, also when a
    newer release has made the tables.
    """
    with database_errors():
        async with engine.begin() as connection:
            if await connection.run_sync(revision) == HEAD:
                return
            await connection.exec_driver_sql(_LOCKS[engine.dialect.name])
            await connection.run_sync(_upgrade)


def revision(connection: Connection) -> str | None:
    """Answer the revision of the tables, None when there are none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.scalar(
        select(column("version_num")).select_from(table(VERSION_TABLE))
    )
    return found


def _upgrade(connection: Connection) -> None:
    # Most starts do not need these imports, which cost them 0.2 s.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "registry.stores.sql:migrations")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, HEAD)
    except CommandError as error:
        message = "The registry's tables were made by a newer release; run that one"
        raise StoreUnavailable(message) from error
