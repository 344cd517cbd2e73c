"""Instances in a database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from registry import pages
from registry.errors import no_instance, stale
from registry.ids import INSTANCE_PREFIX
from registry.model import (
    Instance,
    InstanceError,
    InstanceFilter,
    InstanceStatus,
    Page,
    PageRequest,
)
from registry.stores.sql.engine import database_errors
from registry.stores.sql.rows import Rows, containing, page_of, reading, replaced
from registry.stores.sql.tables import instances


class SqlInstanceStore:
    """Satisfies `InstanceStore`. Raises `StoreUnavailable` when the database does not answer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    async def add(self, instance: Instance) -> None:
        """Keep a new one."""
        values = {
            "tenant": instance.tenant,
            "id": instance.id,
            "definition_id": instance.definition_id,
            "definition_digest": instance.definition_digest,
            "created_at": instance.created_at,
            **_changeable(instance),
        }
        with database_errors():
            async with self._engine.begin() as connection:
                await connection.execute(insert(instances).values(values))

    async def get(self, tenant: str, instance_id: str) -> Instance:
        """Answer one."""
        query = Rows(instances, tenant).select().where(instances.c.id == instance_id)
        with database_errors():
            async with self._reading.connect() as connection:
                row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise no_instance(instance_id)
        return _instance(row)

    async def list(
        self, tenant: str, chosen: InstanceFilter, request: PageRequest
    ) -> Page[Instance]:
        """Answer a page, newest first."""
        conditions = containing(instances.c.search, chosen.search)
        if chosen.status:
            conditions.append(instances.c.status == chosen.status.value)
        if chosen.definition_id:
            conditions.append(instances.c.definition_id == chosen.definition_id)
        rows = Rows(instances, tenant)
        with database_errors():
            async with self._reading.connect() as connection:
                total, found = await page_of(connection, rows, conditions, request, INSTANCE_PREFIX)
        return pages.page(tuple(map(_instance, found)), total, request)

    async def replace(self, instance: Instance, expected_etag: str) -> None:
        """Write what can change."""
        statement = (
            Rows(instances, instance.tenant)
            .update()
            .where(instances.c.id == instance.id, instances.c.etag == expected_etag)
            .values(_changeable(instance))
        )
        with database_errors():
            async with self._engine.begin() as connection:
                done = await replaced(connection, statement)
        if not done:
            await self.get(instance.tenant, instance.id)
            raise stale(instance.id)

    async def delete(self, tenant: str, instance_id: str) -> None:
        """Forget one."""
        statement = Rows(instances, tenant).delete().where(instances.c.id == instance_id)
        with database_errors():
            async with self._engine.begin() as connection:
                result = await connection.execute(statement)
        if result.rowcount == 0:
            raise no_instance(instance_id)

    async def connected(self, after: tuple[str, str], limit: int) -> Sequence[tuple[str, str]]:
        """Answer who is connected, of all tenants."""
        place = tuple_(instances.c.tenant, instances.c.id)
        query = (
            select(instances.c.tenant, instances.c.id)
            .where(place > after, instances.c.status == InstanceStatus.CONNECTED.value)
            .order_by(instances.c.tenant, instances.c.id)
            .limit(limit)
        )
        with database_errors():
            async with self._reading.connect() as connection:
                return [(row.tenant, row.id) for row in await connection.execute(query)]


def _changeable(instance: Instance) -> dict[str, Any]:
    return {
        "name": instance.name,
        "status": instance.status.value,
        "config": dict(instance.config),
        "secret_fields": list(instance.secret_fields),
        "error": _error_values(instance.error),
        "updated_at": instance.updated_at,
        "last_connected_at": instance.last_connected_at,
        "etag": instance.etag,
        "credentials_version": instance.credentials_version,
        "search": pages.searchable(instance.name),
    }


def _error_values(error: InstanceError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {"code": error.code, "message": error.message, "details": dict(error.details)}


def _instance(row: Row[Any]) -> Instance:
    return Instance(
        id=row.id,
        tenant=row.tenant,
        definition_id=row.definition_id,
        definition_digest=row.definition_digest,
        name=row.name,
        status=InstanceStatus(row.status),
        config=row.config,
        created_at=row.created_at,
        updated_at=row.updated_at,
        etag=row.etag,
        secret_fields=tuple(row.secret_fields),
        error=InstanceError(**row.error) if row.error else None,
        last_connected_at=row.last_connected_at,
        credentials_version=row.credentials_version,
    )
