"""What both stores ask of their tables.

Every statement about existing rows is made here, so the filter for the tenant stands in one place.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Delete,
    Row,
    Select,
    Table,
    Update,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from registry import pages
from registry.model import PageRequest


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one table that belong to one tenant."""

    table: Table
    tenant: str

    def select(self, *columns: Any) -> Select[Any]:
        """Read these columns, all of them when none is named."""
        return select(*(columns or (self.table,))).where(self._owned)

    def update(self) -> Update:
        """Write to rows."""
        return update(self.table).where(self._owned)

    def delete(self) -> Delete:
        """Remove rows."""
        return delete(self.table).where(self._owned)

    @property
    def _owned(self) -> ColumnElement[bool]:
        owned: ColumnElement[bool] = self.table.c.tenant == self.tenant
        return owned


def reading(engine: AsyncEngine) -> AsyncEngine:
    """Answer the same engine for single reads, which need no transaction around them.

    The SQLite driver starts none for a read anyway, and being told so doubles the time of one.
    """
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="AUTOCOMMIT")


async def replaced(connection: AsyncConnection, statement: Update) -> bool:
    """Run an update of at most one row; tell whether there was one."""
    result: CursorResult[Any] = await connection.execute(statement)
    return result.rowcount == 1


async def page_of(
    connection: AsyncConnection,
    rows: Rows,
    conditions: list[ColumnElement[bool]],
    request: PageRequest,
    prefix: str,
) -> tuple[int, list[Row[Any]]]:
    """Answer how many rows there are, and those of the page, with one more if more follow."""
    newest_first = rows.select().where(*conditions).order_by(rows.table.c.id.desc())
    newest_first = newest_first.limit(request.limit + 1)
    if request.token:
        last = pages.last_id(request.token, prefix)
        newest_first = newest_first.where(rows.table.c.id < last)
    else:
        newest_first = newest_first.offset((request.page - 1) * request.limit)
    count = rows.select(func.count()).select_from(rows.table).where(*conditions)
    total = await connection.scalar(count)
    return total or 0, list(await connection.execute(newest_first))


def containing(column: ColumnElement[str], search: str) -> list[ColumnElement[bool]]:
    """Answer the condition that a text contains another, as written; none for the empty text."""
    return [column.contains(pages.searchable(search), autoescape=True)] if search else []
