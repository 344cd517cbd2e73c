"""Definitions: registering, finding, and moving them through their life."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final
from weakref import WeakValueDictionary

from registry import pages
from registry.errors import (
    DefinitionExists,
    InvalidDefinition,
    StaleEtag,
    StatusNotReachable,
    definition_exists,
    no_definition,
    stale,
)
from registry.etags import first_etag, next_etag
from registry.ids import DEFINITION_PREFIX, Ids, is_id
from registry.model import (
    Definition,
    DefinitionEntry,
    DefinitionFilter,
    DefinitionStatus,
    DefinitionSummary,
    Page,
    PageRequest,
    ParsedDefinition,
    Verdict,
)
from registry.parse import TYPES, examine, parse_document, transforms, with_path
from registry.ports import Clock, DefinitionStore, ScriptChecker
from registry.problems import from_details, invalid_definition

DRAFT, PUBLISHED, DEPRECATED, ARCHIVED = DefinitionStatus
_REACHED_FROM: Final[Mapping[DefinitionStatus, frozenset[DefinitionStatus]]] = {
    PUBLISHED: frozenset({DRAFT, DEPRECATED}),
    DEPRECATED: frozenset({PUBLISHED}),
    ARCHIVED: frozenset({DRAFT, PUBLISHED, DEPRECATED}),
}
_CACHED: Final = 1000
_ATTEMPTS: Final = 5


class Definitions:
    """Everything one can do with definitions. Ids of other tenants are ids of nothing."""

    def __init__(
        self,
        store: DefinitionStore,
        scripts: ScriptChecker,
        clock: Clock,
        *,
        cached: int = _CACHED,
    ) -> None:
        self._store = store
        self._scripts = scripts
        self._clock = clock
        self._ids = Ids(DEFINITION_PREFIX, clock)
        self._contents = _Contents(cached)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def create(self, tenant: str, text: bytes) -> DefinitionEntry:
        """Register a definition from JSON or YAML; the same content twice is the same definition.

        Raises `InvalidDefinition` with every problem, `DefinitionExists` when the tenant has
        another content under this name and version.
        """
        parsed = await self._checked(text)
        existing = await self._existing(tenant, parsed.definition)
        if existing is not None:
            return existing
        entry = self._entry(tenant, parsed)
        try:
            await self._store.add(entry)
        except DefinitionExists:
            # Somebody else registered it in between: the same content is still the same definition.
            existing = await self._existing(tenant, parsed.definition)
            if existing is None:
                raise
            return existing
        return entry

    async def validate(self, text: bytes) -> Verdict:
        """Check a definition without registering it."""
        try:
            parsed = await self._checked(text)
        except InvalidDefinition as error:
            return Verdict(problems=from_details(error.details["problems"]))
        return Verdict(warnings=parsed.warnings)

    async def get(self, tenant: str, definition_id: str) -> DefinitionEntry:
        """Answer one. Raises `DefinitionNotFound`."""
        if not is_id(definition_id):
            raise no_definition(definition_id)
        return await self._store.get(tenant, definition_id)

    async def list(
        self, tenant: str, chosen: DefinitionFilter, request: PageRequest
    ) -> Page[DefinitionSummary]:
        """Answer a page, newest first. Raises `InvalidPageRequest`."""
        pages.check(request, chosen.search)
        if chosen.type not in {"", *TYPES}:
            return Page((), 0, request)
        return await self._store.list(tenant, chosen, request)

    async def publish(self, tenant: str, definition_id: str) -> DefinitionEntry:
        """Offer a draft, or a deprecated definition again; a published one stays as it is.

        Raises `DefinitionNotFound`, `StatusNotReachable`, `StaleEtag` when others always win.
        """
        return await self._move(tenant, definition_id, PUBLISHED)

    async def deprecate(self, tenant: str, definition_id: str) -> DefinitionEntry:
        """Mark a published one as better not chosen. Raises as `publish` does."""
        return await self._move(tenant, definition_id, DEPRECATED)

    async def archive(self, tenant: str, definition_id: str) -> DefinitionEntry:
        """Withdraw one from new instances for good. Raises as `publish` does."""
        return await self._move(tenant, definition_id, ARCHIVED)

    async def content(self, tenant: str, digest: str) -> Definition:
        """Answer the content of this digest, mostly from memory. Raises `DefinitionNotFound`."""
        cached = self._contents.get(tenant, digest)
        if cached is not None:
            return cached
        if not is_id(digest):
            raise no_definition(digest)
        definition = parse_document(await self._store.document(tenant, digest))
        self._contents.put(tenant, definition)
        return definition

    async def _checked(self, text: bytes) -> ParsedDefinition:
        # Meta-schemas of a large definition take a while, and other calls should not wait for them.
        parsed, found = await asyncio.to_thread(examine, text)
        problems = [*found]
        for path, source in transforms(parsed.definition):
            problems += [with_path(item, path) for item in await self._scripts.check(source)]
        if problems:
            raise invalid_definition(problems)
        return parsed

    async def _existing(self, tenant: str, definition: Definition) -> DefinitionEntry | None:
        found = await self._store.find(tenant, definition.name, definition.version)
        if found is not None and found.definition.digest != definition.digest:
            raise definition_exists(definition.name, definition.version)
        return found

    def _entry(self, tenant: str, parsed: ParsedDefinition) -> DefinitionEntry:
        now = self._clock()
        return DefinitionEntry(
            id=self._ids.new(),
            tenant=tenant,
            definition=parsed.definition,
            status=parsed.status,
            created_at=now,
            updated_at=now,
            etag=first_etag(),
            published_at=now if parsed.status is PUBLISHED else None,
            warnings=parsed.warnings,
        )

    async def _move(
        self, tenant: str, definition_id: str, wanted: DefinitionStatus
    ) -> DefinitionEntry:
        async with self._locks.setdefault(definition_id, asyncio.Lock()):
            for _ in range(_ATTEMPTS):
                entry = await self.get(tenant, definition_id)
                if entry.status is wanted:
                    return entry
                moved = self._moved(entry, wanted)
                with suppress(StaleEtag):
                    await self._store.replace(moved, entry.etag)
                    return moved
        raise stale(definition_id)

    def _moved(self, entry: DefinitionEntry, wanted: DefinitionStatus) -> DefinitionEntry:
        if entry.status not in _REACHED_FROM[wanted]:
            message = f"A definition that is {entry.status} cannot become {wanted}"
            raise StatusNotReachable(message, id=entry.id, status=entry.status, wanted=wanted)
        now = self._clock()
        return replace(
            entry,
            status=wanted,
            updated_at=now,
            published_at=now if wanted is PUBLISHED else entry.published_at,
            etag=next_etag(entry.etag),
        )


class _Contents:
    """The definitions used last. Content never changes, so nothing here is ever wrong."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, str], Definition] = OrderedDict()

    def get(self, tenant: str, digest: str) -> Definition | None:
        found = self._kept.get((tenant, digest))
        if found is not None:
            self._kept.move_to_end((tenant, digest))
        return found

    def put(self, tenant: str, definition: Definition) -> None:
        self._kept[tenant, definition.digest] = definition
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
