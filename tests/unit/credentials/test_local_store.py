"""The store of sealed rows: keys, tampering, migrations, and what is left in the file."""

import asyncio
import sqlite3
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncEngine

from credentials.errors import MasterKeyWrong, RecordCorrupt, StoreUnavailable
from credentials.model import Part, RecordKey, SecretRecord
from credentials.stores.local.engine import open_engine
from credentials.stores.local.key_file import KeyFile
from credentials.stores.local.migrate import HEAD, migrate
from credentials.stores.local.store import LocalSecretStore
from credentials.stores.local.tables import VERSION_TABLE, metadata

SECRET = "mark-7f3a9c-secret-of-acme-0123456789"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Answer the path of the database."""
    return tmp_path / "credentials.db"


@asynccontextmanager
async def connected(database: Path) -> AsyncIterator[AsyncEngine]:
    """Open an engine, and leave no thread of it behind."""
    engine = open_engine(f"sqlite+aiosqlite:///{database}")
    try:
        yield engine
    finally:
        await engine.dispose()


@pytest.fixture
async def engine(database: Path) -> AsyncIterator[AsyncEngine]:
    """Answer an engine on a migrated database."""
    async with connected(database) as engine:
        await migrate(engine)
        yield engine


@pytest.fixture
async def store(engine: AsyncEngine, tmp_path: Path) -> LocalSecretStore:
    """Answer an empty store with a new master key."""
    return await LocalSecretStore.open(engine, KeyFile.create(tmp_path / "master-key"))


def tamper(database: Path, statement: str, *parameters: object) -> None:
    """Change the database behind the store's back."""
    with closing(sqlite3.connect(database)) as connection, connection:
        assert connection.execute(statement, parameters).rowcount > 0


def rows(database: Path, table: str) -> list[tuple[Any, ...]]:
    """Read a table as it is in the file."""
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
    return sorted(found, key=lambda row: row[:3])


def bytes_in(directory: Path, *names: str) -> bytes:
    """Read files."""
    return b"".join((directory / name).read_bytes() for name in names)


def everything(database: Path) -> list[list[tuple[Any, ...]]]:
    """Read all tables of the store."""
    return [rows(database, table) for table in [*metadata.tables, VERSION_TABLE]]


async def test_opens_again(store: LocalSecretStore, engine: AsyncEngine, tmp_path: Path) -> None:
    """Another process with the same key reads what this one has written."""
    await store.put(RecordKey("acme", "i1"), SecretRecord({"apiKey": SECRET}), 0)
    again = await LocalSecretStore.open(engine, KeyFile(tmp_path / "master-key"))
    found = await again.get(RecordKey("acme", "i1"))
    assert found is not None
    assert found.record.fields == {"apiKey": SECRET}


async def test_wrong_master_key(
    store: LocalSecretStore, engine: AsyncEngine, database: Path, tmp_path: Path
) -> None:
    """Another key is refused at once, its file is named, and nothing in the database changes."""
    await store.put(RecordKey("acme", "i1"), SecretRecord({"apiKey": SECRET}), 0)
    before = everything(database)
    other = KeyFile.create(tmp_path / "other-key")
    with pytest.raises(MasterKeyWrong, match="backup") as caught:
        await LocalSecretStore.open(engine, other)
    assert caught.value.details == {"source": str(tmp_path / "other-key")}
    assert everything(database) == before


async def test_first_opened_by_many(engine: AsyncEngine, database: Path, tmp_path: Path) -> None:
    """Of processes that open a new store with different keys, one gives it its key."""
    keys = [KeyFile.create(tmp_path / f"key-{number}") for number in range(5)]
    answers = await asyncio.gather(
        *(LocalSecretStore.open(engine, key) for key in keys), return_exceptions=True
    )
    kinds = [type(answer) for answer in answers]
    assert sorted(kind.__name__ for kind in kinds) == ["LocalSecretStore"] + ["MasterKeyWrong"] * 4
    assert len(rows(database, "credentials_master_keys")) == 1


