"""The connection to the registry's database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from registry.errors import StoreUnavailable

# WAL: readers never wait for a writer. A power cut may cost the last moments, never the file.
_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 5000",  # milliseconds
)


def open_engine(url: str) -> AsyncEngine:
    """Make the engine for `sqlite+aiosqlite:///…` or `postgresql+asyncpg://…`; connects later.

    The caller disposes of it. What was sent is never part of an error's text.
    """
    engine = create_async_engine(url, hide_parameters=True, skip_autocommit_rollback=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _set_pragmas)
    return engine


@contextmanager
def database_errors() -> Iterator[None]:
    """Raise `StoreUnavailable` for whatever the database or its driver raises inside."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        message = "The registry's database cannot be used now; the log has what it said"
        raise StoreUnavailable(message) from error


def _set_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()
