"""Connecting to definitions, and keeping the connection's config."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.config import completed, config_problems
from registry.definitions import Definitions
from registry.errors import (
    DefinitionNotFound,
    DefinitionNotOffered,
    InstanceNotFound,
    InvalidInstance,
    InvalidPageRequest,
    StaleEtag,
)
from registry.instances import InstanceChange, Instances
from registry.model import (
    Instance,
    InstanceError,
    InstanceFilter,
    InstanceStatus,
    PageRequest,
)
from registry.parse import parse

Write = Callable[..., bytes]
Golden = Callable[[str], bytes]
CONFIG = {"baseUrl": "https://crm.example.com", "apiKey": "planted-secret"}


class Registry(Protocol):
    """What the fixture answers."""

    definitions: Definitions
    instances: Instances
    vault: Any
    instance_store: Any
    changed: list[tuple[str, str]]


async def connected(registry: Registry, text: bytes, config: Any = None) -> Instance:
    """Register a definition and connect to it."""
    entry = await registry.definitions.create("acme", text)
    chosen = CONFIG if config is None else config
    return await registry.instances.create("acme", entry.id, "Mine", chosen)


def problems(error: InvalidInstance) -> dict[str, str]:
    """Answer the message at each path."""
    found = error.details["problems"]
    assert isinstance(found, list)
    return {item["path"]: item["message"] for item in found}


class TestCreate:
    """Connecting."""

    async def test_secrets_go_to_the_vault_alone(self, registry: Registry, golden: Golden) -> None:
        """The instance has everything but its secrets, the vault has everything."""
        instance = await connected(registry, golden("crm"))
        assert instance.config == {"baseUrl": "https://crm.example.com"}
        assert instance.secret_fields == ("apiKey",)
        assert registry.vault.kept == {("acme", instance.id): CONFIG}
        assert "planted" not in repr(await registry.instances.get("acme", instance.id))

    @pytest.mark.parametrize(
        ("name", "config", "status"),
        [
            ("crm", CONFIG, "CONNECTED"),
            ("basic_users", CONFIG, "CONNECTED"),
            ("stripe_webhook", {"webhookSecret": "whsec"}, "CONNECTED"),
            (
                "google_calendar",
                {"clientId": "i", "clientSecret": "s", "redirectUri": "https://a/cb"},
                "PENDING_AUTHENTICATION",
            ),
        ],
    )
    async def test_the_examples_connect(
        self, registry: Registry, golden: Golden, name: str, config: dict[str, str], status: str
    ) -> None:
        """Instances of the specification's definitions have the status it shows."""
        instance = await connected(registry, golden(name), config)
        assert instance.status == status
        assert instance.id.startswith("int_inst_")
        expected = instance.created_at if status == "CONNECTED" else None
        assert instance.last_connected_at == expected
        assert registry.changed == [("acme", instance.id)]

    async def test_defaults_complete_a_config(self, registry: Registry, golden: Golden) -> None:
        """A field that is not sent has its schema's default."""
        config = {"clientId": "i", "clientSecret": "s", "redirectUri": "https://a/cb"}
        instance = await connected(registry, golden("google_calendar"), config)
        assert instance.config["scope"] == "https://www.googleapis.com/auth/calendar.readonly"

    async def test_sent_beats_default_config_beats_schema(
        self, registry: Registry, written: Write
    ) -> None:
        """Of three values for a field the most particular wins."""
        properties = {name: {"default": "schema"} for name in ("a", "b", "c")}
        text = written(
            configSchema={"properties": properties}, defaultConfig={"b": "config", "c": "config"}
        )
        instance = await connected(registry, text, {"c": "sent"})
        assert instance.config == {"a": "schema", "b": "config", "c": "sent"}

    async def test_all_problems_come_at_once(self, registry: Registry, golden: Golden) -> None:
        """Name and config are checked together."""
        entry = await registry.definitions.create("acme", golden("crm"))
        with pytest.raises(InvalidInstance) as caught:
            await registry.instances.create("acme", entry.id, "a\nb", {"baseUrl": 5})
        assert problems(caught.value) == {
            "/name": "must have 1 to 200 characters, none of them a control",
            "/config/baseUrl": "must be of type string",
            "/config/apiKey": "is missing",
        }
        assert registry.vault.kept == {}

    @pytest.mark.parametrize("name", ["", " ", "x" * 201, "a\x00", "a\u2028b", "\ud800"])
    async def test_a_name_is_one_line(self, registry: Registry, golden: Golden, name: str) -> None:
        """Names are for people."""
        entry = await registry.definitions.create("acme", golden("crm"))
        with pytest.raises(InvalidInstance) as caught:
            await registry.instances.create("acme", entry.id, name, CONFIG)
        assert set(problems(caught.value)) == {"/name"}

    @pytest.mark.parametrize("step", ["draft", "archive"])
    async def test_only_what_is_offered_is_connected_to(
        self, registry: Registry, written: Write, step: str
    ) -> None:
        """Drafts and archived definitions get no instances."""
        status = "DRAFT" if step == "draft" else "PUBLISHED"
        entry = await registry.definitions.create("acme", written(status=status))
        if step == "archive":
            await registry.definitions.archive("acme", entry.id)
        with pytest.raises(DefinitionNotOffered) as caught:
            await registry.instances.create("acme", entry.id, "Mine", {})
        assert caught.value.details["id"] == entry.id

    async def test_a_deprecated_definition_still_connects(
        self, registry: Registry, written: Write
    ) -> None:
        """Deprecated is advice."""
        entry = await registry.definitions.create("acme", written())
        await registry.definitions.deprecate("acme", entry.id)
        instance = await registry.instances.create("acme", entry.id, "Mine", {})
        assert instance.definition_id == entry.id

    async def test_another_tenants_definition_is_not_there(
        self, registry: Registry, written: Write
    ) -> None:
        """Nobody connects to what is not theirs."""
        entry = await registry.definitions.create("acme", written())
        with pytest.raises(DefinitionNotFound):
            await registry.instances.create("other", entry.id, "Mine", {})

    async def test_without_a_vault_there_is_no_instance(
        self, registry: Registry, golden: Golden
    ) -> None:
        """When secrets cannot be kept, no row is written."""
        registry.vault.failure = OSError("away")
        with pytest.raises(OSError, match="away"):
            await connected(registry, golden("crm"))
        page = await registry.instances.list("acme", InstanceFilter(), PageRequest())
        assert page.total == 0

    @pytest.mark.parametrize("written_despite_failure", [True, False])
    async def test_without_a_row_there_are_no_secrets(
        self, registry: Registry, golden: Golden, *, written_despite_failure: bool
    ) -> None:
        """When writing the row fails, or seems to, neither row nor secrets stay."""
        registry.instance_store.failure = OSError("away")
        registry.instance_store.writes_despite_failure = written_despite_failure
        with pytest.raises(OSError, match="away"):
            await connected(registry, golden("crm"))
        assert registry.vault.kept == {}
        page = await registry.instances.list("acme", InstanceFilter(), PageRequest())
        assert page.total == 0


