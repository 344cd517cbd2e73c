"""How an instance stands, as those who hold its credentials tell it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import pytest

from registry.definitions import Definitions
from registry.errors import InvalidInstance, StaleEtag
from registry.instances import InstanceChange, Instances
from registry.model import Instance, InstanceError, InstanceStatus

Write = Callable[..., bytes]
Connect = Callable[..., Awaitable[Instance]]
TEXT = {"type": "string"}
SENT = {"clientId": "i", "clientSecret": "planted"}
CONNECTED, AUTH_ERROR = InstanceStatus.CONNECTED, InstanceStatus.AUTH_ERROR
REFUSED = InstanceError("AUTHENTICATION_ERROR", "refused")


class Registry(Protocol):
    """What the fixture answers."""

    definitions: Definitions
    instances: Instances
    vault: Any
    instance_store: Any
    changed: list[tuple[str, str]]


@pytest.fixture
def crm(written: Write) -> Write:
    """Write an OAuth definition whose API tells its address; arguments set members."""

    def write(schema: Any = None, **options: Any) -> bytes:
        return written(
            authType="oauth2",
            server="{+config.instanceUrl}",
            configSchema=schema
            or {"properties": dict.fromkeys(("clientId", "clientSecret"), TEXT)},
            oauth2Config={
                "issuer": "https://login.example.com",
                "captureFromToken": {"instanceUrl": "instance_url", "org": "org_id"},
                **options,
            },
        )

    return write


def problems(error: InvalidInstance) -> dict[str, str]:
    """Answer the message at each path."""
    found = error.details["problems"]
    assert isinstance(found, list)
    return {item["path"]: item["message"] for item in found}


async def test_a_connection_brings_status_and_captured_fields(
    registry: Registry, connected: Connect, crm: Write
) -> None:
    """What the API told is part of the config; the secrets, and their version, stay."""
    instance = await connected(crm(), SENT)
    assert (instance.status, instance.last_connected_at) == ("PENDING_AUTHENTICATION", None)
    registry.changed.clear()
    told = {"instanceUrl": "https://eu1.example.com", "org": "00D"}
    reported = await registry.instances.report("acme", instance.id, CONNECTED, None, told)
    assert reported.config == {"clientId": "i", **told}
    assert (reported.status, reported.error) == (CONNECTED, None)
    assert reported.last_connected_at == reported.updated_at > instance.updated_at
    assert reported.etag != instance.etag
    assert (reported.credentials_version, reported.secret_fields) == (1, ("clientSecret",))
    assert registry.vault.kept["acme", instance.id] == SENT
    assert registry.changed == [("acme", instance.id)]
    assert await registry.instances.get("acme", instance.id) == reported


async def test_an_error_comes_and_goes(registry: Registry, connected: Connect, crm: Write) -> None:
    """A refused refresh is seen on the instance, and what was captured stays, until it is cured."""
    instance = await connected(crm(), SENT)
    told = {"instanceUrl": "https://eu1.example.com"}
    first = await registry.instances.report("acme", instance.id, CONNECTED, None, told)
    failed = await registry.instances.report("acme", instance.id, AUTH_ERROR, REFUSED)
    assert (failed.status, failed.error) == (AUTH_ERROR, REFUSED)
    assert failed.config == first.config
    assert failed.last_connected_at == first.last_connected_at
    moved = {"instanceUrl": "https://us2.example.com"}
    cured = await registry.instances.report("acme", instance.id, CONNECTED, None, moved)
    assert (cured.status, cured.error) == (CONNECTED, None)
    assert cured.config == {"clientId": "i", **moved}
    assert cured.last_connected_at == cured.updated_at


async def test_what_is_known_is_not_written_again(
    registry: Registry, connected: Connect, crm: Write
) -> None:
    """Each refresh may report: only news move the etag, and reach the listener."""
    instance = await connected(crm(), SENT)
    told = {"instanceUrl": "https://eu1.example.com"}
    first = await registry.instances.report("acme", instance.id, CONNECTED, None, told)
    registry.changed.clear()
    for captured in (told, {}):
        again = await registry.instances.report("acme", instance.id, CONNECTED, None, captured)
        assert again == first
    assert registry.changed == []
    news = await registry.instances.report("acme", instance.id, CONNECTED, None, {"org": "00D"})
    assert news.config == {"clientId": "i", **told, "org": "00D"}
    assert news.last_connected_at == first.last_connected_at


@pytest.mark.parametrize("closed", [False, True])
async def test_a_change_of_the_config_keeps_what_was_captured(
    registry: Registry, connected: Connect, crm: Write, *, closed: bool
) -> None:
    """Captured fields stay when others change, also where a schema allows no more than its own."""
    properties = {"properties": {"clientId": TEXT, "clientSecret": TEXT}}
    strict = {"additionalProperties": False, "unevaluatedProperties": False}
    inner = {"allOf": [{**properties, "additionalProperties": False}]}
    schema = {**properties, **(strict if closed else {}), **(inner if closed else {})}
    instance = await connected(crm(schema), SENT)
    told = {"instanceUrl": "https://eu1.example.com", "org": "00D"}
    await registry.instances.report("acme", instance.id, CONNECTED, None, told)
    change = InstanceChange(config={"clientId": "j", "clientSecret": "other"})
    changed = await registry.instances.update("acme", instance.id, change)
    assert changed.config == {"clientId": "j", **told}
    assert (changed.status, changed.credentials_version) == (CONNECTED, 2)
    removed = InstanceChange(config={"org": None})
    changed = await registry.instances.update("acme", instance.id, removed)
    assert changed.config == {"clientId": "j", "instanceUrl": "https://eu1.example.com"}


async def test_unknown_fields_are_still_refused(connected: Connect, crm: Write) -> None:
    """A schema that is opened for captured fields is closed for all others."""
    schema = {
        "properties": {"clientId": TEXT, "clientSecret": TEXT},
        "additionalProperties": False,
    }
    with pytest.raises(InvalidInstance) as caught:
        await connected(crm(schema), {**SENT, "instanceURL": "x"})
    assert problems(caught.value) == {"/config": 'has fields that are not known: "instanceURL"'}
    instance = await connected(crm(schema), {**SENT, "instanceUrl": "https://x.example.com"})
    assert instance.config["instanceUrl"] == "https://x.example.com"


@pytest.mark.parametrize(
    ("captured", "message"),
    [
        ({"instanceUrl": 5}, "must be a text"),
        ({"instanceUrl": None}, "must be a text"),
        ({"instanceUrl": "ü" * 1025}, "2048 bytes"),
        ({"instanceUrl": "https://a\r\nX: b"}, "control"),
        ({"instanceUrl": "\ud800"}, "control"),
        ({"instanceUrl": "http://a"}, "pattern"),
    ],
)
async def test_what_is_captured_is_checked(
    registry: Registry, connected: Connect, crm: Write, *, captured: Any, message: str
) -> None:
    """Answers of other servers are input too: what does not fit the config changes nothing."""
    schema = {
        "properties": {
            "clientId": TEXT,
            "clientSecret": {"type": "string", "pattern": "^planted$"},
            "instanceUrl": {"$ref": "#/$defs/url"},
        },
        "required": ["clientId", "clientSecret"],
        "$defs": {"url": {"type": "string", "pattern": "^https://"}},
    }
    instance = await connected(crm(schema), SENT)
    with pytest.raises(InvalidInstance) as caught:
        await registry.instances.report("acme", instance.id, CONNECTED, None, captured)
    assert set(problems(caught.value)) == {"/config/instanceUrl"}
    assert message in problems(caught.value)["/config/instanceUrl"]
    assert await registry.instances.get("acme", instance.id) == instance
    fits = {"instanceUrl": "https://a.example.com", "extra": "accepted", "org": "x" * 2048}
    reported = await registry.instances.report("acme", instance.id, CONNECTED, None, fits)
    assert reported.config == {"clientId": "i", **fits}


async def test_a_secret_is_never_captured(
    registry: Registry, connected: Connect, crm: Write
) -> None:
    """What the schema or its name calls secret does not get into the public config."""
    instance = await connected(crm(), SENT)
    for name in ("clientSecret", "session_token"):
        with pytest.raises(InvalidInstance) as caught:
            await registry.instances.report(
                "acme", instance.id, CONNECTED, None, {name: "planted-two"}
            )
        assert problems(caught.value) == {f"/config/{name}": "is secret"}
        assert "planted-two" not in str(caught.value)
    assert await registry.instances.get("acme", instance.id) == instance


async def test_a_report_is_made_to_what_others_wrote(
    registry: Registry, connected: Connect, crm: Write
) -> None:
    """Who is overtaken tells again; who is always overtaken learns it."""
    instance = await connected(crm(), SENT)
    registry.instance_store.overtakers = 2
    reported = await registry.instances.report("acme", instance.id, CONNECTED, None, {"org": "o"})
    assert (reported.name, reported.config["org"]) == ("Mine++", "o")
    registry.instance_store.overtakers = 1000
    with pytest.raises(StaleEtag):
        await registry.instances.report("acme", instance.id, AUTH_ERROR, REFUSED)


async def test_reports_and_changes_at_the_same_time_all_arrive(
    registry: Registry, connected: Connect, crm: Write
) -> None:
    """Neither a captured field nor one that is sent gets lost."""
    instance = await connected(crm(), SENT)
    await asyncio.gather(
        *(
            registry.instances.update("acme", instance.id, InstanceChange(config={f"f{n}": n}))
            for n in range(5)
        ),
        *(
            registry.instances.report("acme", instance.id, CONNECTED, None, {f"c{n}": "x"})
            for n in range(5)
        ),
    )
    stored = await registry.instances.get("acme", instance.id)
    expected = {f"f{n}" for n in range(5)} | {f"c{n}" for n in range(5)} | {"clientId"}
    assert set(stored.config) == expected
    assert stored.credentials_version == registry.vault.versions["acme", instance.id]


@pytest.mark.parametrize("grant", ["client_credentials", "token_exchange", "jwt_bearer"])
async def test_a_grant_without_consent_connects_at_once(
    registry: Registry, connected: Connect, crm: Write, grant: str
) -> None:
    """Where nobody has to consent the secrets are enough, and new ones cure."""
    instance = await connected(crm(grant=grant), SENT)
    assert (instance.status, instance.last_connected_at) == (CONNECTED, instance.created_at)
    await registry.instances.report("acme", instance.id, AUTH_ERROR, REFUSED)
    change = InstanceChange(config={"clientSecret": "new"})
    changed = await registry.instances.update("acme", instance.id, change)
    assert (changed.status, changed.error) == (CONNECTED, None)


async def test_a_disconnected_instance_is_connected_by_new_secrets(
    registry: Registry, connected: Connect, written: Write
) -> None:
    """Who took the credentials away gives new ones; another name or address is none."""
    schema = {"properties": {"baseUrl": TEXT, "apiKey": TEXT}}
    instance = await connected(written(authType="api_key", configSchema=schema))
    off = InstanceStatus.DISCONNECTED
    await registry.instances.report("acme", instance.id, off, REFUSED)
    address = InstanceChange(config={"baseUrl": "https://b.example.com"})
    changed = await registry.instances.update("acme", instance.id, address)
    assert (changed.status, changed.error) == (off, REFUSED)
    secret = InstanceChange(config={"apiKey": "planted-two"})
    changed = await registry.instances.update("acme", instance.id, secret)
    assert (changed.status, changed.error) == (CONNECTED, None)
