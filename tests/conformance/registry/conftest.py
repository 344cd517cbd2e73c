"""The databases that the registry's stores are shown on."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from registry.stores.sql.engine import open_engine
from registry.stores.sql.migrate import migrate

DATABASES = itertools.count(1)


async def fresh_postgres_database(directory: str) -> str:
    """Make a database; answer its URL."""
    name = f"registry_{next(DATABASES)}"
    connection = await asyncpg.connect(host=directory, user="postgres", database="postgres")
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    finally:
        await connection.close()
    return f"postgresql+asyncpg://postgres@/{name}?host={directory}"


async def fresh_database(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Answer the URL of an empty database of this kind."""
    if kind == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'registry.db'}"
    return await fresh_postgres_database(request.getfixturevalue("postgres"))


@pytest.fixture(params=["sqlite", "postgres"])
async def empty_database(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[AsyncEngine]:
    """Answer an engine of each kind in turn, with nothing in its database."""
    engine = open_engine(await fresh_database(request.param, request, tmp_path))
    yield engine
    await engine.dispose()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def database(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[AsyncEngine | None]:
    """Answer a migrated database of each kind in turn, None for memory."""
    if request.param == "memory":
        yield None
        return
    engine = open_engine(await fresh_database(request.param, request, tmp_path))
    await migrate(engine)
    yield engine
    await engine.dispose()
