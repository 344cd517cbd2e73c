"""Connecting to definitions."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import pytest

from registry.definitions import Definitions
from registry.errors import (
    DefinitionNotFound,
    DefinitionNotOffered,
    InvalidInstance,
)
from registry.instances import Instances
from registry.model import (
    Instance,
    InstanceFilter,
    PageRequest,
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


async def test_secrets_go_to_the_vault_alone(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """The instance has everything but its secrets, the vault has everything."""
    instance = await connected(example("crm"))
    assert instance.config == {"baseUrl": "https://crm.example.com"}
    assert instance.secret_fields == ("apiKey",)
    assert registry.vault.kept == {("acme", instance.id): CONFIG}
    assert "planted" not in repr(await registry.instances.get("acme", instance.id))


@pytest.mark.parametrize(
    ("name", "config", "status"),
    [
        ("crm", CONFIG, "CONNECTED"),
        ("users", CONFIG, "CONNECTED"),
        ("stripe_webhook", {"webhookSecret": "whsec"}, "CONNECTED"),
        (
            "google_calendar",
            {"clientId": "i", "clientSecret": "s", "redirectUri": "https://a/cb"},
            "PENDING_AUTHENTICATION",
        ),
    ],
)
async def test_the_examples_connect(
    registry: Registry,
    connected: Connect,
    example: Golden,
    *,
    name: str,
    config: dict[str, str],
    status: str,
) -> None:
    """Instances of the specification's definitions have the status it shows."""
    instance = await connected(example(name), config)
    assert instance.status == status
    assert instance.id.startswith("int_inst_")
    expected = instance.created_at if status == "CONNECTED" else None
    assert instance.last_connected_at == expected
    assert registry.changed == [("acme", instance.id)]


async def test_defaults_complete_a_config(connected: Connect, example: Golden) -> None:
    """A field that is not sent has its schema's default."""
    config = {"clientId": "i", "clientSecret": "s", "redirectUri": "https://a/cb"}
    instance = await connected(example("google_calendar"), config)
    assert instance.config["scope"] == "https://www.googleapis.com/auth/calendar.readonly"


async def test_sent_beats_default_config_beats_schema(connected: Connect, written: Write) -> None:
    """Of three values for a field the most particular wins."""
    properties = {name: {"default": "schema"} for name in ("a", "b", "c")}
    text = written(
        configSchema={"properties": properties}, defaultConfig={"b": "config", "c": "config"}
    )
    instance = await connected(text, {"c": "sent"})
    assert instance.config == {"a": "schema", "b": "config", "c": "sent"}


async def test_all_problems_come_at_once(registry: Registry, example: Golden) -> None:
    """Name and config are checked together."""
    entry = await registry.definitions.create("acme", example("crm"))
    with pytest.raises(InvalidInstance) as caught:
        await registry.instances.create("acme", entry.id, "a\nb", {"baseUrl": 5})
    assert problems(caught.value) == {
        "/name": "must have 1 to 200 characters, none of them a control",
        "/config/baseUrl": "must be of type string",
        "/config/apiKey": "is missing",
    }
    assert registry.vault.kept == {}


@pytest.mark.parametrize("name", ["", " ", "x" * 201, "a\x00", "a\u2028b", "\ud800"])
async def test_a_name_is_one_line(registry: Registry, example: Golden, name: str) -> None:
    """Names are for people."""
    entry = await registry.definitions.create("acme", example("crm"))
    with pytest.raises(InvalidInstance) as caught:
        await registry.instances.create("acme", entry.id, name, CONFIG)
    assert set(problems(caught.value)) == {"/name"}


@pytest.mark.parametrize("step", ["draft", "archive"])
async def test_only_what_is_offered_is_connected_to(
    registry: Registry, written: Write, step: str
) -> None:
    """Drafts and archived definitions get no instances."""
    status = "DRAFT" if step == "draft" else "PUBLISHED"
    entry = await registry.definitions.create("acme", written(status=status))
    if step == "archive":
        await registry.definitions.archive("acme", entry.id)
    with pytest.raises(DefinitionNotOffered) as caught:
        await registry.instances.create("acme", entry.id, "Mine", {})
    assert caught.value.details["id"] == entry.id


async def test_a_deprecated_definition_still_connects(registry: Registry, written: Write) -> None:
    """Deprecated is advice."""
    entry = await registry.definitions.create("acme", written())
    await registry.definitions.deprecate("acme", entry.id)
    instance = await registry.instances.create("acme", entry.id, "Mine", {})
    assert instance.definition_id == entry.id


async def test_another_tenants_definition_is_not_there(registry: Registry, written: Write) -> None:
    """Nobody connects to what is not theirs."""
    entry = await registry.definitions.create("acme", written())
    with pytest.raises(DefinitionNotFound):
        await registry.instances.create("other", entry.id, "Mine", {})


async def test_without_a_vault_there_is_no_instance(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """When secrets cannot be kept, no row is written."""
    registry.vault.failure = OSError("away")
    with pytest.raises(OSError, match="away"):
        await connected(example("crm"))
    page = await registry.instances.list("acme", InstanceFilter(), PageRequest())
    assert page.total == 0


@pytest.mark.parametrize("written_despite_failure", [True, False])
async def test_without_a_row_there_are_no_secrets(
    registry: Registry, connected: Connect, example: Golden, *, written_despite_failure: bool
) -> None:
    """When writing the row fails, or seems to, neither row nor secrets stay."""
    registry.instance_store.failure = OSError("away")
    registry.instance_store.writes_despite_failure = written_despite_failure
    with pytest.raises(OSError, match="away"):
        await connected(example("crm"))
    assert registry.vault.kept == {}
    page = await registry.instances.list("acme", InstanceFilter(), PageRequest())
    assert page.total == 0


async def test_a_caller_that_leaves_early_leaves_no_secrets(
    registry: Registry, connected: Connect, example: Golden
) -> None:
    """What was in the vault before there was a row goes with its caller."""
    registry.vault.delay = 60.0
    caller = asyncio.create_task(connected(example("crm")))
    await registry.vault.written.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert registry.vault.kept == {}
