"""Empty databases for the store of sealed rows, and processes that share one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from credentials.stores.local.engine import open_engine
from credentials.stores.local.master_key import MasterKeySource
from credentials.stores.local.migrate import migrate
from credentials.stores.local.store import LocalSecretStore
from credentials.stores.local.tables import VERSION_TABLE, metadata


def url_of(kind: str, request: pytest.FixtureRequest, directory: Path) -> str:
    """Answer the URL of a `sqlite` or `postgres` database."""
    if kind == "postgres":
        socket = request.getfixturevalue("postgres")
        return f"postgresql+asyncpg://postgres@/postgres?host={socket}"
    return f"sqlite+aiosqlite:///{directory / 'credentials.db'}"


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[AsyncEngine]:
    """Open an engine, and leave no thread of it behind."""
    engine = open_engine(url)
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def emptied(url: str) -> AsyncIterator[AsyncEngine]:
    """Open an engine on empty tables."""
    async with connected(url) as engine:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.drop_all)
            await connection.exec_driver_sql(f"DROP TABLE IF EXISTS {VERSION_TABLE}")
        await migrate(engine)
        yield engine


@asynccontextmanager
async def process(url: str, source: MasterKeySource) -> AsyncIterator[LocalSecretStore]:
    """Open the store as a process of its own would: with its own connections and keys."""
    async with connected(url) as engine:
        yield await LocalSecretStore.open(engine, source)
