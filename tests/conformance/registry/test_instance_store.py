"""What every `InstanceStore` promises, shown on each of them."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from registry.errors import InstanceNotFound, InvalidPageRequest, StaleEtag
from registry.model import (
    DefinitionEntry,
    DefinitionStatus,
    Instance,
    InstanceError,
    InstanceFilter,
    InstanceStatus,
    PageRequest,
)
from registry.parse import parse
from registry.ports import InstanceStore
from registry.stores.memory import MemoryInstanceStore
from registry.stores.sql.definitions import SqlDefinitionStore
from registry.stores.sql.instances import SqlInstanceStore

NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)
WRITERS = 20


@pytest.fixture
async def store(database: AsyncEngine | None) -> InstanceStore:
    """Answer an empty store of each kind in turn; its definitions exist."""
    if database is None:
        return MemoryInstanceStore()
    definitions = SqlDefinitionStore(database)
    for tenant in ("acme", "other"):
        for number in (1, 2):
            await definitions.add(definition(number, tenant))
    return SqlInstanceStore(database)


def definition(number: int, tenant: str) -> DefinitionEntry:
    """Make the definition that instances are of."""
    text = {
        "name": f"API {number}",
        "version": "1.0.0",
        "type": "http",
        "authType": "none",
        "methods": [{"name": "listThings"}],
    }
    return DefinitionEntry(
        id=f"int_def_{number}",
        tenant=tenant,
        definition=parse(json.dumps(text).encode()).definition,
        status=DefinitionStatus.PUBLISHED,
        created_at=NOON,
        updated_at=NOON,
        etag="1-a",
    )


def instance(number: int, tenant: str = "acme", **changes: Any) -> Instance:
    """Make an instance."""
    made = Instance(
        id=f"int_inst_{number:026}",
        tenant=tenant,
        definition_id="int_def_1",
        definition_digest="d" * 64,
        name=f"Instance {number}",
        status=InstanceStatus.CONNECTED,
        config={"z": 9007199254740993, "a": [1.5, None, {"ü": "\u0000\u2028"}]},
        created_at=NOON,
        updated_at=NOON + timedelta(microseconds=1),
        etag="1-a",
        secret_fields=("apiKey", "token"),
        last_connected_at=NOON,
        credentials_version=2**53 + 1,
    )
    return replace(made, **changes)


async def test_what_was_added_comes_back_whole(store: InstanceStore) -> None:
    """An instance is found by its id, equal in every field, its config in order."""
    added = instance(1)
    await store.add(added)
    found = await store.get("acme", added.id)
    assert found == added
    assert list(found.config) == ["z", "a"]


async def test_an_error_is_kept(store: InstanceStore) -> None:
    """Why an instance is not connected comes back with its details."""
    error = InstanceError("AUTHENTICATION_ERROR", "refused\u0000", {"statusCode": 401})
    added = instance(
        1, status=InstanceStatus.AUTH_ERROR, error=error, last_connected_at=None, secret_fields=()
    )
    await store.add(added)
    assert await store.get("acme", added.id) == added


async def test_an_absent_id_is_not_found(store: InstanceStore) -> None:
    """Reading, writing and deleting what is not there say so."""
    with pytest.raises(InstanceNotFound):
        await store.get("acme", "int_inst_none")
    with pytest.raises(InstanceNotFound):
        await store.replace(instance(1), "1-a")
    with pytest.raises(InstanceNotFound):
        await store.delete("acme", "int_inst_none")


async def test_another_tenants_instance_is_not_there(store: InstanceStore) -> None:
    """No call sees, changes, removes or counts what another tenant has."""
    added = instance(1)
    await store.add(added)
    with pytest.raises(InstanceNotFound):
        await store.get("other", added.id)
    with pytest.raises(InstanceNotFound):
        await store.replace(replace(added, tenant="other", etag="2-b"), "1-a")
    with pytest.raises(InstanceNotFound):
        await store.delete("other", added.id)
    assert (await store.list("other", InstanceFilter(), PageRequest())).total == 0
    assert await store.get("acme", added.id) == added


async def test_who_is_connected(store: InstanceStore) -> None:
    """Those of all tenants come in the order of tenant and id, piece by piece, and no others."""
    waiting = instance(2, status=InstanceStatus.PENDING_AUTHENTICATION)
    for added in (instance(3), waiting, instance(1), instance(4, "other")):
        await store.add(added)
    first = await store.connected(("", ""), 2)
    assert list(first) == [("acme", instance(1).id), ("acme", instance(3).id)]
    rest = await store.connected(first[-1], 2)
    assert list(rest) == [("other", instance(4).id)]
    assert list(await store.connected(rest[-1], 2)) == []


async def test_replacing_writes_everything_that_can_change(store: InstanceStore) -> None:
    """A replaced instance is what is read from then on."""
    added = instance(1)
    await store.add(added)
    changed = replace(
        added,
        name="Renamed",
        status=InstanceStatus.CONFIG_ERROR,
        config={"b": True},
        secret_fields=("other",),
        error=InstanceError("CONFIGURATION_ERROR", "wrong"),
        updated_at=NOON + timedelta(days=1),
        last_connected_at=None,
        etag="2-b",
        credentials_version=2**53 + 2,
    )
    await store.replace(changed, "1-a")
    assert await store.get("acme", added.id) == changed
    renamed = await store.list("acme", InstanceFilter(search="renamed"), PageRequest())
    assert renamed.items == (changed,)


async def test_a_late_writer_changes_nothing(store: InstanceStore) -> None:
    """An etag that is not the stored one is refused."""
    added = instance(1)
    await store.add(added)
    with pytest.raises(StaleEtag):
        await store.replace(replace(added, name="late", etag="2-b"), "0-x")
    assert await store.get("acme", added.id) == added


async def test_of_concurrent_writers_one_succeeds(store: InstanceStore) -> None:
    """Writers that expect the same etag: one writes, all others learn that they came late."""
    added = instance(1)
    await store.add(added)
    writes = [
        store.replace(replace(added, name=f"by {number}", etag=f"2-{number}"), "1-a")
        for number in range(WRITERS)
    ]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome] == [StaleEtag] * (WRITERS - 1)
    assert (await store.get("acme", added.id)).name == f"by {outcomes.index(None)}"


async def test_nothing_is_lost_when_all_repeat(store: InstanceStore) -> None:
    """Read, change, write, and again when late: every writer's change arrives."""
    await store.add(instance(1, config={}))

    async def put(name: str) -> None:
        while True:
            current = await store.get("acme", instance(1).id)
            count = int(current.etag.partition("-")[0]) + 1
            changed = replace(
                current, config={**current.config, name: True}, etag=f"{count}-{name}"
            )
            try:
                await store.replace(changed, current.etag)
            except StaleEtag:
                continue
            return

    names = {f"field{number}" for number in range(WRITERS)}
    await asyncio.gather(*map(put, names))
    assert set((await store.get("acme", instance(1).id)).config) == names


