"""What every `DefinitionStore` promises, shown on each of them."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from registry.errors import DefinitionExists, DefinitionNotFound, InvalidPageRequest, StaleEtag
from registry.model import (
    DefinitionEntry,
    DefinitionFilter,
    DefinitionStatus,
    PageRequest,
    Problem,
)
from registry.parse import parse
from registry.ports import DefinitionStore
from registry.stores.memory import MemoryDefinitionStore
from registry.stores.sql.definitions import SqlDefinitionStore

NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)
WRITERS = 20


@pytest.fixture
def store(database: AsyncEngine | None) -> DefinitionStore:
    """Answer an empty store of each kind in turn."""
    return SqlDefinitionStore(database) if database else MemoryDefinitionStore()


def entry(number: int, tenant: str = "acme", **fields: Any) -> DefinitionEntry:
    """Make an entry; `fields` are members of its definition."""
    text = {
        "name": f"API {number}",
        "version": "1.0.0",
        "type": "http",
        "authType": "none",
        "methods": [{"name": "listThings"}],
        **fields,
    }
    return DefinitionEntry(
        id=f"int_def_{number:026}",
        tenant=tenant,
        definition=parse(json.dumps(text).encode()).definition,
        status=DefinitionStatus.PUBLISHED,
        created_at=NOON,
        updated_at=NOON + timedelta(microseconds=1),
        etag="1-a",
        published_at=NOON,
        warnings=(Problem("/methods/0", "worth knowing", 3, 4, "frame"),),
    )


async def test_what_was_added_comes_back_whole(store: DefinitionStore) -> None:
    """An entry is found by its id, equal in every field."""
    added = entry(1, description="Größe 9007199254740993", configSchema={"type": "object"})
    await store.add(added)
    assert await store.get("acme", added.id) == added


async def test_a_draft_has_no_time_of_publication(store: DefinitionStore) -> None:
    """What is not there stays not there."""
    added = replace(entry(1), status=DefinitionStatus.DRAFT, published_at=None, warnings=())
    await store.add(added)
    assert await store.get("acme", added.id) == added


async def test_an_absent_id_is_not_found(store: DefinitionStore) -> None:
    """Reading and writing what is not there say so."""
    with pytest.raises(DefinitionNotFound):
        await store.get("acme", "int_def_none")
    with pytest.raises(DefinitionNotFound):
        await store.replace(entry(1), "1-a")
    with pytest.raises(DefinitionNotFound):
        await store.document("acme", "0" * 64)
    assert await store.find("acme", "API 1", "1.0.0") is None


async def test_another_tenants_definition_is_not_there(store: DefinitionStore) -> None:
    """No call sees, changes or counts what another tenant has."""
    added = entry(1)
    await store.add(added)
    with pytest.raises(DefinitionNotFound):
        await store.get("other", added.id)
    with pytest.raises(DefinitionNotFound):
        await store.document("other", added.definition.digest)
    with pytest.raises(DefinitionNotFound):
        await store.replace(replace(added, tenant="other", etag="2-b"), "1-a")
    assert await store.find("other", "API 1", "1.0.0") is None
    assert (await store.list("other", DefinitionFilter(), PageRequest())).total == 0
    assert await store.get("acme", added.id) == added


async def test_two_tenants_may_have_the_same_definition(store: DefinitionStore) -> None:
    """Names, versions and contents are a tenant's own."""
    await store.add(entry(1))
    theirs = replace(entry(1, tenant="other"), id="int_def_other")
    await store.add(theirs)
    assert await store.find("other", "API 1", "1.0.0") == theirs


async def test_a_name_and_version_is_given_once(store: DefinitionStore) -> None:
    """The second entry of a name and version is refused, and the first one stays."""
    first = entry(1)
    await store.add(first)
    for second in (entry(1), entry(1, description="other")):
        with pytest.raises(DefinitionExists):
            await store.add(replace(second, id="int_def_second"))
    assert await store.find("acme", "API 1", "1.0.0") == first


async def test_the_document_is_kept_byte_for_byte(store: DefinitionStore) -> None:
    """Content is found by its digest."""
    added = entry(1, configSchema={"properties": {"n": {"maximum": 9007199254740993}}})
    await store.add(added)
    document = await store.document("acme", added.definition.digest)
    assert document == added.definition.document


async def test_replacing_writes_status_and_times(store: DefinitionStore) -> None:
    """A replaced entry is what is read from then on."""
    added = entry(1)
    await store.add(added)
    changed = replace(
        added, status=DefinitionStatus.DEPRECATED, updated_at=NOON + timedelta(1), etag="2-b"
    )
    await store.replace(changed, "1-a")
    assert await store.get("acme", added.id) == changed


