"""Registering definitions, finding them, and moving them through their life."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest

from registry.definitions import Definitions
from registry.errors import (
    DefinitionExists,
    DefinitionNotFound,
    InvalidDefinition,
    InvalidPageRequest,
    StaleEtag,
    StatusNotReachable,
)
from registry.model import DefinitionEntry, DefinitionFilter, DefinitionStatus, PageRequest
from registry.parse import parse
from registry.stores.memory import MemoryDefinitionStore

Write = Callable[..., bytes]
BROKEN = [
    {"name": "a", "requestTransform": "fine", "responseTransform": "syntax"},
    {"name": "b", "requestTransform": "syntax"},
]


class Registry(Protocol):
    """What the fixture answers."""

    definitions: Definitions
    definition_store: Any


class TestCreate:
    """Registering."""

    async def test_a_definition_is_published(
        self, registry: Registry, example: Callable[[str], bytes]
    ) -> None:
        """The answer has id, status, times and warnings, and is found by its id."""
        entry = await registry.definitions.create("acme", example("crm"))
        assert entry.id.startswith("int_def_")
        assert len(entry.id) == len("int_def_") + 26
        assert entry.id == entry.id.lower()
        assert entry.status is DefinitionStatus.PUBLISHED
        assert entry.published_at == entry.created_at
        assert [item.path for item in entry.warnings] == ["/methods/0"]
        assert await registry.definitions.get("acme", entry.id) == entry

    async def test_a_draft_waits(self, registry: Registry, written: Write) -> None:
        """A definition may say that it is a draft."""
        entry = await registry.definitions.create("acme", written(status="DRAFT"))
        assert (entry.status, entry.published_at) == (DefinitionStatus.DRAFT, None)

    async def test_the_same_content_is_the_same_definition(
        self, registry: Registry, written: Write
    ) -> None:
        """Registering twice, in whatever layout, answers the first."""
        first = await registry.definitions.create("acme", written())
        again = json.dumps(json.loads(written()), indent=2).encode()
        assert await registry.definitions.create("acme", again) == first

    async def test_other_content_needs_another_version(
        self, registry: Registry, written: Write
    ) -> None:
        """Same name and version with other content is refused; another version is not."""
        await registry.definitions.create("acme", written())
        with pytest.raises(DefinitionExists) as caught:
            await registry.definitions.create("acme", written(description="changed"))
        assert caught.value.details == {"name": "Things", "version": "1.0.0"}
        await registry.definitions.create("acme", written(description="changed", version="1.0.1"))

    async def test_registering_at_the_same_time_is_registering_twice(
        self, registry: Registry, written: Write
    ) -> None:
        """Of concurrent registrations of the same content all answer the same definition."""
        entries = await asyncio.gather(
            *(registry.definitions.create("acme", written()) for _ in range(5))
        )
        assert len({entry.id for entry in entries}) == 1

    @pytest.mark.parametrize("description", ["", "theirs"])
    async def test_who_comes_second_learns_of_the_first(
        self, written: Write, description: str
    ) -> None:
        """Somebody who registers between our look and our write came first."""
        store = _Overtaken(written(description=description))
        definitions = Definitions(store, _Anything(), _noon)
        if description:
            with pytest.raises(DefinitionExists):
                await definitions.create("acme", written(description=""))
            return
        entry = await definitions.create("acme", written(description=""))
        assert entry.id == "int_def_first"

    async def test_tenants_do_not_meet(self, registry: Registry, written: Write) -> None:
        """The same name and version of another tenant is another definition."""
        ours = await registry.definitions.create("acme", written())
        theirs = await registry.definitions.create("other", written(description="theirs"))
        with pytest.raises(DefinitionNotFound):
            await registry.definitions.get("acme", theirs.id)
        assert (await registry.definitions.get("acme", ours.id)).definition.description == ""

    async def test_scripts_are_checked_with_the_rest(
        self, registry: Registry, written: Write
    ) -> None:
        """Problems of scripts have line, column and frame, and come with all others."""
        with pytest.raises(InvalidDefinition) as caught:
            await registry.definitions.create("acme", written(methods=BROKEN, version="x"))
        problems = caught.value.details["problems"]
        assert isinstance(problems, list)
        assert [item["path"] for item in problems] == [
            *("/version", "/methods/0/responseTransform", "/methods/1/requestTransform"),
        ]
        assert problems[1] == {
            "path": "/methods/0/responseTransform",
            "message": "SyntaxError: unexpected",
            "line": 2,
            "column": 7,
            "codeFrame": "frame",
        }

    async def test_nothing_is_kept_of_what_is_refused(
        self, registry: Registry, written: Write
    ) -> None:
        """A refused definition leaves no trace."""
        with pytest.raises(InvalidDefinition):
            await registry.definitions.create("acme", written(methods=BROKEN))
        page = await registry.definitions.list("acme", DefinitionFilter(), PageRequest())
        assert page.total == 0


class TestValidate:
    """Checking without registering."""

    async def test_problems_are_an_answer(self, registry: Registry, written: Write) -> None:
        """What create would raise is answered instead."""
        verdict = await registry.definitions.validate(written(methods=BROKEN))
        assert [(item.path, item.line) for item in verdict.problems] == [
            ("/methods/0/responseTransform", 2),
            ("/methods/1/requestTransform", 2),
        ]
        verdict = await registry.definitions.validate(b"{")
        assert verdict.problems[0].code_frame

    async def test_a_good_definition_is_not_registered(
        self, registry: Registry, written: Write
    ) -> None:
        """Checking answers warnings and keeps nothing."""
        verdict = await registry.definitions.validate(written())
        assert (verdict.problems, len(verdict.warnings)) == ((), 1)
        page = await registry.definitions.list("acme", DefinitionFilter(), PageRequest())
        assert page.total == 0


class TestLife:
    """Statuses."""

    @pytest.mark.parametrize(
        ("steps", "status"),
        [
            (["publish"], "PUBLISHED"),
            (["publish", "publish"], "PUBLISHED"),
            (["archive"], "ARCHIVED"),
            (["publish", "deprecate"], "DEPRECATED"),
            (["publish", "deprecate", "deprecate"], "DEPRECATED"),
            (["publish", "deprecate", "publish"], "PUBLISHED"),
            (["publish", "deprecate", "archive", "archive"], "ARCHIVED"),
        ],
    )
    async def test_a_draft_moves_on(
        self, registry: Registry, written: Write, steps: list[str], status: str
    ) -> None:
        """Every way through life ends where it should; repeating a step changes nothing."""
        entry = await registry.definitions.create("acme", written(status="DRAFT"))
        for step in steps:
            entry = await getattr(registry.definitions, step)("acme", entry.id)
        assert entry.status == status
        assert await registry.definitions.get("acme", entry.id) == entry

    @pytest.mark.parametrize(
        ("steps", "step"),
        [
            ([], "deprecate"),
            (["archive"], "publish"),
            (["archive"], "deprecate"),
        ],
    )
    async def test_some_ways_are_closed(
        self, registry: Registry, written: Write, steps: list[str], step: str
    ) -> None:
        """A draft is not deprecated, and nothing comes back from the archive."""
        entry = await registry.definitions.create("acme", written(status="DRAFT"))
        for earlier in steps:
            entry = await getattr(registry.definitions, earlier)("acme", entry.id)
        with pytest.raises(StatusNotReachable) as caught:
            await getattr(registry.definitions, step)("acme", entry.id)
        assert caught.value.details["status"] == entry.status

    async def test_a_step_changes_etag_and_times(self, registry: Registry, written: Write) -> None:
        """Publishing says when; the time of publication stays through deprecation."""
        draft = await registry.definitions.create("acme", written(status="DRAFT"))
        published = await registry.definitions.publish("acme", draft.id)
        deprecated = await registry.definitions.deprecate("acme", draft.id)
        assert published.published_at == published.updated_at
        assert published.updated_at > draft.updated_at
        assert deprecated.published_at == published.published_at
        assert len({draft.etag, published.etag, deprecated.etag}) == 3

    async def test_steps_at_the_same_time_are_taken_one_after_another(
        self, registry: Registry, written: Write
    ) -> None:
        """Who gives no etag is not told of others: every step is taken, on what they wrote."""
        entry = await registry.definitions.create("acme", written())
        steps = [registry.definitions.deprecate, registry.definitions.publish] * 10
        taken = await asyncio.gather(*(step("acme", entry.id) for step in steps))
        assert [item.status for item in taken] == ["DEPRECATED", "PUBLISHED"] * 10
        registry.definition_store.overtakers = 2
        assert (await registry.definitions.archive("acme", entry.id)).status == "ARCHIVED"

    async def test_a_step_is_not_repeated_for_ever(
        self, registry: Registry, written: Write
    ) -> None:
        """Who is always overtaken learns it at last."""
        entry = await registry.definitions.create("acme", written())
        registry.definition_store.overtakers = 1000
        with pytest.raises(StaleEtag):
            await registry.definitions.deprecate("acme", entry.id)

    async def test_another_tenant_moves_nothing(self, registry: Registry, written: Write) -> None:
        """Steps on another tenant's definition find nothing."""
        entry = await registry.definitions.create("acme", written())
        with pytest.raises(DefinitionNotFound):
            await registry.definitions.archive("other", entry.id)