async def test_what_was_deleted_is_gone(store: InstanceStore) -> None:
    """A deleted instance is not found, nor listed, nor deleted again."""
    added = instance(1)
    await store.add(added)
    await store.delete("acme", added.id)
    with pytest.raises(InstanceNotFound):
        await store.get("acme", added.id)
    with pytest.raises(InstanceNotFound):
        await store.delete("acme", added.id)
    assert (await store.list("acme", InstanceFilter(), PageRequest())).items == ()


async def test_a_list_is_newest_first_in_pages(store: InstanceStore) -> None:
    """Pages by number and by token cover everything once, in descending order of ids."""
    for number in range(5):
        await store.add(instance(number))
    by_number = [
        await store.list("acme", InstanceFilter(), PageRequest(page=page, limit=2))
        for page in (1, 2, 3)
    ]
    assert [item.name[-1] for page in by_number for item in page.items] == list("43210")
    assert {(page.total, page.pages) for page in by_number} == {(5, 3)}
    token = by_number[0].next_token
    after = await store.list("acme", InstanceFilter(), PageRequest(limit=2, token=token))
    assert after.items == by_number[1].items


async def test_a_token_stands_though_its_item_is_gone(store: InstanceStore) -> None:
    """A list goes on after an item that was deleted in between."""
    for number in range(4):
        await store.add(instance(number))
    first = await store.list("acme", InstanceFilter(), PageRequest(limit=2))
    await store.delete("acme", first.items[-1].id)
    after = await store.list("acme", InstanceFilter(), PageRequest(token=first.next_token))
    assert [item.name for item in after.items] == ["Instance 1", "Instance 0"]


async def test_a_broken_token_is_refused(store: InstanceStore) -> None:
    """A token of another kind of list is an error, not an empty page."""
    for token in ("x", "YWZ0ZXI6aW50X2RlZl8x", "=", "YWZ0ZXI6"):
        with pytest.raises(InvalidPageRequest):
            await store.list("acme", InstanceFilter(), PageRequest(token=token))


async def test_a_list_can_be_filtered(store: InstanceStore) -> None:
    """Search, status and definition narrow a list, and its total."""
    await store.add(instance(1, name="50% Größe"))
    await store.add(instance(2, status=InstanceStatus.AUTH_ERROR))
    await store.add(instance(3, definition_id="int_def_2"))
    for chosen, number in (
        (InstanceFilter(search="0% grÖSSE"), 1),
        (InstanceFilter(status=InstanceStatus.AUTH_ERROR), 2),
        (InstanceFilter(definition_id="int_def_2"), 3),
    ):
        page = await store.list("acme", chosen, PageRequest())
        assert ([item.id for item in page.items], page.total) == ([instance(number).id], 1)