class TestUpdate:
    """Changing."""

    async def test_a_secret_that_is_not_sent_stays(
        self, registry: Registry, golden: Golden
    ) -> None:
        """Other fields change without sending secrets again."""
        instance = await connected(registry, golden("crm"))
        change = InstanceChange(config={"baseUrl": "https://new.example.com"})
        changed = await registry.instances.update("acme", instance.id, change)
        assert changed.config == {"baseUrl": "https://new.example.com"}
        assert changed.secret_fields == ("apiKey",)
        assert registry.vault.kept[("acme", instance.id)] == {**CONFIG, **changed.config}
        assert changed.etag != instance.etag
        assert changed.updated_at > instance.updated_at
        assert await registry.instances.get("acme", instance.id) == changed

    async def test_a_secret_can_be_replaced(self, registry: Registry, golden: Golden) -> None:
        """A new secret goes to the vault and nowhere else."""
        instance = await connected(registry, golden("crm"))
        change = InstanceChange(config={"apiKey": "planted-two"})
        changed = await registry.instances.update("acme", instance.id, change)
        assert registry.vault.kept[("acme", instance.id)]["apiKey"] == "planted-two"
        assert "planted" not in repr(changed)

    async def test_null_removes(self, registry: Registry, written: Write) -> None:
        """A field set to null is gone, in the vault too; a default comes back."""
        schema = {"properties": {"a": {}, "token": {"type": "string"}, "d": {"default": 1}}}
        text = written(configSchema=schema)
        instance = await connected(registry, text, {"a": 1, "token": "t", "d": 2})
        change = InstanceChange(config={"a": None, "token": None, "d": None, "absent": None})
        changed = await registry.instances.update("acme", instance.id, change)
        assert (changed.config, changed.secret_fields) == ({"d": 1}, ())
        assert registry.vault.kept[("acme", instance.id)] == {"d": 1}

    async def test_a_stored_null_is_a_value(self, registry: Registry, written: Write) -> None:
        """Only a null that is sent removes."""
        instance = await connected(registry, written(configSchema={}), {"a": None})
        change = InstanceChange(config={"b": 1})
        changed = await registry.instances.update("acme", instance.id, change)
        assert changed.config == {"a": None, "b": 1}

    async def test_a_required_secret_cannot_be_removed(
        self, registry: Registry, golden: Golden
    ) -> None:
        """The config has to match after the change."""
        instance = await connected(registry, golden("crm"))
        with pytest.raises(InvalidInstance) as caught:
            await registry.instances.update(
                "acme", instance.id, InstanceChange(config={"apiKey": None})
            )
        assert problems(caught.value) == {"/config/apiKey": "is missing"}
        assert registry.vault.kept[("acme", instance.id)] == CONFIG

    async def test_a_kept_secret_need_not_match_again(
        self, registry: Registry, written: Write
    ) -> None:
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
        changed = await registry.instances.update(
            "acme", instance.id, InstanceChange(config={"a": 1})
        )
        assert registry.vault.kept[("acme", changed.id)] == {**value, "a": 1}

    async def test_a_name_changes_alone(self, registry: Registry, golden: Golden) -> None:
        """Renaming touches neither config nor vault."""
        instance = await connected(registry, golden("crm"))
        registry.vault.failure = OSError("away")
        changed = await registry.instances.update(
            "acme", instance.id, InstanceChange(name="Renamed")
        )
        assert (changed.name, changed.config) == ("Renamed", instance.config)
        with pytest.raises(InvalidInstance):
            await registry.instances.update("acme", instance.id, InstanceChange(name=""))

    async def test_an_etag_guards_what_was_seen(self, registry: Registry, golden: Golden) -> None:
        """A change that rests on an old version is refused and leaves everything as it is."""
        instance = await connected(registry, golden("crm"))
        seen = instance.etag
        await registry.instances.update("acme", instance.id, InstanceChange(name="B", etag=seen))
        late = InstanceChange(config={"apiKey": "planted-late"}, etag=seen)
        with pytest.raises(StaleEtag):
            await registry.instances.update("acme", instance.id, late)
        assert registry.vault.kept[("acme", instance.id)] == CONFIG

    async def test_concurrent_changes_without_etag_all_arrive(
        self, registry: Registry, written: Write
    ) -> None:
        """Fields set by many at the same time are all there."""
        instance = await connected(registry, written(configSchema={}), {})
        changes = [InstanceChange(config={f"f{number}": number}) for number in range(10)]
        await asyncio.gather(
            *(registry.instances.update("acme", instance.id, change) for change in changes)
        )
        stored = await registry.instances.get("acme", instance.id)
        assert set(stored.config) == {f"f{number}" for number in range(10)}
        assert registry.vault.kept[("acme", instance.id)] == stored.config

    async def test_a_change_is_repeated_on_what_others_wrote(
        self, registry: Registry, golden: Golden
    ) -> None:
        """Writers in other processes are not undone: the change is made to what they wrote."""
        instance = await connected(registry, golden("crm"))
        registry.instance_store.overtakers = 2
        change = InstanceChange(config={"baseUrl": "https://new.example.com"})
        changed = await registry.instances.update("acme", instance.id, change)
        assert (changed.name, changed.config) == ("Mine++", change.config)
        registry.instance_store.overtakers = 2
        failed = await registry.instances.set_status("acme", instance.id, InstanceStatus.AUTH_ERROR)
        assert (failed.name, failed.status) == ("Mine++++", InstanceStatus.AUTH_ERROR)

    async def test_a_change_is_not_repeated_for_ever(
        self, registry: Registry, golden: Golden
    ) -> None:
        """Who is always overtaken learns it at last."""
        instance = await connected(registry, golden("crm"))
        registry.instance_store.overtakers = 1000
        with pytest.raises(StaleEtag):
            await registry.instances.update("acme", instance.id, InstanceChange(name="B"))
        with pytest.raises(StaleEtag):
            await registry.instances.set_status("acme", instance.id, InstanceStatus.AUTH_ERROR)

    async def test_new_config_cures_an_instance(self, registry: Registry, golden: Golden) -> None:
        """An instance in error is tried again once its config has changed."""
        instance = await connected(registry, golden("crm"))
        error = InstanceError("AUTHENTICATION_ERROR", "refused")
        await registry.instances.set_status("acme", instance.id, InstanceStatus.AUTH_ERROR, error)
        change = InstanceChange(config={"apiKey": "new"})
        changed = await registry.instances.update("acme", instance.id, change)
        assert (changed.status, changed.error) == (InstanceStatus.CONNECTED, None)
        assert changed.last_connected_at == changed.updated_at

    async def test_new_config_is_no_consent(self, registry: Registry, golden: Golden) -> None:
        """An OAuth instance stays as it is until somebody consents."""
        config = {"clientId": "i", "clientSecret": "s", "redirectUri": "https://a/cb"}
        instance = await connected(registry, golden("google_calendar"), config)
        await registry.instances.set_status("acme", instance.id, InstanceStatus.AUTH_ERROR)
        changed = await registry.instances.update(
            "acme", instance.id, InstanceChange(config={"clientSecret": "t"})
        )
        assert changed.status is InstanceStatus.AUTH_ERROR

    async def test_the_cache_is_told(self, registry: Registry, golden: Golden) -> None:
        """Whoever caches instances hears of every change at once."""
        instance = await connected(registry, golden("crm"))
        registry.changed.clear()
        await registry.instances.update("acme", instance.id, InstanceChange(name="B"))
        await registry.instances.set_status("acme", instance.id, InstanceStatus.AUTH_ERROR)
        await registry.instances.delete("acme", instance.id)
        assert registry.changed == [("acme", instance.id)] * 3


