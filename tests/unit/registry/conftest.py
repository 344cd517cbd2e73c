"""The registry over memory, with fakes of what it needs from outside."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from registry.definitions import Definitions
from registry.errors import StoreUnavailable
from registry.instances import Instances
from registry.model import DefinitionEntry, Instance, Problem
from registry.stores.memory import MemoryDefinitionStore, MemoryInstanceStore

CONFIG = {"baseUrl": "https://crm.example.com", "apiKey": "planted-secret"}
EXAMPLES = Path(__file__).parents[3] / "examples" / "definitions"


class Calendar:
    """A clock that goes on by a second with each look."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Answer the next second."""
        self.now += timedelta(seconds=1)
        return self.now


class SyntaxScripts:
    """A checker to whom every script with the word `syntax` is wrong."""

    async def check(self, source: str) -> tuple[Problem, ...]:
        """Answer one problem, or none."""
        if "syntax" not in source:
            return ()
        return (Problem("", "SyntaxError: unexpected", 2, 7, "frame"),)


@dataclass
class RecordingVault:
    """A vault that shows what is in it, and fails on demand."""

    kept: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    versions: Counter[tuple[str, str]] = field(default_factory=Counter)
    failure: Exception | None = None
    written: asyncio.Event = field(default_factory=asyncio.Event)
    delay: float = 0.0

    async def update(
        self, tenant: str, instance_id: str, fields: Mapping[str, Any], removed: Collection[str]
    ) -> int:
        """Keep fields."""
        if self.failure:
            raise self.failure
        kept = self.kept.setdefault((tenant, instance_id), {})
        kept.update(fields)
        for name in removed:
            kept.pop(name, None)
        self.versions[tenant, instance_id] += 1
        self.written.set()
        await asyncio.sleep(self.delay)
        return self.versions[tenant, instance_id]

    async def delete(self, tenant: str, instance_id: str) -> None:
        """Forget everything."""
        if self.failure:
            raise self.failure
        self.kept.pop((tenant, instance_id), None)


class DisturbedDefinitionStore(MemoryDefinitionStore):
    """A store on the other side of a network, in which somebody else may write first."""

    def __init__(self) -> None:
        super().__init__()
        self.overtakers = 0

    async def replace(self, entry: DefinitionEntry, expected_etag: str) -> None:
        """Write, perhaps too late."""
        await asyncio.sleep(0)
        if self.overtakers:
            self.overtakers -= 1
            stored = await self.get(entry.tenant, entry.id)
            await super().replace(replace(stored, etag=f"{stored.etag}0"), stored.etag)
        await super().replace(entry, expected_etag)


class DisturbedInstanceStore(MemoryInstanceStore):
    """A store that fails on demand, or in which somebody else writes first."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: Exception | None = None
        self.writes_despite_failure = False
        self.overtakers = 0
        self.outages = 0

    async def add(self, instance: Instance) -> None:
        """Keep one, or not, or both."""
        if not self.failure or self.writes_despite_failure:
            await super().add(instance)
        if self.failure:
            raise self.failure

    async def replace(self, instance: Instance, expected_etag: str) -> None:
        """Write, perhaps too late, perhaps not, perhaps without saying so."""
        if self.outages:
            self.outages -= 1
            if self.writes_despite_failure:
                await super().replace(instance, expected_etag)
            raise StoreUnavailable("away")
        if self.overtakers:
            self.overtakers -= 1
            stored = await self.get(instance.tenant, instance.id)
            other = replace(stored, etag=f"{stored.etag}0", name=f"{stored.name}+")
            await super().replace(other, stored.etag)
        await super().replace(instance, expected_etag)


@dataclass
class Registry:
    """Everything a test may want to reach."""

    definitions: Definitions
    instances: Instances
    vault: RecordingVault
    definition_store: DisturbedDefinitionStore
    instance_store: DisturbedInstanceStore
    changed: list[tuple[str, str]]


@pytest.fixture
def registry() -> Registry:
    """Answer an empty registry."""
    clock, vault = Calendar(), RecordingVault()
    changed: list[tuple[str, str]] = []
    definition_store, instance_store = DisturbedDefinitionStore(), DisturbedInstanceStore()
    definitions = Definitions(definition_store, SyntaxScripts(), clock)
    instances = Instances(
        instance_store, definitions, vault, clock, lambda *event: changed.append(event)
    )
    return Registry(definitions, instances, vault, definition_store, instance_store, changed)


@pytest.fixture
def connected(registry: Registry) -> Callable[..., Awaitable[Instance]]:
    """Register a definition and connect to it."""

    async def connect(text: bytes, config: Mapping[str, Any] = CONFIG) -> Instance:
        entry = await registry.definitions.create("acme", text)
        return await registry.instances.create("acme", entry.id, "Mine", config)

    return connect


@pytest.fixture(scope="session")
def example() -> Callable[[str], bytes]:
    """Answer the text of a definition from the specification."""
    return lambda name: (EXAMPLES / f"{name}.json").read_bytes()


@pytest.fixture(scope="session")
def written() -> Callable[..., bytes]:
    """Write a small definition; arguments set members, None removes one."""

    def write(**members: Any) -> bytes:
        whole = {
            "name": "Things",
            "version": "1.0.0",
            "type": "http",
            "authType": "none",
            "methods": [{"name": "listThings"}],
            "configSchema": {"type": "object", "properties": {"baseUrl": {"type": "string"}}},
            **members,
        }
        return json.dumps({k: v for k, v in whole.items() if v is not None}).encode()

    return write