async def test_nothing_readable_in_the_files(
    store: LocalSecretStore, engine: AsyncEngine, tmp_path: Path
) -> None:
    """Neither a secret nor a field's name is in the database or its log, plain or in base64."""
    await store.put(RecordKey("acme", "i1"), SecretRecord({"apiKeyField": SECRET}), 0)
    await store.put(RecordKey("acme", "i1"), SecretRecord({"apiKeyField": SECRET, "n": 2}), 1)
    await store.get(RecordKey("acme", "i1"))
    content = bytes_in(tmp_path, "credentials.db", "credentials.db-wal")
    await engine.dispose()
    content += bytes_in(tmp_path, "credentials.db")
    assert content.count(b"acme") >= 2
    for offset in range(3):  # base64 of a text depends on where in its triples it begins
        assert b64encode(SECRET.encode()[offset:])[:-4] not in content
    for hidden in (SECRET, "apiKeyField", SECRET.encode().hex()):
        assert hidden.encode() not in content


async def test_deletion_leaves_the_version_only(
    store: LocalSecretStore, engine: AsyncEngine, database: Path
) -> None:
    """After a deletion the row holds no sealed bytes, and neither does the file once closed."""
    await store.put(RecordKey("acme", "i1"), SecretRecord({"apiKey": SECRET}), 0)
    ((*_, sealed),) = rows(database, "credentials_records")
    await store.delete(RecordKey("acme", "i1"))
    assert rows(database, "credentials_records") == [("acme", "i1", "config", 1, None, None)]
    await engine.dispose()
    assert sealed not in bytes_in(database.parent, database.name)


async def test_rows_name_their_keys(store: LocalSecretStore, database: Path) -> None:
    """Each record names its data key, each data key its master key, one per tenant."""
    for tenant, instance_id in [("acme", "i1"), ("acme", "i2"), ("zeta", "i1")]:
        await store.put(RecordKey(tenant, instance_id), SecretRecord({}), 0)
    assert [row[:5] for row in rows(database, "credentials_records")] == [
        ("acme", "i1", "config", 1, 1),
        ("acme", "i2", "config", 1, 1),
        ("zeta", "i1", "config", 1, 1),
    ]
    assert [row[:3] for row in rows(database, "credentials_data_keys")] == [
        ("acme", 1, 1),
        ("zeta", 1, 1),
    ]


async def test_many_first_writers_of_a_tenant(store: LocalSecretStore, database: Path) -> None:
    """Writers that come to a new tenant at the same time make one data key and all succeed."""
    ids = [f"i{number}" for number in range(20)]
    await asyncio.gather(
        *(store.put(RecordKey("acme", id_), SecretRecord({"id": id_}), 0) for id_ in ids)
    )
    found = [await store.get(RecordKey("acme", id_)) for id_ in ids]
    assert [item.record.fields["id"] for item in found if item] == ids
    assert len(rows(database, "credentials_data_keys")) == 1


OTHERS_KEY = """
UPDATE credentials_data_keys
SET wrapped = (SELECT wrapped FROM credentials_data_keys WHERE tenant = 'evil')
WHERE tenant = 'acme'
"""
MOVED = (
    "UPDATE credentials_records SET sealed = (SELECT sealed FROM credentials_records o WHERE {})"
)


@pytest.mark.parametrize(
    "statement",
    [
        MOVED.format("o.tenant = 'evil'") + " WHERE tenant = 'acme'",
        MOVED.format("o.instance_id = 'i2'") + " WHERE tenant = 'acme' AND instance_id = 'i1'",
        MOVED.format("o.part = 'grant'") + " WHERE tenant = 'acme' AND part = 'config'",
        "UPDATE credentials_records SET version = version + 1 WHERE tenant = 'acme'",
        "UPDATE credentials_records SET sealed = x'00' WHERE tenant = 'acme'",
        "UPDATE credentials_records SET sealed = x'' WHERE tenant = 'acme'",
        "UPDATE credentials_records SET sealed = CAST(substr(sealed, 1, 20) AS BLOB)",
        "UPDATE credentials_records SET key_id = 2",
        "UPDATE credentials_data_keys SET master_key_id = 2",
        "DELETE FROM credentials_data_keys WHERE tenant = 'acme'",
        OTHERS_KEY,
        "UPDATE credentials_records SET tenant = 'new' WHERE tenant = 'acme'",
    ],
)
async def test_tampering(store: LocalSecretStore, database: Path, statement: str) -> None:
    """Sealed bytes that were changed or moved to another tenant, id, part or version stay shut."""
    await store.put(RecordKey("acme", "i1"), SecretRecord({"apiKey": SECRET}), 0)
    await store.put(RecordKey("acme", "i2"), SecretRecord({"apiKey": "of another instance"}), 0)
    await store.put(RecordKey("acme", "i1", Part.GRANT), SecretRecord({"apiKey": "a token"}), 0)
    await store.put(RecordKey("evil", "i1"), SecretRecord({"apiKey": "of another tenant"}), 0)
    tamper(database, statement)
    tenant = "new" if "'new'" in statement else "acme"
    with pytest.raises(RecordCorrupt) as caught:
        await store.get(RecordKey(tenant, "i1"))
    assert caught.value.details["what"] in {"record", "dataKey"}


