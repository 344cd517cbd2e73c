"""How the registry's tables come to be, on SQLite and on PostgreSQL."""

import asyncio
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from registry.errors import StoreUnavailable
from registry.model import DefinitionFilter, InstanceFilter, PageRequest
from registry.stores.sql import migrations
from registry.stores.sql.definitions import SqlDefinitionStore
from registry.stores.sql.engine import open_engine
from registry.stores.sql.instances import SqlInstanceStore
from registry.stores.sql.migrate import HEAD, migrate, revision
from registry.stores.sql.tables import VERSION_TABLE, metadata

TABLES = {"registry_contents", "registry_definitions", "registry_instances", VERSION_TABLE}


async def test_an_empty_database_gets_its_tables(empty_database: AsyncEngine) -> None:
    """Migrating makes all tables, and migrating again changes nothing."""
    await migrate(empty_database)
    await migrate(empty_database)
    async with empty_database.connect() as connection:
        names = await connection.run_sync(lambda it: inspect(it).get_table_names())
        assert set(names) == TABLES
        assert await connection.run_sync(revision) == HEAD


async def test_the_revisions_make_what_the_statements_expect(empty_database: AsyncEngine) -> None:
    """Between the migrated tables and those in the code there is no difference."""
    await migrate(empty_database)

    def differences(connection: Connection) -> Any:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        return compare_metadata(context, metadata)

    async with empty_database.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_processes_that_start_together_migrate_once(empty_database: AsyncEngine) -> None:
    """Of concurrent migrations none fails."""
    await asyncio.gather(*(migrate(empty_database) for _ in range(4)))
    async with empty_database.connect() as connection:
        versions = (await connection.execute(text(f"SELECT * FROM {VERSION_TABLE}"))).all()  # noqa: S608 - a constant
    assert [row.version_num for row in versions] == [HEAD]


async def test_a_newer_releases_tables_are_left_alone(empty_database: AsyncEngine) -> None:
    """An unknown revision is an error that says what to do."""
    await migrate(empty_database)
    async with empty_database.begin() as connection:
        await connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))  # noqa: S608 - a constant
    with pytest.raises(StoreUnavailable, match="newer release"):
        await migrate(empty_database)


def test_the_head_is_the_newest_revision() -> None:
    """The constant that saves start-up time names the last of the revisions."""
    (directory,) = migrations.__path__
    assert ScriptDirectory(directory).get_heads() == [HEAD]


def test_a_current_database_needs_no_alembic(tmp_path: Path) -> None:
    """A start with current tables does not import the migration machinery."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'registry.db'}"

    async def make_tables() -> None:
        engine = open_engine(url)
        await migrate(engine)
        await engine.dispose()

    asyncio.run(make_tables())
    program = (
        "import asyncio, sys\n"
        "from registry.stores.sql.engine import open_engine\n"
        "from registry.stores.sql.migrate import migrate\n"
        "async def main():\n"
        f"    engine = open_engine({url!r})\n"
        "    await migrate(engine)\n"
        "    await engine.dispose()\n"
        "asyncio.run(main())\n"
        "sys.exit('alembic' in sys.modules)\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, check=False)
    assert done.returncode == 0


async def test_sqlite_is_set_up_for_many_readers(tmp_path: Path) -> None:
    """Every connection has the write-ahead log, foreign keys and a time to wait."""
    engine = open_engine(f"sqlite+aiosqlite:///{tmp_path / 'registry.db'}")
    async with engine.connect() as connection:
        pragmas = ("journal_mode", "foreign_keys", "busy_timeout")
        values = [await connection.scalar(text(f"PRAGMA {name}")) for name in pragmas]
    await engine.dispose()
    assert values == ["wal", 1, 5000]


async def test_a_database_that_is_away_is_named_so(tmp_path: Path) -> None:
    """What the driver raises stays inside, with the driver's words."""
    engine = open_engine(f"sqlite+aiosqlite:///{tmp_path / 'absent' / 'registry.db'}")
    with pytest.raises(StoreUnavailable) as caught:
        await SqlInstanceStore(engine).get("acme", "int_inst_1")
    await engine.dispose()
    await drivers_threads_ended()
    assert str(tmp_path) not in caught.value.message


async def drivers_threads_ended() -> None:
    """Wait for the threads of connections that failed: they still report to this loop."""
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join, 10)


async def test_every_statement_about_rows_names_the_tenant(empty_database: AsyncEngine) -> None:
    """No read, update or delete leaves out the filter for the tenant."""
    await migrate(empty_database)
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    event.listen(empty_database.sync_engine, "before_cursor_execute", note)
    definitions, instances = SqlDefinitionStore(empty_database), SqlInstanceStore(empty_database)
    calls = [
        definitions.get("acme", "int_def_1"),
        definitions.find("acme", "a", "1.0.0"),
        definitions.document("acme", "d"),
        definitions.list("acme", DefinitionFilter("a"), PageRequest()),
        instances.get("acme", "int_inst_1"),
        instances.list("acme", InstanceFilter("a"), PageRequest()),
        instances.delete("acme", "int_inst_1"),
    ]
    await asyncio.gather(*calls, return_exceptions=True)
    about_rows = [item for item in statements if "registry_" in item]
    assert len(about_rows) >= len(calls)
    assert all(re.search(r"WHERE registry_\w+\.tenant = ", item) for item in about_rows)