class TestStatus:
    """Whether an instance can be used."""

    async def test_a_status_has_its_reason_and_time(
        self, registry: Registry, golden: Golden
    ) -> None:
        """An error comes with the status and goes with it."""
        instance = await connected(registry, golden("crm"))
        error = InstanceError("AUTHENTICATION_ERROR", "refused", {"statusCode": 401})
        failed = await registry.instances.set_status(
            "acme", instance.id, InstanceStatus.AUTH_ERROR, error
        )
        assert (failed.status, failed.error) == (InstanceStatus.AUTH_ERROR, error)
        assert failed.last_connected_at == instance.last_connected_at
        again = await registry.instances.set_status("acme", instance.id, InstanceStatus.CONNECTED)
        assert (again.status, again.error) == (InstanceStatus.CONNECTED, None)
        assert again.last_connected_at == again.updated_at

    async def test_the_same_status_is_no_change(self, registry: Registry, golden: Golden) -> None:
        """Saying again what is so writes nothing."""
        instance = await connected(registry, golden("crm"))
        again = await registry.instances.set_status("acme", instance.id, InstanceStatus.CONNECTED)
        assert again == instance


class TestFind:
    """Reading and removing."""

    async def test_a_target_is_instance_and_definition(
        self, registry: Registry, golden: Golden
    ) -> None:
        """Everything an execution needs comes in one answer."""
        instance = await connected(registry, golden("crm"))
        target = await registry.instances.resolve("acme", instance.id)
        assert target.instance == instance
        assert target.definition == parse(golden("crm")).definition

    async def test_an_instance_outlives_the_offer(self, registry: Registry, golden: Golden) -> None:
        """Instances of archived definitions go on."""
        instance = await connected(registry, golden("crm"))
        await registry.definitions.archive("acme", instance.definition_id)
        assert (await registry.instances.resolve("acme", instance.id)).instance == instance

    @pytest.mark.parametrize("identifier", ["", "X", "../x", "a" * 65, "a\x00", "int_inst_1"])
    async def test_an_id_that_leads_nowhere_is_one_answer(
        self, registry: Registry, identifier: str
    ) -> None:
        """Absent and malformed ids are told apart by nobody, whatever is asked."""
        calls = [
            registry.instances.get("acme", identifier),
            registry.instances.resolve("acme", identifier),
            registry.instances.delete("acme", identifier),
            registry.instances.update("acme", identifier, InstanceChange(name="x")),
            registry.instances.set_status("acme", identifier, InstanceStatus.CONNECTED),
        ]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {InstanceNotFound}
        assert len({str(outcome) for outcome in outcomes}) == 1

    async def test_another_tenants_instance_is_not_there(
        self, registry: Registry, golden: Golden
    ) -> None:
        """Other tenants can neither read, change nor remove it."""
        instance = await connected(registry, golden("crm"))
        for call in (
            registry.instances.get("other", instance.id),
            registry.instances.resolve("other", instance.id),
            registry.instances.delete("other", instance.id),
            registry.instances.update("other", instance.id, InstanceChange(config={})),
        ):
            with pytest.raises(InstanceNotFound):
                await call
        assert registry.vault.kept == {("acme", instance.id): CONFIG}

    async def test_secrets_go_first(self, registry: Registry, golden: Golden) -> None:
        """An instance whose secrets cannot be removed stays; then both are gone."""
        instance = await connected(registry, golden("crm"))
        registry.vault.failure = OSError("away")
        with pytest.raises(OSError, match="away"):
            await registry.instances.delete("acme", instance.id)
        assert await registry.instances.get("acme", instance.id) == instance
        registry.vault.failure = None
        await registry.instances.delete("acme", instance.id)
        assert registry.vault.kept == {}
        with pytest.raises(InstanceNotFound):
            await registry.instances.get("acme", instance.id)

    async def test_a_list_can_be_narrowed(self, registry: Registry, golden: Golden) -> None:
        """Lists take a search and filters, and refuse what cannot be served."""
        instance = await connected(registry, golden("crm"))
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


