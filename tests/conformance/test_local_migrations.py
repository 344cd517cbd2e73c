"""Bringing the tables of an earlier release to this one's form, on each database."""

from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from credentials.errors import MasterKeyMissing, MasterKeyWrong
from credentials.model import Part, RecordKey, SecretRecord
from credentials.records import encode
from credentials.stores.local.key_file import KeyFile
from credentials.stores.local.migrate import HEAD, migrate
from credentials.stores.local.sealing import new_key, seal
from credentials.stores.local.store import LocalSecretStore
from credentials.stores.local.tables import VERSION_TABLE, metadata
from tests.conformance.sealed_rows import emptied, url_of

FIELDS = {"apiKey": "from the first release"}
KEY = RecordKey("acme", "int_inst_1")
DELETED = RecordKey("acme", "int_inst_2")


@pytest.fixture(params=["sqlite", "postgres"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """Answer an engine on each database in turn, with the tables of the first release."""
    async with emptied(url_of(request.param, request, tmp_path)) as opened:
        async with opened.begin() as connection:
            await connection.run_sync(metadata.drop_all)
            await connection.exec_driver_sql(f"DROP TABLE {VERSION_TABLE}")
            await connection.run_sync(first_release)
        yield opened


@pytest.fixture
async def source(engine: AsyncEngine, tmp_path: Path) -> KeyFile:
    """Answer the master key of a store that the first release has written."""
    made = KeyFile.create(tmp_path / "master-key")
    (master,), data_key = made.load().values, new_key()
    check = seal(master, b"integration-service credentials", ("master-key-check", 1))
    wrapped = seal(master, data_key, ("data-key", KEY.tenant, 1, 1))
    sealed = seal(data_key, encode(SecretRecord(FIELDS)), ("record", *KEY[:2], 3))
    rows: list[tuple[str, dict[str, Any]]] = [
        ("INSERT INTO credentials_master_keys VALUES (1, :check)", {"check": check}),
        ("INSERT INTO credentials_data_keys VALUES ('acme', 1, 1, :it)", {"it": wrapped}),
        ("INSERT INTO credentials_records VALUES (:t, :i, 3, 1, :it)", _at(KEY, it=sealed)),
        ("INSERT INTO credentials_records VALUES (:t, :i, 5, NULL, NULL)", _at(DELETED)),
    ]
    async with engine.begin() as connection:
        for statement, parameters in rows:
            await connection.execute(text(statement), parameters)
    return made


def _at(key: RecordKey, **more: object) -> dict[str, Any]:
    return {"t": key.tenant, "i": key.instance_id, **more}


def first_release(connection: Connection) -> None:
    """Make the tables as the first release did."""
    config = Config()
    config.set_main_option("script_location", "credentials.stores.local:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "0001")


def state(connection: Connection) -> list[Any]:
    """Read how the tables differ from those that the statements are written for."""
    options = {"version_table": VERSION_TABLE}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def revision(engine: AsyncEngine) -> str | None:
    """Read the revision of the tables."""
    async with engine.connect() as connection:
        found: str | None = await connection.scalar(text(f"SELECT * FROM {VERSION_TABLE}"))  # noqa: S608
    return found


async def test_records_of_the_first_release(engine: AsyncEngine, source: KeyFile) -> None:
    """What the first release has sealed is an instance's config, with the version it had."""
    await migrate(engine, source)
    async with engine.connect() as connection:
        assert await connection.run_sync(state) == []
    store = await LocalSecretStore.open(engine, source)
    found = await store.get(KEY)
    assert found is not None
    assert (found.record.fields, found.version) == (FIELDS, 3)
    assert await store.put(KEY, SecretRecord({"apiKey": "new"}), 3) == 4
    assert await store.get(DELETED) is None
    assert await store.put(DELETED, SecretRecord({}), 0) == 6
    grant = KEY._replace(part=Part.GRANT)
    assert await store.get(grant) is None
    assert await store.put(grant, SecretRecord({}), 0) == 1


async def test_nothing_is_migrated_without_the_key(
    engine: AsyncEngine, source: KeyFile, tmp_path: Path
) -> None:
    """Tables whose master key is not there stay as the first release has left them."""
    wrong = KeyFile(tmp_path / "wrong-key")
    with pytest.raises(MasterKeyMissing):
        await migrate(engine, wrong)
    wrong.path.write_bytes(b64encode(bytes(32)))
    with pytest.raises(MasterKeyWrong):
        await migrate(engine, wrong)
    assert await revision(engine) == "0001"
    await migrate(engine, source)
    assert await revision(engine) == HEAD
