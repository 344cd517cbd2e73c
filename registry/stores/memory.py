"""Stores in memory: for tests and try-outs; everything ends with the process."""

from collections.abc import Iterable, Sequence

from registry import pages
from registry.errors import definition_exists, no_definition, no_instance, stale
from registry.ids import DEFINITION_PREFIX, INSTANCE_PREFIX
from registry.model import (
    DefinitionEntry,
    DefinitionFilter,
    DefinitionSummary,
    Instance,
    InstanceFilter,
    InstanceStatus,
    Page,
    PageRequest,
)


class MemoryDefinitionStore:
    """Satisfies `DefinitionStore`."""

    def __init__(self) -> None:
        self._tenants: dict[str, dict[str, DefinitionEntry]] = {}

    async def add(self, entry: DefinitionEntry) -> None:
        """Keep a new one."""
        content = entry.definition
        if await self.find(entry.tenant, content.name, content.version):
            raise definition_exists(content.name, content.version)
        self._tenants.setdefault(entry.tenant, {})[entry.id] = entry

    async def get(self, tenant: str, definition_id: str) -> DefinitionEntry:
        """Answer one."""
        entry = self._of(tenant).get(definition_id)
        if entry is None:
            raise no_definition(definition_id)
        return entry

    async def find(self, tenant: str, name: str, version: str) -> DefinitionEntry | None:
        """Answer the one of this name and version."""
        for entry in self._of(tenant).values():
            if (entry.definition.name, entry.definition.version) == (name, version):
                return entry
        return None

    async def document(self, tenant: str, digest: str) -> bytes:
        """Answer a canonical text."""
        for entry in self._of(tenant).values():
            if entry.definition.digest == digest:
                return entry.definition.document
        raise no_definition(digest)

    async def list(
        self, tenant: str, chosen: DefinitionFilter, request: PageRequest
    ) -> Page[DefinitionSummary]:
        """Answer a page, newest first."""
        needle = pages.searchable(chosen.search)
        found = [
            entry.summary
            for entry in self._of(tenant).values()
            if needle in pages.searchable(entry.definition.name, entry.definition.description)
            and chosen.status in {None, entry.status}
            and chosen.type in {"", entry.definition.type}
        ]
        return _page(found, request, DEFINITION_PREFIX)

    async def replace(self, entry: DefinitionEntry, expected_etag: str) -> None:
        """Write what can change."""
        stored = await self.get(entry.tenant, entry.id)
        if stored.etag != expected_etag:
            raise stale(entry.id)
        self._tenants[entry.tenant][entry.id] = entry

    def _of(self, tenant: str) -> dict[str, DefinitionEntry]:
        return self._tenants.get(tenant, {})


class MemoryInstanceStore:
    """Satisfies `InstanceStore`."""

    def __init__(self) -> None:
        self._tenants: dict[str, dict[str, Instance]] = {}

    async def add(self, instance: Instance) -> None:
        """Keep a new one."""
        self._tenants.setdefault(instance.tenant, {})[instance.id] = instance

    async def get(self, tenant: str, instance_id: str) -> Instance:
        """Answer one."""
        instance = self._of(tenant).get(instance_id)
        if instance is None:
            raise no_instance(instance_id)
        return instance

    async def list(
        self, tenant: str, chosen: InstanceFilter, request: PageRequest
    ) -> Page[Instance]:
        """Answer a page, newest first."""
        needle = pages.searchable(chosen.search)
        found = [
            instance
            for instance in self._of(tenant).values()
            if needle in pages.searchable(instance.name)
            and chosen.status in {None, instance.status}
            and chosen.definition_id in {"", instance.definition_id}
        ]
        return _page(found, request, INSTANCE_PREFIX)

    async def replace(self, instance: Instance, expected_etag: str) -> None:
        """Write what can change."""
        stored = await self.get(instance.tenant, instance.id)
        if stored.etag != expected_etag:
            raise stale(instance.id)
        self._tenants[instance.tenant][instance.id] = instance

    async def delete(self, tenant: str, instance_id: str) -> None:
        """Forget one."""
        await self.get(tenant, instance_id)
        del self._tenants[tenant][instance_id]

    async def connected(self, after: tuple[str, str], limit: int) -> Sequence[tuple[str, str]]:
        """Answer who is connected, of all tenants."""
        found = (
            (tenant, instance.id)
            for tenant, instances in self._tenants.items()
            for instance in instances.values()
            if instance.status is InstanceStatus.CONNECTED
        )
        return sorted(who for who in found if who > after)[:limit]

    def _of(self, tenant: str) -> dict[str, Instance]:
        return self._tenants.get(tenant, {})


def _page(found: Iterable[pages.Row], request: PageRequest, prefix: str) -> Page[pages.Row]:
    rows = sorted(found, key=lambda row: row.id, reverse=True)
    total = len(rows)
    if request.token:
        last = pages.last_id(request.token, prefix)
        rows = [row for row in rows if row.id < last]
    else:
        rows = rows[(request.page - 1) * request.limit :]
    return pages.page(tuple(rows[: request.limit + 1]), total, request)
