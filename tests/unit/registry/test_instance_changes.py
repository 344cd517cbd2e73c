"""Changing an instance: its config, its name, whether it can be used."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import pytest

from registry.definitions import Definitions
from registry.errors import (
    InvalidInstance,
    StaleEtag,
    StoreUnavailable,
)
from registry.instances import InstanceChange, Instances
from registry.model import (
    Instance,
    InstanceError,
    InstanceStatus,
)

Write = Callable[..., bytes]
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


def problems(error: InvalidInstance) -> dict[str, str]:
    """Answer the message at each path."""
    found = error.details["problems"]
    assert isinstance(found, list)
    return {item["path"]: item["message"] for item in found}


async def test_a_secret_that_is_not_sent_stays(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """Other fields change without sending secrets again."""
    instance = await connected(example("crm"))
    change = InstanceChange(config={"baseUrl": "https://new.example.com"})
    changed = await registry.instances.update("acme", instance.id, change)
    assert changed.config == {"baseUrl": "https://new.example.com"}
    assert changed.secret_fields == ("apiKey",)
    assert registry.vault.kept[("acme", instance.id)] == {**CONFIG, **changed.config}
    assert changed.etag != instance.etag
    assert changed.updated_at > instance.updated_at
    assert await registry.instances.get("acme", instance.id) == changed


async def test_a_secret_can_be_replaced(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """A new secret goes to the vault and nowhere else."""
    instance = await connected(example("crm"))
    change = InstanceChange(config={"apiKey": "planted-two"})
    changed = await registry.instances.update("acme", instance.id, change)
    assert registry.vault.kept[("acme", instance.id)]["apiKey"] == "planted-two"
    assert "planted" not in repr(changed)


async def test_null_removes(registry: Registry, connected: Connect, written: Write) -> None:
    """A field set to null is gone, in the vault too; a default comes back."""
    schema = {"properties": {"a": {}, "token": {"type": "string"}, "d": {"default": 1}}}
    text = written(configSchema=schema)
    instance = await connected(text, {"a": 1, "token": "t", "d": 2})
    change = InstanceChange(config={"a": None, "token": None, "d": None, "absent": None})
    changed = await registry.instances.update("acme", instance.id, change)
    assert (changed.config, changed.secret_fields) == ({"d": 1}, ())
    assert registry.vault.kept[("acme", instance.id)] == {"d": 1}


async def test_a_stored_null_is_a_value(
    registry: Registry, connected: Connect, written: Write
) -> None:
    """Only a null that is sent removes."""
    instance = await connected(written(configSchema={}), {"a": None})
    change = InstanceChange(config={"b": 1})
    changed = await registry.instances.update("acme", instance.id, change)
    assert changed.config == {"a": None, "b": 1}


async def test_a_required_secret_cannot_be_removed(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """The config has to match after the change."""
    instance = await connected(example("crm"))
    with pytest.raises(InvalidInstance) as caught:
        await registry.instances.update(
            "acme", instance.id, InstanceChange(config={"apiKey": None})
        )
    assert problems(caught.value) == {"/config/apiKey": "is missing"}
    assert registry.vault.kept[("acme", instance.id)] == CONFIG


async def test_a_kept_secret_need_not_match_again(registry: Registry, written: Write) -> None:
    """Nobody can check a value that is not there: it was checked when it came."""
    secret = {"type": "string", "pattern": "^sk_", "minLength": 10, "default": "sk_default_1"}
    text = written(
        configSchema={
            "required": ["apiKey"],
            "properties": {"apiKey": secret, "a": {}},
            "allOf": [{"properties": {"apiKey": {"format": "uuid"}}}],
            "anyOf": [{"$ref": "#/$defs/long"}, {"required": ["a"]}],
            "$defs": {"long": {"properties": {"apiKey": {"minLength": 20}}}},
        }
    )
    entry = await registry.definitions.create("acme", text.replace(b'"format": "uuid"', b""))
    value = {"apiKey": "sk_1234567890123456789"}
    instance = await registry.instances.create("acme", entry.id, "Mine", value)
    changed = await registry.instances.update("acme", instance.id, InstanceChange(config={"a": 1}))
    assert registry.vault.kept[("acme", changed.id)] == {**value, "a": 1}


async def test_a_name_changes_alone(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """Renaming touches neither config nor vault."""
    instance = await connected(example("crm"))
    registry.vault.failure = OSError("away")
    changed = await registry.instances.update("acme", instance.id, InstanceChange(name="Renamed"))
    assert (changed.name, changed.config) == ("Renamed", instance.config)
    with pytest.raises(InvalidInstance):
        await registry.instances.update("acme", instance.id, InstanceChange(name=""))


async def test_an_etag_guards_what_was_seen(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """A change that rests on an old version is refused and leaves everything as it is."""
    instance = await connected(example("crm"))
    seen = instance.etag
    await registry.instances.update("acme", instance.id, InstanceChange(name="B", etag=seen))
    late = InstanceChange(config={"apiKey": "planted-late"}, etag=seen)
    with pytest.raises(StaleEtag):
        await registry.instances.update("acme", instance.id, late)
    assert registry.vault.kept[("acme", instance.id)] == CONFIG


async def test_a_report_during_a_change_with_etag_parts_nothing(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """What an etag guards is settled before the vault is written: a status in between is no bar."""
    instance = await connected(example("crm"))
    registry.vault.written.clear()
    registry.vault.delay = 0.01
    late = InstanceChange(config={"apiKey": "planted-two"}, etag=instance.etag)
    change = asyncio.create_task(registry.instances.update("acme", instance.id, late))
    await registry.vault.written.wait()
    await registry.instances.report("acme", instance.id, InstanceStatus.DISCONNECTED)
    changed = await change
    assert changed.credentials_version == registry.vault.versions["acme", instance.id]
    assert await registry.instances.get("acme", instance.id) == changed


async def test_of_two_processes_with_one_etag_the_second_changes_nothing(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """Neither the vault nor the row has anything of a change that is refused."""
    instance = await connected(example("crm"))
    registry.instance_store.overtakers = 1  # another process is faster by a moment
    change = InstanceChange(config={"apiKey": "planted-late"}, etag=instance.etag)
    with pytest.raises(StaleEtag):
        await registry.instances.update("acme", instance.id, change)
    assert registry.vault.kept["acme", instance.id] == CONFIG
    assert registry.vault.versions["acme", instance.id] == 1


async def test_a_config_that_is_refused_uses_no_etag_up(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """The same etag is good for the corrected change."""
    instance = await connected(example("crm"))
    wrong = InstanceChange(config={"apiKey": None}, etag=instance.etag)
    with pytest.raises(InvalidInstance):
        await registry.instances.update("acme", instance.id, wrong)
    right = InstanceChange(config={"apiKey": "planted-two"}, etag=instance.etag)
    assert (await registry.instances.update("acme", instance.id, right)).credentials_version == 2


async def test_concurrent_changes_without_etag_all_arrive(
    registry: Registry, connected: Connect, written: Write
) -> None:
    """Fields set by many at the same time are all there."""
    instance = await connected(written(configSchema={}), {})
    changes = [InstanceChange(config={f"f{number}": number}) for number in range(10)]
    await asyncio.gather(
        *(registry.instances.update("acme", instance.id, change) for change in changes)
    )
    stored = await registry.instances.get("acme", instance.id)
    assert set(stored.config) == {f"f{number}" for number in range(10)}
    assert registry.vault.kept[("acme", instance.id)] == stored.config


async def test_a_change_is_repeated_on_what_others_wrote(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """Writers in other processes are not undone: the change is made to what they wrote."""
    instance = await connected(example("crm"))
    registry.instance_store.overtakers = 2
    change = InstanceChange(config={"baseUrl": "https://new.example.com"})
    changed = await registry.instances.update("acme", instance.id, change)
    assert (changed.name, changed.config) == ("Mine++", change.config)
    registry.instance_store.overtakers = 2
    failed = await registry.instances.report("acme", instance.id, InstanceStatus.AUTH_ERROR)
    assert (failed.name, failed.status) == ("Mine++++", InstanceStatus.AUTH_ERROR)


async def test_a_change_is_not_repeated_for_ever(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """Who is always overtaken learns it at last."""
    instance = await connected(example("crm"))
    registry.instance_store.overtakers = 1000
    with pytest.raises(StaleEtag):
        await registry.instances.update("acme", instance.id, InstanceChange(name="B"))
    with pytest.raises(StaleEtag):
        await registry.instances.report("acme", instance.id, InstanceStatus.AUTH_ERROR)


async def test_new_config_cures_an_instance(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """An instance in error is tried again once its config has changed."""
    instance = await connected(example("crm"))
    error = InstanceError("AUTHENTICATION_ERROR", "refused")
    await registry.instances.report("acme", instance.id, InstanceStatus.AUTH_ERROR, error)
    change = InstanceChange(config={"apiKey": "new"})
    changed = await registry.instances.update("acme", instance.id, change)
    assert (changed.status, changed.error) == (InstanceStatus.CONNECTED, None)
    assert changed.last_connected_at == changed.updated_at


async def test_new_config_is_no_consent(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """An OAuth instance stays as it is until somebody consents."""
    config = {"clientId": "i", "clientSecret": "s", "redirectUri": "https://a/cb"}
    instance = await connected(example("google_calendar"), config)
    await registry.instances.report("acme", instance.id, InstanceStatus.AUTH_ERROR)
    changed = await registry.instances.update(
        "acme", instance.id, InstanceChange(config={"clientSecret": "t"})
    )
    assert changed.status is InstanceStatus.AUTH_ERROR


async def test_the_cache_is_told(registry: Registry, connected: Connect, example: Golden) -> None:
    """Whoever caches instances hears of every change at once."""
    instance = await connected(example("crm"))
    registry.changed.clear()
    await registry.instances.update("acme", instance.id, InstanceChange(name="B"))
    await registry.instances.report("acme", instance.id, InstanceStatus.AUTH_ERROR)
    await registry.instances.delete("acme", instance.id)
    assert registry.changed == [("acme", instance.id)] * 3


async def test_a_status_has_its_reason_and_time(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """An error comes with the status and goes with it."""
    instance = await connected(example("crm"))
    error = InstanceError("AUTHENTICATION_ERROR", "refused", {"statusCode": 401})
    failed = await registry.instances.report("acme", instance.id, InstanceStatus.AUTH_ERROR, error)
    assert (failed.status, failed.error) == (InstanceStatus.AUTH_ERROR, error)
    assert failed.last_connected_at == instance.last_connected_at
    again = await registry.instances.report("acme", instance.id, InstanceStatus.CONNECTED)
    assert (again.status, again.error) == (InstanceStatus.CONNECTED, None)
    assert again.last_connected_at == again.updated_at


async def test_the_same_status_is_no_change(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """Saying again what is so writes nothing."""
    instance = await connected(example("crm"))
    again = await registry.instances.report("acme", instance.id, InstanceStatus.CONNECTED)
    assert again == instance


async def test_an_instance_names_the_version_of_its_credentials(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """Each change of the config comes with the version that its secrets got; a name has none."""
    instance = await connected(example("crm"))
    assert instance.credentials_version == 1
    changed = await registry.instances.update(
        "acme", instance.id, InstanceChange(config={"apiKey": "planted-two"})
    )
    renamed = await registry.instances.update("acme", instance.id, InstanceChange(name="B"))
    failed = await registry.instances.report("acme", instance.id, InstanceStatus.AUTH_ERROR)
    assert [i.credentials_version for i in (changed, renamed, failed)] == [2, 2, 2]
    assert (await registry.instances.get("acme", instance.id)).credentials_version == 2


@pytest.mark.parametrize("written", [True, False])
async def test_a_row_that_was_not_written_is_written_again(
    registry: Registry, connected: Connect, example: Golden, *, written: bool
) -> None:
    """A database that is away for a moment parts no config from its secrets."""
    instance = await connected(example("crm"))
    registry.instance_store.outages = 1
    registry.instance_store.writes_despite_failure = written
    changed = await registry.instances.update(
        "acme", instance.id, InstanceChange(config={"apiKey": "planted-two"})
    )
    assert await registry.instances.get("acme", instance.id) == changed
    assert changed.credentials_version == registry.vault.versions["acme", instance.id]


async def test_the_same_change_again_makes_whole_what_broke_off(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """A row that stayed behind names the old version until the change is sent again."""
    instance = await connected(example("crm"))
    registry.instance_store.outages = 2
    change = InstanceChange(config={"baseUrl": "https://b.example.com", "apiKey": "planted-b"})
    with pytest.raises(StoreUnavailable):
        await registry.instances.update("acme", instance.id, change)
    kept = await registry.instances.get("acme", instance.id)
    assert kept.credentials_version < registry.vault.versions["acme", instance.id]
    changed = await registry.instances.update("acme", instance.id, change)
    assert changed.credentials_version == registry.vault.versions["acme", instance.id]
    assert changed.config == {"baseUrl": "https://b.example.com"}


async def test_a_caller_that_leaves_does_not_part_config_and_secrets(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """A change that has begun is over, in vault and store, when its cancelled caller is."""
    instance = await connected(example("crm"))
    registry.vault.written.clear()
    registry.vault.delay = 0.01
    change = InstanceChange(config={"baseUrl": "https://b.example.com", "apiKey": "planted-b"})
    caller = asyncio.create_task(registry.instances.update("acme", instance.id, change))
    await registry.vault.written.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    kept = await registry.instances.get("acme", instance.id)
    assert (kept.config, kept.credentials_version) == ({"baseUrl": "https://b.example.com"}, 2)


async def test_a_change_of_nothing_writes_nothing(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """Without a name and a config the instance stays what it was, its etag too."""
    instance = await connected(example("crm"))
    registry.changed.clear()
    assert await registry.instances.update("acme", instance.id, InstanceChange()) == instance
    same = InstanceChange(etag=instance.etag)
    assert await registry.instances.update("acme", instance.id, same) == instance
    assert registry.changed == []
    assert registry.vault.versions["acme", instance.id] == 1
    with pytest.raises(StaleEtag):
        await registry.instances.update("acme", instance.id, InstanceChange(etag="0-x"))
