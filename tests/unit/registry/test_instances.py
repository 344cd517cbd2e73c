"""Finding instances and removing them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import pytest

from registry.definitions import Definitions
from registry.errors import (
    InstanceNotFound,
    InvalidPageRequest,
)
from registry.instances import InstanceChange, Instances
from registry.model import (
    Instance,
    InstanceFilter,
    InstanceStatus,
    PageRequest,
)
from registry.parse import parse

Golden = Callable[[str], bytes]
Connect = Callable[..., Awaitable[Instance]]
CONFIG = {"baseUrl": "https://crm.example.com", "apiKey": "planted-secret"}


class Registry(Protocol):
    """What the fixture answers."""

    definitions: Definitions
    instances: Instances
    vault: Any
    instance_store: Any
    changed: list[tuple[str, str]]


async def test_a_target_is_instance_and_definition(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """Everything an execution needs comes in one answer."""
    instance = await connected(example("crm"))
    target = await registry.instances.resolve("acme", instance.id)
    assert target.instance == instance
    assert target.definition == parse(example("crm")).definition


async def test_an_instance_outlives_the_offer(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """Instances of archived definitions go on."""
    instance = await connected(example("crm"))
    await registry.definitions.archive("acme", instance.definition_id)
    assert (await registry.instances.resolve("acme", instance.id)).instance == instance


@pytest.mark.parametrize("identifier", ["", "X", "../x", "a" * 65, "a\x00", "int_inst_1"])
async def test_an_id_that_leads_nowhere_is_one_answer(registry: Registry, identifier: str) -> None:
    """Absent and malformed ids are told apart by nobody, whatever is asked."""
    calls = [
        registry.instances.get("acme", identifier),
        registry.instances.resolve("acme", identifier),
        registry.instances.delete("acme", identifier),
        registry.instances.update("acme", identifier, InstanceChange(name="x")),
        registry.instances.report("acme", identifier, InstanceStatus.CONNECTED),
    ]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {InstanceNotFound}
    assert len({str(outcome) for outcome in outcomes}) == 1


async def test_another_tenants_instance_is_not_there(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """Other tenants can neither read, change nor remove it."""
    instance = await connected(example("crm"))
    for call in (
        registry.instances.get("other", instance.id),
        registry.instances.resolve("other", instance.id),
        registry.instances.delete("other", instance.id),
        registry.instances.update("other", instance.id, InstanceChange(config={})),
    ):
        with pytest.raises(InstanceNotFound):
            await call
    assert registry.vault.kept == {("acme", instance.id): CONFIG}


async def test_secrets_go_first(registry: Registry, connected: Connect, example: Golden) -> None:
    """An instance whose secrets cannot be removed stays; then both are gone."""
    instance = await connected(example("crm"))
    registry.vault.failure = OSError("away")
    with pytest.raises(OSError, match="away"):
        await registry.instances.delete("acme", instance.id)
    assert await registry.instances.get("acme", instance.id) == instance
    registry.vault.failure = None
    await registry.instances.delete("acme", instance.id)
    assert registry.vault.kept == {}
    with pytest.raises(InstanceNotFound):
        await registry.instances.get("acme", instance.id)


async def test_a_list_can_be_narrowed(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """Lists take a search and filters, and refuse what cannot be served."""
    instance = await connected(example("crm"))
    for chosen, total in (
        (InstanceFilter(search="MIN"), 1),
        (InstanceFilter(search="x"), 0),
        (InstanceFilter(status=InstanceStatus.CONNECTED), 1),
        (InstanceFilter(definition_id=instance.definition_id), 1),
        (InstanceFilter(definition_id="../"), 0),
    ):
        page = await registry.instances.list("acme", chosen, PageRequest())
        assert page.total == total
    with pytest.raises(InvalidPageRequest):
        await registry.instances.list("acme", InstanceFilter(), PageRequest(limit=201))
