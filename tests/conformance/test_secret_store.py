"""What every `SecretStore` promises, shown on each of them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from credentials.errors import InvalidCredentials, VersionConflict
from credentials.model import Part, RecordKey, SecretRecord
from credentials.ports import SecretStore
from credentials.records import MAX_RECORD_BYTES
from credentials.stores.cached import CachedSecretStore
from credentials.stores.local.key_file import KeyFile
from credentials.stores.local.store import LocalSecretStore
from credentials.stores.memory import MemorySecretStore
from tests.conformance.sealed_rows import emptied, url_of
from tests.conformance.vault_stores import empty_store

WRITERS = 200


@pytest.fixture(params=["memory", "sqlite", "postgres", "vault", "vault losing answers"])
async def uncached(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SecretStore]:
    """Answer an empty store of each kind in turn."""
    if request.param == "memory":
        yield MemorySecretStore()
        return
    if request.param.startswith("vault"):
        async with empty_store(request.getfixturevalue("bao"), request.param) as store:
            yield store
        return
    async with emptied(url_of(request.param, request, tmp_path)) as engine:
        yield await LocalSecretStore.open(engine, KeyFile.create(tmp_path / "master-key"))


@pytest.fixture(params=["direct", "cached"])
def store(request: pytest.FixtureRequest, uncached: SecretStore) -> SecretStore:
    """Answer the store, as it is and behind the cache."""
    return CachedSecretStore(uncached) if request.param == "cached" else uncached


async def fields(store: SecretStore, tenant: str = "acme", instance_id: str = "i1") -> Any:
    """Read the fields of a record and its version, None where there is none."""
    found = await store.get(RecordKey(tenant, instance_id))
    return None if found is None else (dict(found.record.fields), found.version)


async def refused(store: SecretStore, expected_version: int) -> bool:
    """Tell whether a write at this version is refused."""
    try:
        await store.put(RecordKey("acme", "i1"), SecretRecord({"refused": False}), expected_version)
    except VersionConflict:
        return True
    return False


async def test_nothing_is_there_at_first(store: SecretStore) -> None:
    """A record that nobody wrote is answered with None."""
    assert await store.get(RecordKey("acme", "i1")) is None


async def test_put_and_get(store: SecretStore) -> None:
    """What was put is what is got, with versions counting from 1."""
    assert await store.put(RecordKey("acme", "i1"), SecretRecord({"apiKey": "a"}), 0) == 1
    assert await fields(store) == ({"apiKey": "a"}, 1)
    assert await store.put(RecordKey("acme", "i1"), SecretRecord({"apiKey": "b"}), 1) == 2
    assert await fields(store) == ({"apiKey": "b"}, 2)


async def test_create_over_existing(store: SecretStore) -> None:
    """Expecting nothing is refused where something is."""
    await store.put(RecordKey("acme", "i1"), SecretRecord({"n": 1}), 0)
    with pytest.raises(VersionConflict) as caught:
        await store.put(RecordKey("acme", "i1"), SecretRecord({"n": 2}), 0)
    assert caught.value.details == {"instanceId": "i1", "expectedVersion": 0}
    assert await fields(store) == ({"n": 1}, 1)


@pytest.mark.parametrize("expected_version", [-1, 1, 3, 2**62])
async def test_wrong_version(store: SecretStore, expected_version: int) -> None:
    """Any version but the present one is refused, older or newer."""
    await store.put(RecordKey("acme", "i1"), SecretRecord({"n": 1}), 0)
    await store.put(RecordKey("acme", "i1"), SecretRecord({"n": 2}), 1)
    assert await refused(store, expected_version)
    assert await fields(store) == ({"n": 2}, 2)


@pytest.mark.parametrize("expected_version", [-1, 1, 7])
async def test_version_of_nothing(store: SecretStore, expected_version: int) -> None:
    """Expecting any version of what was never there is refused."""
    assert await refused(store, expected_version)
    assert await store.get(RecordKey("acme", "i1")) is None


async def put_all(store: SecretStore, expected_version: int) -> list[int]:
    """Let many writers put their own number at the same version; answer who succeeded."""

    async def write(number: int) -> int | None:
        try:
            record = SecretRecord({"writer": number})
            assert (
                await store.put(RecordKey("acme", "i1"), record, expected_version)
                == expected_version + 1
            )
        except VersionConflict:
            return None
        return number

    answers = await asyncio.gather(*(write(number) for number in range(WRITERS)))
    return [number for number in answers if number is not None]


async def test_one_of_many_creates(store: SecretStore) -> None:
    """Of 200 writers that expect nothing exactly one wins, and its record is there."""
    (winner,) = await put_all(store, 0)
    assert await fields(store) == ({"writer": winner}, 1)


async def test_one_of_many_replaces(store: SecretStore) -> None:
    """Of 200 writers at the same version exactly one wins, and its record is there."""
    await store.put(RecordKey("acme", "i1"), SecretRecord({}), 0)
    (winner,) = await put_all(store, 1)
    assert await fields(store) == ({"writer": winner}, 2)


async def test_one_of_many_creates_again(store: SecretStore) -> None:
    """Of 200 writers after a deletion exactly one wins too."""
    await store.put(RecordKey("acme", "i1"), SecretRecord({}), 0)
    await store.delete(RecordKey("acme", "i1"))
    answers = await asyncio.gather(*(refused(store, 0) for _ in range(WRITERS)))
    assert answers.count(False) == 1


async def test_no_update_is_lost(store: SecretStore) -> None:
    """Writers that read, change and put until they succeed count to their number."""

    async def add_one() -> None:
        while True:
            found = await store.get(RecordKey("acme", "i1"))
            count, version = (found.record.fields["n"], found.version) if found else (0, 0)
            try:
                await store.put(RecordKey("acme", "i1"), SecretRecord({"n": count + 1}), version)
            except VersionConflict:
                continue
            return

    await asyncio.gather(*(add_one() for _ in range(20)))
    assert await fields(store) == ({"n": 20}, 20)


async def test_delete(store: SecretStore) -> None:
    """Deletion forgets, and forgetting nothing succeeds."""
    await store.delete(RecordKey("acme", "i1"))
    await store.put(RecordKey("acme", "i1"), SecretRecord({"apiKey": "a"}), 0)
    await store.delete(RecordKey("acme", "i1"))
    await store.delete(RecordKey("acme", "i1"))
    assert await store.get(RecordKey("acme", "i1")) is None


async def test_versions_go_on_after_deletion(store: SecretStore) -> None:
    """A version from before a deletion never matches again."""
    await store.put(RecordKey("acme", "i1"), SecretRecord({"n": 1}), 0)
    await store.put(RecordKey("acme", "i1"), SecretRecord({"n": 2}), 1)
    await store.delete(RecordKey("acme", "i1"))
    assert [await refused(store, version) for version in (1, 2, 3)] == [True, True, True]
    version = await store.put(RecordKey("acme", "i1"), SecretRecord({"n": 3}), 0)
    assert version > 2
    assert [await refused(store, old) for old in (0, 1, 2)] == [True, True, True]
    assert await fields(store) == ({"n": 3}, version)


async def test_tenants_and_instances_are_apart(store: SecretStore) -> None:
    """The same id of another tenant, and ids that look alike, are other records."""
    places = [
        ("acme", "i1"),
        ("evil", "i1"),
        ("acme", "i1_"),
        ("acmei", "1"),
        ("a-b", "c"),
        ("a", "b_c"),
    ]
    for number, place in enumerate(places):
        assert await store.put(RecordKey(*place), SecretRecord({"n": number}), 0) == 1
    await store.delete(RecordKey("acme", "i1"))
    answers = [await fields(store, *place) for place in places]
    assert answers == [None, *(({"n": number}, 1) for number in range(1, len(places)))]


async def test_parts_are_apart(store: SecretStore) -> None:
    """Parts of one instance have versions of their own, and are replaced and deleted alone."""
    config, grant, flows = (RecordKey("acme", "i1", part) for part in Part)
    for number, key in enumerate((config, grant, flows)):
        assert await store.put(key, SecretRecord({"n": number}), 0) == 1
    assert await store.put(grant, SecretRecord({"n": "rotated"}), 1) == 2
    assert await store.put(config, SecretRecord({"n": "changed"}), 1) == 2
    await store.delete(config)
    assert await store.get(config) is None
    found = [await store.get(key) for key in (grant, flows)]
    assert [(dict(each.record.fields), each.version) for each in found if each] == [
        ({"n": "rotated"}, 2),
        ({"n": 2}, 1),
    ]


async def test_parts_are_written_at_once(store: SecretStore) -> None:
    """Writers of different parts never make each other lose their compare-and-set."""
    keys = [RecordKey("acme", "i1", part) for part in Part]
    for expected in range(10):
        record = SecretRecord({"n": expected})
        writes = [store.put(key, record, expected) for key in keys]
        assert await asyncio.gather(*writes) == [expected + 1] * len(keys)


async def test_any_json_value(store: SecretStore) -> None:
    """Every kind of JSON value comes back as it was, in order, with every digit."""
    values: dict[str, Any] = {
        "big": 2**200 + 1,
        "negative": -(2**63) - 1,
        "float": 0.1,
        "whole float": 5.0,
        "true": True,
        "null": None,
        "text": 'quotes " and \\ and \r\n and \x00',
        "nested": {"list": [1, [2, {"three": []}]], "object": {}},
        "": "an empty name",
    }
    await store.put(RecordKey("acme", "i1"), SecretRecord(values), 0)
    found, _ = await fields(store)
    assert repr(found) == repr(values)


async def test_unicode(store: SecretStore) -> None:
    """Text of any script survives, and so do halves of surrogate pairs."""
    values = {"ключ": "пароль", "🔑": "n\u0303 ñ \u2028 \U0010ffff", "half": "\ud83d"}
    await store.put(RecordKey("acme", "i1"), SecretRecord(values), 0)
    assert await fields(store) == (values, 1)


async def test_large_record(store: SecretStore) -> None:
    """A record of almost 512 KiB is kept whole; a larger one is refused and changes nothing."""
    large = {"pem": "k" * (MAX_RECORD_BYTES - 100)}
    await store.put(RecordKey("acme", "i1"), SecretRecord(large), 0)
    with pytest.raises(InvalidCredentials):
        await store.put(RecordKey("acme", "i1"), SecretRecord({"pem": "k" * MAX_RECORD_BYTES}), 1)
    assert await fields(store) == (large, 1)


async def test_records_are_not_shared_with_the_writer(store: SecretStore) -> None:
    """What the writer does with its own objects afterwards does not reach the record."""
    values = {"scopes": ["read"]}
    await store.put(RecordKey("acme", "i1"), SecretRecord(values), 0)
    values["scopes"].append("write")
    assert await fields(store) == ({"scopes": ["read"]}, 1)


async def test_what_is_no_json(store: SecretStore) -> None:
    """A value that JSON has not is refused by the name of its field, before anything is written."""
    for value in (float("inf"), b"bytes", {1, 2}, 10**5000):
        with pytest.raises(InvalidCredentials) as caught:
            await store.put(RecordKey("acme", "i1"), SecretRecord({"ok": 1, "bad": value}), 0)
        assert caught.value.details == {"field": "bad"}
    assert await store.get(RecordKey("acme", "i1")) is None
