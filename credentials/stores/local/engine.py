"""The database connection of the local store."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from credentials.errors import StoreUnavailable

# WAL: readers never wait for a writer. FULL: what was answered survives a power cut, which a
# rotated token must. secure_delete: freed pages are zeroed.
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA busy_timeout = 5000",  # milliseconds
    "PRAGMA secure_delete = ON",
)


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
    cursor.close()
