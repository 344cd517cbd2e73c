"""Instances: connecting a tenant to a definition, and keeping that connection's config."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final
from weakref import WeakValueDictionary

from registry import pages
from registry.config import captured_problems, completed, config_problems, name_problems
from registry.definitions import Definitions
from registry.errors import (
    DefinitionNotOffered,
    InstanceNotFound,
    StaleEtag,
    StoreUnavailable,
    no_instance,
    stale,
)
from registry.etags import first_etag, next_etag
from registry.ids import INSTANCE_PREFIX, Ids, is_id
from registry.model import (
    DefinitionEntry,
    DefinitionStatus,
    Instance,
    InstanceError,
    InstanceFilter,
    InstanceStatus,
    Page,
    PageRequest,
    Problem,
    Target,
)
from registry.oauth.grants import awaits_consent
from registry.ports import Clock, InstanceListener, InstanceStore, SecretVault
from registry.problems import invalid_instance
from registry.revision import Revision, Standing, reconfigured, revise
from registry.secrecy import Secrecy

_OFFERED: Final = frozenset({DefinitionStatus.PUBLISHED, DefinitionStatus.DEPRECATED})
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class InstanceChange:
    """What to change: the name, fields of the config (None removes one), only at this etag."""

    name: str | None = None
    config: Mapping[str, Any] | None = None
    etag: str = ""


class Instances:
    """Everything one can do with instances. Ids of other tenants are ids of nothing.

    Secrets are handed to the vault before a row is written, and removed before it goes: no secret
    outlives its instance, and none is missing because a row came first. The row names the version
    of the vault's record that belongs to it, so that a new secret is never used with an old config.

    The vault and the store cannot be written as one. A caller that leaves in between does not part
    them, and a row that could not be written is tried once more. What a crash in between leaves is
    an instance whose row names an older version: it is not executed, and the same change, sent
    again, makes it whole.
    """

    def __init__(
        self,
        store: InstanceStore,
        definitions: Definitions,
        vault: SecretVault,
        clock: Clock,
        listener: InstanceListener = lambda _tenant, _instance_id: None,
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._vault = vault
        self._clock = clock
        self._changed = listener
        self._ids = Ids(INSTANCE_PREFIX, clock)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def create(
        self, tenant: str, definition_id: str, name: str, config: Mapping[str, Any]
    ) -> Instance:
        """Connect to a definition that is offered; the answer has no secrets.

        Raises `DefinitionNotFound`, `DefinitionNotOffered`, and `InvalidInstance` with every
        problem of the name and of the config.
        """
        entry = await self._definitions.get(tenant, definition_id)
        if entry.status not in _OFFERED:
            message = f"The definition is {entry.status}; instances are made of published ones"
            raise DefinitionNotOffered(message, id=entry.id, status=entry.status)
        whole = completed(config, entry.definition)
        _refuse(*name_problems(name), *config_problems(whole, entry.definition))
        instance = self._new(entry, name, whole)
        try:
            version = await self._vault.update(tenant, instance.id, whole, ())
            instance = replace(instance, credentials_version=version)
            await self._store.add(instance)
        except BaseException:
            # Whether either was written may be unknown, of a caller that leaves too: no row must be
            # left without its secrets, and no secrets without their row.
            with suppress(InstanceNotFound):
                await self._store.delete(tenant, instance.id)
            await self._vault.delete(tenant, instance.id)
            raise
        self._changed(tenant, instance.id)
        return instance

    async def get(self, tenant: str, instance_id: str) -> Instance:
        """Answer one. Raises `InstanceNotFound`."""
        if not is_id(instance_id):
            raise no_instance(instance_id)
        return await self._store.get(tenant, instance_id)

    async def list(
        self, tenant: str, chosen: InstanceFilter, request: PageRequest
    ) -> Page[Instance]:
        """Answer a page, newest first. Raises `InvalidPageRequest`."""
        pages.check(request, chosen.search)
        if chosen.definition_id and not is_id(chosen.definition_id):
            return Page((), 0, request)
        return await self._store.list(tenant, chosen, request)

    async def update(self, tenant: str, instance_id: str, change: InstanceChange) -> Instance:
        """Change the name or fields of the config; a secret that is not sent stays as it is.

        Raises `InstanceNotFound`, `InvalidInstance`, and `StaleEtag` when an etag is given and
        somebody else wrote before: then nothing is changed. Without one, the change is made to what
        others wrote. A change of nothing writes nothing.
        """
        async with self._lock(instance_id):
            for _ in range(_ATTEMPTS):
                current = await self.get(tenant, instance_id)
                if change.etag not in {"", current.etag}:
                    raise stale(instance_id)
                if change.name is None and change.config is None:
                    return current
                with suppress(StaleEtag):
                    if change.etag and change.config is not None:
                        current = await self._passed(current, change)
                        change = replace(change, etag="")
                    return await self._write(current, change)
        raise stale(instance_id)

    async def delete(self, tenant: str, instance_id: str) -> None:
        """Remove an instance, its secrets first. Raises `InstanceNotFound`."""
        async with self._lock(instance_id):
            await self.get(tenant, instance_id)
            await self._vault.delete(tenant, instance_id)
            await self._store.delete(tenant, instance_id)
        self._changed(tenant, instance_id)

    async def report(
        self,
        tenant: str,
        instance_id: str,
        status: InstanceStatus,
        error: InstanceError | None = None,
        captured: Mapping[str, str] = MappingProxyType({}),
    ) -> Instance:
        """Say whether an instance can be used, if not, why, and what its API has told of it.

        `captured` are fields for the config, none of them secret: they are merged into it, as texts
        of at most 2 KiB. The credentials that belong to the config stay the same. What is known
        already is no change.

        Raises `InstanceNotFound`, `InvalidInstance` with what is wrong with `captured`, `StaleEtag`
        when others always win.
        """
        standing = Standing(status, error, captured)
        for _ in range(_ATTEMPTS):
            current = await self.get(tenant, instance_id)
            if standing.is_known(current):
                return current
            if captured:
                content = await self._definitions.content(tenant, current.definition_digest)
                _refuse(*captured_problems(captured, current, content))
            with suppress(StaleEtag):
                return await self._replace(current, standing.of(current, self._clock()))
        raise stale(instance_id)

    async def connected(self, after: tuple[str, str], limit: int) -> Sequence[tuple[str, str]]:
        """Answer who is connected, of all tenants, as `InstanceStore.connected` does."""
        return await self._store.connected(after, limit)

    async def resolve(self, tenant: str, instance_id: str) -> Target:
        """Answer an instance with the content of its definition. Raises `InstanceNotFound`."""
        instance = await self.get(tenant, instance_id)
        definition = await self._definitions.content(tenant, instance.definition_digest)
        return Target(instance, definition)

    def _lock(self, instance_id: str) -> asyncio.Lock:
        # The vault and the store cannot be written as one: writers of this process take turns.
        return self._locks.setdefault(instance_id, asyncio.Lock())

    def _new(self, entry: DefinitionEntry, name: str, whole: Mapping[str, Any]) -> Instance:
        definition = entry.definition
        public, secret = Secrecy(definition.config_schema).split(whole)
        waits = awaits_consent(definition.auth_type, definition.oauth2_config)
        now = self._clock()
        return Instance(
            id=self._ids.new(),
            tenant=entry.tenant,
            definition_id=entry.id,
            definition_digest=definition.digest,
            name=name,
            status=InstanceStatus.PENDING_AUTHENTICATION if waits else InstanceStatus.CONNECTED,
            config=public,
            created_at=now,
            updated_at=now,
            etag=first_etag(),
            secret_fields=tuple(secret),
            last_connected_at=None if waits else now,
        )

    async def _passed(self, current: Instance, change: InstanceChange) -> Instance:
        """Let nobody else in by the etag of a change of the config that is good.

        From the vault there is no way back. Were the etag asked for after it was written, whoever
        writes in between, if only a status, would leave a row of an older version.
        """
        await self._changed_by(current, change)
        return await self._replace(current, replace(current, etag=next_etag(current.etag)))

    async def _write(self, current: Instance, change: InstanceChange) -> Instance:
        changed, revision = await self._changed_by(current, change)
        if revision is None:
            return await self._replace(current, changed)
        return await _to_its_end(self._write_both(current, changed, revision))

    async def _changed_by(
        self, current: Instance, change: InstanceChange
    ) -> tuple[Instance, Revision | None]:
        """Answer the instance after a change, and its config; raises `InvalidInstance`."""
        changed = replace(current, updated_at=self._clock(), etag=next_etag(current.etag))
        problems: list[Problem] = []
        if change.name is not None:
            problems += name_problems(change.name)
            changed = replace(changed, name=change.name)
        if change.config is None:
            _refuse(*problems)
            return changed, None
        definition = await self._definitions.content(current.tenant, current.definition_digest)
        revision = revise(current, change.config, definition)
        _refuse(*problems, *config_problems(revision.whole, definition, revision.kept))
        return reconfigured(changed, revision, definition), revision

    async def _write_both(
        self, current: Instance, changed: Instance, revision: Revision
    ) -> Instance:
        version = await self._vault.update(
            current.tenant, current.id, revision.whole, revision.removed
        )
        changed = replace(changed, credentials_version=version)
        try:
            return await self._replace(current, changed)
        except StoreUnavailable:
            # Perhaps it was written all the same; until it is, the instance cannot be executed.
            stored = await self._store.get(current.tenant, current.id)
            return await self._replace(stored if stored.etag == changed.etag else current, changed)

    async def _replace(self, current: Instance, changed: Instance) -> Instance:
        await self._store.replace(changed, current.etag)
        self._changed(changed.tenant, changed.id)
        return changed


async def _to_its_end(writing: Coroutine[Any, Any, Instance]) -> Instance:
    """Await a write that goes on when its caller gives up; then too it is over on return."""
    task = asyncio.create_task(writing)
    task.add_done_callback(_retrieve)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _retrieve(task: asyncio.Task[Instance]) -> None:
    """Look at the failure of a write whose caller has gone, so that it is not reported."""
    if not task.cancelled():
        task.exception()


def _refuse(*problems: Problem) -> None:
    if problems:
        raise invalid_instance(problems)
