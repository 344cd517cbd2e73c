"""What the registry needs from outside."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from registry.model import (
    DefinitionEntry,
    DefinitionFilter,
    DefinitionSummary,
    Instance,
    InstanceFilter,
    Page,
    PageRequest,
    Problem,
)

Clock = Callable[[], datetime]
"""Answers the present, an aware UTC datetime."""

InstanceListener = Callable[[str, str], None]
"""Is told (tenant, instance id) at once when an instance has changed or is gone."""


class DefinitionStore(Protocol):
    """Keeps definitions; no call ever sees another tenant's.

    Content is kept once per tenant and digest. Ids are well-formed when they get here.
    """

    async def add(self, entry: DefinitionEntry) -> None:
        """Keep a new one. Raises `DefinitionExists` if the tenant has its name and version."""
        ...

    async def get(self, tenant: str, definition_id: str) -> DefinitionEntry:
        """Raises `DefinitionNotFound`."""
        ...

    async def find(self, tenant: str, name: str, version: str) -> DefinitionEntry | None:
        """Answer the one of this name and version."""
        ...

    async def document(self, tenant: str, digest: str) -> bytes:
        """Answer the canonical text of this digest. Raises `DefinitionNotFound`."""
        ...

    async def list(
        self, tenant: str, chosen: DefinitionFilter, request: PageRequest
    ) -> Page[DefinitionSummary]:
        """Answer a page, newest first. Raises `InvalidPageRequest` for a token it never gave."""
        ...

    async def replace(self, entry: DefinitionEntry, expected_etag: str) -> None:
        """Write status, times, and etag; the content stays.

        Raises `DefinitionNotFound`, and `StaleEtag` unless the stored etag is the expected one: of
        several writers who expect the same etag one succeeds.
        """
        ...


class InstanceStore(Protocol):
    """Keeps instances; no call but `connected` ever sees another tenant's.

    Ids are well-formed by now.
    """

    async def add(self, instance: Instance) -> None:
        """Keep a new one."""
        ...

    async def get(self, tenant: str, instance_id: str) -> Instance:
        """Raises `InstanceNotFound`."""
        ...

    async def list(
        self, tenant: str, chosen: InstanceFilter, request: PageRequest
    ) -> Page[Instance]:
        """Answer a page, newest first. Raises `InvalidPageRequest` for a token it never gave."""
        ...

    async def replace(self, instance: Instance, expected_etag: str) -> None:
        """Write all that can change of an instance.

        Raises `InstanceNotFound`, and `StaleEtag` unless the stored etag is the expected one: of
        several writers who expect the same etag one succeeds.
        """
        ...

    async def delete(self, tenant: str, instance_id: str) -> None:
        """Raises `InstanceNotFound`."""
        ...

    async def connected(self, after: tuple[str, str], limit: int) -> Sequence[tuple[str, str]]:
        """Answer who is connected, of all tenants: tenant and id of each, in this order.

        Those behind `after`, at most `limit`. For upkeep, which belongs to no tenant.
        """
        ...


class SecretVault(Protocol):
    """Keeps the config of instances with the secrets in it, where the registry cannot read it."""

    async def update(
        self, tenant: str, instance_id: str, fields: Mapping[str, Any], removed: Collection[str]
    ) -> int:
        """Set these fields, remove those of these names, leave the others as they are.

        Answers the version of what is kept now, from 1.
        """
        ...

    async def delete(self, tenant: str, instance_id: str) -> None:
        """Forget everything of the instance; forgetting nothing succeeds too."""
        ...


class ScriptChecker(Protocol):
    """Knows whether a transform compiles."""

    async def check(self, source: str) -> tuple[Problem, ...]:
        """Answer what is wrong with it, with line and column; their `path` is empty."""
        ...