class TestFind:
    """Reading."""

    @pytest.mark.parametrize(
        "identifier", ["", "INT_DEF_1", "../x", "a" * 65, "a\x00", "int_def_1"]
    )
    async def test_an_id_that_leads_nowhere_is_one_answer(
        self, registry: Registry, identifier: str
    ) -> None:
        """Absent, malformed and foreign ids are told apart by nobody."""
        with pytest.raises(DefinitionNotFound) as caught:
            await registry.definitions.get("acme", identifier)
        assert caught.value.message == (
            "There is no integration definition of this id for the caller; check the id"
        )

    async def test_a_list_is_newest_first(self, registry: Registry, written: Write) -> None:
        """Definitions of one moment still have an order."""
        for number in range(5):
            await registry.definitions.create("acme", written(name=f"N{number}"))
        page = await registry.definitions.list("acme", DefinitionFilter(), PageRequest(limit=3))
        assert [item.name for item in page.items] == ["N4", "N3", "N2"]
        assert (page.total, page.pages, page.items[0].method_count) == (5, 2, 1)

    async def test_a_list_has_its_limits(self, registry: Registry) -> None:
        """What cannot be served is refused, and an unknown type has no items."""
        with pytest.raises(InvalidPageRequest):
            await registry.definitions.list("acme", DefinitionFilter(), PageRequest(limit=0))
        chosen = DefinitionFilter(type="a\x00")
        assert (await registry.definitions.list("acme", chosen, PageRequest())).items == ()

    async def test_content_is_read_once(
        self, registry: Registry, written: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Content by digest comes from memory after the first time, for its own tenant."""
        entry = await registry.definitions.create("acme", written())
        digest = entry.definition.digest
        first = await registry.definitions.content("acme", digest)
        assert first == entry.definition
        monkeypatch.delattr(registry.definition_store, "_tenants")
        assert await registry.definitions.content("acme", digest) is first
        monkeypatch.undo()
        with pytest.raises(DefinitionNotFound):
            await registry.definitions.content("other", digest)
        with pytest.raises(DefinitionNotFound):
            await registry.definitions.content("acme", "no digest")

    async def test_memory_of_contents_is_bounded(self, registry: Registry, written: Write) -> None:
        """What was used longest ago is forgotten first, and read again when asked for."""
        small = Definitions(registry.definition_store, _Anything(), _noon, cached=2)
        digests = []
        for number in range(3):
            entry = await registry.definitions.create("acme", written(name=f"N{number}"))
            digests.append(entry.definition.digest)
        first = await small.content("acme", digests[0])
        for digest in (digests[1], digests[0], digests[2]):
            await small.content("acme", digest)
        assert await small.content("acme", digests[0]) is first
        again = await small.content("acme", digests[1])
        assert again == (await registry.definitions.content("acme", digests[1]))


class _Anything:
    async def check(self, _source: str) -> tuple[()]:
        return ()


class _Overtaken(MemoryDefinitionStore):
    """A store in which somebody else is always a moment earlier."""

    def __init__(self, text: bytes) -> None:
        super().__init__()
        self._text = text

    async def add(self, entry: DefinitionEntry) -> None:
        first = replace(entry, id="int_def_first", definition=parse(self._text).definition)
        await super().add(first)
        await super().add(entry)


def _noon() -> datetime:
    return datetime(2026, 1, 2, 12, tzinfo=UTC)
