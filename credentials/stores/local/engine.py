"""The database connection of the local store."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from credentials.errors import StoreUnavailable

# FULL: what was answered survives a power cut, which a rotated token must. secure_delete: freed
# pages are zeroed. foreign_keys: off unless each connection asks.
_PRAGMAS = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 5000",  # milliseconds
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
)
_WRITE_AHEAD = "PRAGMA journal_mode = WAL"  # readers never wait for a writer


def open_engine(url: str) -> AsyncEngine:
    """Make the engine for `sqlite+aiosqlite:///…` or `postgresql+asyncpg://…`; connects later.

    The caller disposes of it.
    """
    engine = create_async_engine(url, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _set_pragmas)
    return engine


@contextmanager
def database_errors() -> Iterator[None]:
    """Raise `StoreUnavailable` for whatever the database or its driver raises inside."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        raise StoreUnavailable(
            "The credential store cannot be used now; its database said why in the log"
        ) from error


def _set_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    # The file keeps this mode, and SQLite does not wait when two set it on a new file at once: the
    # loser may go on, in whatever mode the file is by then.
    with suppress(sqlite3.OperationalError):
        cursor.execute(_WRITE_AHEAD)
    cursor.close()