async def test_of_concurrent_writers_one_succeeds(store: DefinitionStore) -> None:
    """Writers that expect the same etag: one writes, all others learn that they came late."""
    added = entry(1)
    await store.add(added)
    writes = [store.replace(replace(added, etag=f"2-{number}"), "1-a") for number in range(WRITERS)]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome] == [StaleEtag] * (WRITERS - 1)
    winner = outcomes.index(None)
    assert (await store.get("acme", added.id)).etag == f"2-{winner}"


async def test_of_concurrent_registrations_one_succeeds(store: DefinitionStore) -> None:
    """A name and version is given once also when many ask at the same time."""
    adds = [store.add(replace(entry(1), id=f"int_def_{number}")) for number in range(WRITERS)]
    outcomes = await asyncio.gather(*adds, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome] == [DefinitionExists] * (WRITERS - 1)


async def test_a_list_is_newest_first_in_pages(store: DefinitionStore) -> None:
    """Pages by number cover everything once, in descending order of ids."""
    for number in range(5):
        await store.add(entry(number))
    pages = [
        await store.list("acme", DefinitionFilter(), PageRequest(page=page, limit=2))
        for page in (1, 2, 3, 4)
    ]
    names = [[item.name for item in page.items] for page in pages]
    assert names == [["API 4", "API 3"], ["API 2", "API 1"], ["API 0"], []]
    assert {(page.total, page.pages) for page in pages} == {(5, 3)}
    assert [bool(page.next_token) for page in pages] == [True, True, False, False]


async def test_a_list_by_tokens_is_stable(store: DefinitionStore) -> None:
    """What is added in between neither repeats nor hides an item."""
    for number in range(4):
        await store.add(entry(number))
    first = await store.list("acme", DefinitionFilter(), PageRequest(limit=2))
    await store.add(entry(9))
    second = await store.list(
        "acme", DefinitionFilter(), PageRequest(limit=2, token=first.next_token)
    )
    assert [item.name for item in second.items] == ["API 1", "API 0"]
    assert second.next_token == ""


async def test_a_token_of_another_list_is_refused(store: DefinitionStore) -> None:
    """A broken token is an error, not an empty page."""
    for token in ("x", "YWZ0ZXI6aW50X2luc3RfMQ", "=", "YWZ0ZXI6"):
        with pytest.raises(InvalidPageRequest):
            await store.list("acme", DefinitionFilter(), PageRequest(token=token))


async def test_a_list_shows_summaries(store: DefinitionStore) -> None:
    """A row of a list is the entry without methods and schemas."""
    added = entry(1, description="what it is")
    await store.add(added)
    page = await store.list("acme", DefinitionFilter(), PageRequest())
    assert page.items == (added.summary,)


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("%", ["100% API"]),
        ("_", ["snake_case"]),
        ("\\", ["back\\slash"]),
        ("/", ["a/b"]),
        ("'", ["it's"]),
        ("API", ["100% API"]),
        ("api", ["100% API"]),
        ("straße", ["STRASSE"]),
        ("ÉCOLE", ["école"]),
        ("described", ["a/b"]),
        ("nothing", []),
    ],
)
async def test_a_search_is_literal_in_any_case(
    store: DefinitionStore, search: str, names: list[str]
) -> None:
    """Wildcards and quotes stand for themselves, and letters match in any case."""
    listed = ["100% API", "snake_case", "back\\slash", "a/b", "it's", "STRASSE", "école"]
    for number, name in enumerate(listed):
        await store.add(
            entry(number, name=name, description="It is Described" if name == "a/b" else "")
        )
    page = await store.list("acme", DefinitionFilter(search=search), PageRequest())
    assert [item.name for item in page.items] == names
    assert page.total == len(names)


async def test_a_list_can_be_filtered(store: DefinitionStore) -> None:
    """Status and type narrow a list, and its total."""
    await store.add(entry(1))
    await store.add(replace(entry(2), status=DefinitionStatus.DRAFT))
    await store.add(entry(3, type="webhook", authType="hmac"))
    chosen = DefinitionFilter(status=DefinitionStatus.DRAFT)
    assert [d.name for d in (await store.list("acme", chosen, PageRequest())).items] == ["API 2"]
    page = await store.list("acme", DefinitionFilter(type="webhook"), PageRequest())
    assert ([d.name for d in page.items], page.total) == (["API 3"], 1)