async def test_old_bytes_do_not_come_back(store: LocalSecretStore, database: Path) -> None:
    """Sealed bytes of an earlier version do not pass for the present one."""
    await store.put(RecordKey("acme", "i1"), SecretRecord({"apiKey": "leaked"}), 0)
    ((*_, old),) = rows(database, "credentials_records")
    await store.put(RecordKey("acme", "i1"), SecretRecord({"apiKey": "rotated"}), 1)
    tamper(database, "UPDATE credentials_records SET sealed = ?", old)
    with pytest.raises(RecordCorrupt):
        await store.get(RecordKey("acme", "i1"))


async def test_corrupt_records_can_be_replaced(store: LocalSecretStore, database: Path) -> None:
    """A record that does not open can be deleted and made anew."""
    await store.put(RecordKey("acme", "i1"), SecretRecord({"apiKey": SECRET}), 0)
    tamper(database, "UPDATE credentials_records SET sealed = x'00'")
    await store.delete(RecordKey("acme", "i1"))
    assert await store.put(RecordKey("acme", "i1"), SecretRecord({"apiKey": SECRET}), 0) == 2


async def test_unavailable(tmp_path: Path) -> None:
    """A database without our tables and a file that is no database are the same error."""
    key = KeyFile.create(tmp_path / "master-key")
    for path in (tmp_path / "empty.db", tmp_path / "master-key"):
        async with connected(path) as engine:
            with pytest.raises(StoreUnavailable):
                await LocalSecretStore.open(engine, key)


async def test_verbs_when_unavailable(store: LocalSecretStore, database: Path) -> None:
    """When the database fails later, each verb says that the store is unavailable, and no more."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DROP TABLE credentials_records")
    for verb in (
        store.get(RecordKey("acme", "i1")),
        store.put(RecordKey("acme", "i1"), SecretRecord({"apiKey": SECRET}), 0),
        store.put(RecordKey("acme", "i1"), SecretRecord({"apiKey": SECRET}), 1),
        store.delete(RecordKey("acme", "i1")),
    ):
        with pytest.raises(StoreUnavailable) as caught:
            await verb
        assert SECRET not in f"{caught.value} {caught.value.__cause__}"


async def test_migrations_make_the_tables(engine: AsyncEngine) -> None:
    """The migrated tables are those that the statements are written for, and HEAD is the last."""

    def differences(connection: Any) -> list[Any]:
        options = {"version_table": VERSION_TABLE}
        return list(
            compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        )

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    config = Config()
    config.set_main_option("script_location", "credentials.stores.local:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_migrating_again(engine: AsyncEngine, database: Path) -> None:
    """Migrating what is migrated changes nothing."""
    before = everything(database)
    await migrate(engine)
    assert everything(database) == before


async def test_migrating_at_the_same_time(database: Path) -> None:
    """Of processes that start together one makes the tables, and the others find them."""
    async with AsyncExitStack() as stack:
        engines = [await stack.enter_async_context(connected(database)) for _ in range(8)]
        migrating = (migrate(engine) for engine in engines)
        assert await asyncio.gather(*migrating, return_exceptions=True) == [None] * 8
    assert rows(database, VERSION_TABLE) == [(HEAD,)]
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]


async def test_migrating_beside_other_tables(database: Path) -> None:
    """Tables of others in the same file stay as they are, and so does their own version table."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('theirs')")
    async with connected(database) as engine:
        await migrate(engine)
    assert rows(database, "alembic_version") == [("theirs",)]


async def test_tables_of_a_newer_release(engine: AsyncEngine, database: Path) -> None:
    """Tables that a newer release has made are refused and left alone."""
    tamper(database, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")  # noqa: S608
    before = everything(database)
    with pytest.raises(StoreUnavailable, match="newer release"):
        await migrate(engine)
    assert everything(database) == before
