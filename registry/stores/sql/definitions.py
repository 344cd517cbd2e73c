"""Definitions in a database."""

from typing import Any

from sqlalchemy import ColumnElement, Row, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from registry import pages
from registry.errors import definition_exists, no_definition, stale
from registry.ids import DEFINITION_PREFIX
from registry.model import (
    DefinitionEntry,
    DefinitionFilter,
    DefinitionStatus,
    DefinitionSummary,
    Page,
    PageRequest,
)
from registry.parse import parse_document
from registry.problems import as_details, from_details
from registry.stores.sql.engine import database_errors
from registry.stores.sql.rows import Rows, containing, page_of, reading, replaced
from registry.stores.sql.tables import contents, definitions


class SqlDefinitionStore:
    """Satisfies `DefinitionStore`. Raises `StoreUnavailable` when the database does not answer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    async def add(self, entry: DefinitionEntry) -> None:
        """Keep a new one."""
        content = entry.definition
        document = {
            "tenant": entry.tenant,
            "digest": content.digest,
            "document": content.document,
        }
        with database_errors():
            try:
                async with self._engine.begin() as connection:
                    await connection.execute(insert(contents).values(document))
                    await connection.execute(insert(definitions).values(_values(entry)))
            except IntegrityError:
                # Name and version are part of the content: the same digest is the same version.
                raise definition_exists(content.name, content.version) from None

    async def get(self, tenant: str, definition_id: str) -> DefinitionEntry:
        """Answer one."""
        entry = await self._one(tenant, definitions.c.id == definition_id)
        if entry is None:
            raise no_definition(definition_id)
        return entry

    async def find(self, tenant: str, name: str, version: str) -> DefinitionEntry | None:
        """Answer the one of this name and version."""
        same = (definitions.c.name == name, definitions.c.version == version)
        return await self._one(tenant, *same)

    async def document(self, tenant: str, digest: str) -> bytes:
        """Answer a canonical text."""
        rows = Rows(contents, tenant)
        query = rows.select(contents.c.document).where(contents.c.digest == digest)
        with database_errors():
            async with self._reading.connect() as connection:
                document: bytes | None = await connection.scalar(query)
        if document is None:
            raise no_definition(digest)
        return document

    async def list(
        self, tenant: str, chosen: DefinitionFilter, request: PageRequest
    ) -> Page[DefinitionSummary]:
        """Answer a page, newest first."""
        conditions = containing(definitions.c.search, chosen.search)
        if chosen.status:
            conditions.append(definitions.c.status == chosen.status.value)
        if chosen.type:
            conditions.append(definitions.c.type == chosen.type)
        rows = Rows(definitions, tenant)
        with database_errors():
            async with self._reading.connect() as connection:
                total, found = await page_of(
                    connection, rows, conditions, request, DEFINITION_PREFIX
                )
        return pages.page(tuple(map(_summary, found)), total, request)

    async def replace(self, entry: DefinitionEntry, expected_etag: str) -> None:
        """Write what can change."""
        statement = (
            Rows(definitions, entry.tenant)
            .update()
            .where(definitions.c.id == entry.id, definitions.c.etag == expected_etag)
            .values(
                status=entry.status.value,
                updated_at=entry.updated_at,
                published_at=entry.published_at,
                etag=entry.etag,
            )
        )
        with database_errors():
            async with self._engine.begin() as connection:
                done = await replaced(connection, statement)
        if not done:
            await self.get(entry.tenant, entry.id)
            raise stale(entry.id)

    async def _one(self, tenant: str, *conditions: ColumnElement[bool]) -> DefinitionEntry | None:
        query = (
            Rows(definitions, tenant)
            .select(definitions, contents.c.document)
            .join_from(definitions, contents)
            .where(*conditions)
        )
        with database_errors():
            async with self._reading.connect() as connection:
                row = (await connection.execute(query)).one_or_none()
        return _entry(row) if row else None


def _values(entry: DefinitionEntry) -> dict[str, Any]:
    content = entry.definition
    return {
        "tenant": entry.tenant,
        "id": entry.id,
        "name": content.name,
        "description": content.description,
        "version": content.version,
        "type": content.type,
        "auth_type": content.auth_type,
        "method_count": len(content.methods),
        "digest": content.digest,
        "status": entry.status.value,
        "created_at": entry.created_at,
        "updated_at": entry.updated_at,
        "published_at": entry.published_at,
        "etag": entry.etag,
        "warnings": as_details(entry.warnings),
        "search": pages.searchable(content.name, content.description),
    }


def _entry(row: Row[Any]) -> DefinitionEntry:
    return DefinitionEntry(
        id=row.id,
        tenant=row.tenant,
        definition=parse_document(row.document),
        status=DefinitionStatus(row.status),
        created_at=row.created_at,
        updated_at=row.updated_at,
        etag=row.etag,
        published_at=row.published_at,
        warnings=from_details(row.warnings),
    )


def _summary(row: Row[Any]) -> DefinitionSummary:
    return DefinitionSummary(
        id=row.id,
        name=row.name,
        description=row.description,
        version=row.version,
        type=row.type,
        auth_type=row.auth_type,
        method_count=row.method_count,
        digest=row.digest,
        status=DefinitionStatus(row.status),
        created_at=row.created_at,
        updated_at=row.updated_at,
        etag=row.etag,
        published_at=row.published_at,
    )