class TestMessages:
    """What is said about a config."""

    @pytest.mark.parametrize(
        ("rule", "value", "message"),
        [
            ({"type": ["integer", "null"]}, "v", "must be of type integer or null"),
            ({"enum": ["a", 1]}, "v", 'must be one of "a", 1'),
            ({"const": "a"}, "v", 'must be "a"'),
            ({"format": "uri"}, "not a uri", "must be a valid uri"),
            ({"format": "email"}, "v", "must be a valid email"),
            ({"pattern": "^x"}, "v", "must match the pattern ^x"),
            ({"minLength": 2}, "v", "must have at least 2 characters"),
            ({"maxLength": 0}, "v", "must have at most 0 characters"),
            ({"minimum": 2}, 1, "must be at least 2"),
            ({"maximum": 0}, 1, "must be at most 0"),
            ({"exclusiveMinimum": 1}, 1, "must be more than 1"),
            ({"exclusiveMaximum": 1}, 1, "must be less than 1"),
            ({"multipleOf": 2}, 1, "must be a multiple of 2"),
            ({"minItems": 2}, [1], "must have at least 2 items"),
            ({"maxItems": 0}, [1], "must have at most 0 items"),
            ({"uniqueItems": True}, [1, 1], "must not have the same item twice"),
            ({"minProperties": 2}, {"a": 1}, "must have at least 2 fields"),
            ({"maxProperties": 0}, {"a": 1}, "must have at most 0 fields"),
            ({"additionalProperties": False}, {"a": 1}, "has fields, and none are known"),
            (
                {"properties": {"b": {}}, "additionalProperties": False},
                {"a": 1},
                'has fields that are not known: "a"',
            ),
            (
                {"unevaluatedProperties": False},
                {"a": 1},
                'has fields that are not known: "a"',
            ),
            (
                {"propertyNames": {"maxLength": 0}},
                {"a": 1},
                "has a field whose name is not allowed",
            ),
            ({"anyOf": [False]}, 1, "matches none of the alternatives (anyOf) of configSchema"),
            ({"not": {}}, 1, "matches what configSchema excludes (not)"),
            (False, 1, "must not be given"),
            ({"contains": {"type": "null"}}, [1], "does not satisfy contains of configSchema"),
        ],
    )
    def test_each_rule_has_its_words(
        self, written: Write, rule: Any, value: Any, message: str
    ) -> None:
        """Messages speak of what the schema asks for."""
        schema = {"properties": {"f": rule}}
        definition = parse(written(configSchema=schema)).definition
        (problem,) = config_problems({"f": value}, definition)
        assert (problem.path, problem.message) == ("/config/f", message)

    def test_what_no_store_can_keep_is_refused(self, written: Write) -> None:
        """Depth, half characters and numbers that are none are named before anything else."""
        definition = parse(written(configSchema=None)).definition
        deep: Any = 1
        for _ in range(70):
            deep = [deep]
        for value in (deep, "\ud800", float("nan"), {"\udfff": 1}):
            assert config_problems({"f": value}, definition)

    @given(
        st.sampled_from(
            [
                {"type": "integer"},
                {"enum": ["a"]},
                {"pattern": "^$"},
                {"maxLength": 1},
                {"format": "email"},
                {"type": "object", "properties": {"x": {"type": "integer"}}},
                {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                {"oneOf": [{}, {}]},
                {"not": {}},
                {"const": 5},
                {"allOf": [{"type": "integer"}]},
                {"additionalProperties": False},
            ]
        ),
        st.sampled_from(["planted-value", ["planted-value"], {"x": "planted-value"}]),
        st.booleans(),
    )
    def test_no_message_has_a_value(self, rule: Any, value: Any, extra: Any) -> None:
        """Whatever is wrong with a config, its values are not repeated."""
        schema = {"properties": {"apiKey": rule}, "additionalProperties": extra}
        text = {
            "name": "n",
            "version": "1.0.0",
            "type": "http",
            "authType": "none",
            "methods": [{"name": "m"}],
            "configSchema": schema,
        }
        definition = parse(json.dumps(text).encode()).definition
        config = completed({"apiKey": value, "extra": value}, definition)
        assert "planted" not in repr(config_problems(config, definition))
