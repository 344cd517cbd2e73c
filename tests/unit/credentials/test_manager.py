"""Keeping credentials, forgetting them, and authorizing requests with them."""

import asyncio

import pytest

from credentials.errors import (
    CredentialsBusy,
    CredentialsIncomplete,
    CredentialsNotFound,
    InvalidCredentials,
    InvalidId,
    SchemeNotAvailable,
    VersionConflict,
)
from credentials.manager import CredentialManager
from credentials.model import (
    Authorization,
    AuthScheme,
    OutgoingRequest,
    RecordKey,
    SecretRecord,
    Versioned,
)
from credentials.records import MAX_RECORD_BYTES
from credentials.stores.cached import CachedSecretStore
from credentials.stores.memory import MemorySecretStore

REQUEST = OutgoingRequest("GET", "https://api.example.com/contacts")
API_KEY = AuthScheme("api_key")
BASIC = AuthScheme("basic", field="password")


class SlowStore(MemorySecretStore):
    """A store on the other side of a network: others run while it reads."""

    async def get(self, key: RecordKey) -> Versioned | None:
        """Answer the record, after letting everybody else read too."""
        found = await super().get(key)
        await asyncio.sleep(0)
        return found


class ContendedStore(MemorySecretStore):
    """A store in which somebody else is always first."""

    def __init__(self) -> None:
        super().__init__()
        self.tries = 0

    async def put(self, key: RecordKey, record: SecretRecord, expected_version: int) -> int:
        """Refuse every write."""
        self.tries += 1
        raise VersionConflict(f"{key} {record} {expected_version}")


@pytest.fixture
def store() -> MemorySecretStore:
    """Answer an empty store."""
    return MemorySecretStore()


@pytest.fixture
def manager(store: MemorySecretStore) -> CredentialManager:
    """Answer a manager over an empty store."""
    return CredentialManager(store)


async def fields_of(store: MemorySecretStore, instance_id: str = "int_inst_1") -> dict[str, object]:
    """Read what is kept for an instance."""
    found = await store.get(RecordKey("acme", instance_id))
    return dict(found.record.fields) if found else {}


async def test_update_sets_and_removes(
    manager: CredentialManager, store: MemorySecretStore
) -> None:
    """Fields are set and removed, the others stay, and versions count from 1."""
    assert await manager.update("acme", "int_inst_1", {"a": 1, "b": 2, "c": 3}, []) == 1
    assert await manager.update("acme", "int_inst_1", {"b": 4}, ["a", "unknown"]) == 2
    assert await fields_of(store) == {"b": 4, "c": 3}


async def test_update_prefers_setting(manager: CredentialManager, store: MemorySecretStore) -> None:
    """A field that is both removed and set is set."""
    await manager.update("acme", "int_inst_1", {"a": 1}, [])
    await manager.update("acme", "int_inst_1", {"a": 2}, ["a"])
    assert await fields_of(store) == {"a": 2}


async def test_concurrent_updates_lose_nothing() -> None:
    """Updates of different fields at the same time all arrive."""
    store = SlowStore()
    manager = CredentialManager(store)
    names = ["a", "b", "c"]
    versions = await asyncio.gather(
        *(manager.update("acme", "int_inst_1", {name: name}, []) for name in names)
    )
    assert sorted(versions) == [1, 2, 3]
    assert await fields_of(store) == {name: name for name in names}


async def test_update_gives_up() -> None:
    """An update that is always too late ends after five tries and says so."""
    store = ContendedStore()
    with pytest.raises(CredentialsBusy) as caught:
        await CredentialManager(store).update("acme", "int_inst_1", {"apiKey": "s3cret-value"}, [])
    assert store.tries == 5
    assert caught.value.details == {"instanceId": "int_inst_1", "tries": 5}


async def test_update_refuses_what_is_no_json(
    manager: CredentialManager, store: MemorySecretStore
) -> None:
    """A value that JSON has not is refused by the name of its field, and nothing is kept."""
    with pytest.raises(InvalidCredentials) as caught:
        await manager.update("acme", "int_inst_1", {"ok": 1, "raw": b"s3cret-value"}, [])
    assert caught.value.details == {"field": "raw"}
    with pytest.raises(InvalidCredentials):
        await manager.update("acme", "int_inst_1", {"number": float("nan")}, [])
    assert await fields_of(store) == {}


async def test_update_refuses_what_is_too_large(manager: CredentialManager) -> None:
    """A record above 512 KiB is refused by the name of its largest field."""
    with pytest.raises(InvalidCredentials) as caught:
        await manager.update("acme", "int_inst_1", {"a": 1, "key": "k" * MAX_RECORD_BYTES}, [])
    assert caught.value.details == {"field": "key"}


async def test_authorize(manager: CredentialManager) -> None:
    """A request is authorized with the fields of its own instance."""
    await manager.update("acme", "int_inst_1", {"apiKey": "k-1"}, [])
    await manager.update("acme", "int_inst_2", {"apiKey": "k-2"}, [])
    added = await manager.authorize("acme", "int_inst_2", API_KEY, REQUEST, 1)
    assert added == Authorization(headers=(("Authorization", "Bearer k-2"),))


async def test_authorize_follows_updates(manager: CredentialManager) -> None:
    """The next request after an update carries the new secret."""
    await manager.update("acme", "int_inst_1", {"apiKey": "old"}, [])
    await manager.update("acme", "int_inst_1", {"apiKey": "new"}, [])
    added = await manager.authorize("acme", "int_inst_1", API_KEY, REQUEST, 2)
    assert added is not None
    assert added.headers == (("Authorization", "Bearer new"),)


@pytest.mark.parametrize("version", [0, 1, 3])
async def test_no_secret_goes_with_another_config(manager: CredentialManager, version: int) -> None:
    """A request that rests on an older or newer config than the record gets nothing of it."""
    await manager.update("acme", "int_inst_1", {"apiKey": "old"}, [])
    await manager.authorize("acme", "int_inst_1", API_KEY, REQUEST, 1)
    await manager.update("acme", "int_inst_1", {"apiKey": "new"}, [])
    await manager.authorize("acme", "int_inst_1", API_KEY, REQUEST, 2)
    assert await manager.authorize("acme", "int_inst_1", API_KEY, REQUEST, version) is None


async def test_authorize_without_credentials(manager: CredentialManager) -> None:
    """Only the scheme none works for an instance without credentials."""
    none = await manager.authorize("acme", "int_inst_1", AuthScheme("none"), REQUEST, 1)
    assert none == Authorization()
    with pytest.raises(CredentialsNotFound):
        await manager.authorize("acme", "int_inst_1", API_KEY, REQUEST, 1)
    with pytest.raises(SchemeNotAvailable):
        await manager.authorize("acme", "int_inst_1", AuthScheme("oauth2"), REQUEST, 1)


async def test_authorize_for_another_tenant(manager: CredentialManager) -> None:
    """Another tenant's instance is answered as if it were not there."""
    await manager.update("acme", "int_inst_1", {"apiKey": "k-1"}, [])
    with pytest.raises(CredentialsNotFound) as stranger:
        await manager.authorize("evil", "int_inst_1", API_KEY, REQUEST, 1)
    with pytest.raises(CredentialsNotFound) as absent:
        await manager.authorize("evil", "int_inst_9", API_KEY, REQUEST, 1)
    assert stranger.value.message.replace("_1", "_9") == absent.value.message


async def test_delete(manager: CredentialManager) -> None:
    """Deleted credentials authorize nothing, deleting twice succeeds, and new ones may come."""
    await manager.update("acme", "int_inst_1", {"apiKey": "k-1"}, [])
    await manager.delete("acme", "int_inst_1")
    await manager.delete("acme", "int_inst_1")
    with pytest.raises(CredentialsNotFound):
        await manager.authorize("acme", "int_inst_1", API_KEY, REQUEST, 1)
    assert await manager.update("acme", "int_inst_1", {"username": "u"}, []) == 2
    with pytest.raises(CredentialsIncomplete):
        await manager.authorize("acme", "int_inst_1", BASIC, REQUEST, 2)


@pytest.mark.parametrize(
    ("tenant", "instance_id", "kind"),
    [
        ("", "int_inst_1", "tenant"),
        ("-acme", "int_inst_1", "tenant"),
        ("acme/../evil", "int_inst_1", "tenant"),
        ("Acme", "int_inst_1", "tenant"),
        ("a" * 65, "int_inst_1", "tenant"),
        ("acme", "", "instance"),
        ("acme", "../x", "instance"),
        ("acme", "%2e%2e", "instance"),
        ("acme", "int_inst_1\n", "instance"),
        ("acme", "int_inst_1\x00", "instance"),
        ("acme", "int-inst", "instance"),
        ("acme", "ｉnt", "instance"),  # noqa: RUF001 - a full-width letter is the point
        ("acme", "a" * 65, "instance"),
    ],
)
async def test_ids_are_checked(
    manager: CredentialManager, tenant: str, instance_id: str, kind: str
) -> None:
    """No verb lets an id of another form reach the store."""
    for verb in (
        manager.update(tenant, instance_id, {}, []),
        manager.delete(tenant, instance_id),
        manager.authorize(tenant, instance_id, AuthScheme("none"), REQUEST, 1),
    ):
        with pytest.raises(InvalidId) as caught:
            await verb
        assert caught.value.details == {"kind": kind}
        assert len(caught.value.message) < 300


async def test_longest_ids(manager: CredentialManager) -> None:
    """Ids may have 64 characters, and a tenant's may hold hyphens."""
    assert await manager.update("a-" * 32, "z" * 64, {}, []) == 1


async def test_an_authorization_is_finished_once(store: MemorySecretStore) -> None:
    """As long as the record and the scheme are the same, so is the authorization."""
    manager = CredentialManager(CachedSecretStore(store, clock=lambda: 0.0))
    await manager.update("acme", "int_inst_1", {"apiKey": "k1"}, [])
    first = await manager.authorize("acme", "int_inst_1", API_KEY, REQUEST, 1)
    again = AuthScheme("api_key")
    assert await manager.authorize("acme", "int_inst_1", again, REQUEST, 1) is first


async def test_a_finished_authorization_ends_with_its_record(store: MemorySecretStore) -> None:
    """What somebody else has written to the store or deleted is seen at the next request."""
    cached = CachedSecretStore(store, clock=lambda: 0.0)
    manager = CredentialManager(cached)
    await manager.update("acme", "int_inst_1", {"apiKey": "k1"}, [])
    await manager.authorize("acme", "int_inst_1", API_KEY, REQUEST, 1)
    await cached.put(RecordKey("acme", "int_inst_1"), SecretRecord({"apiKey": "k2"}), 1)
    changed = await manager.authorize("acme", "int_inst_1", API_KEY, REQUEST, 2)
    assert changed is not None
    assert changed.headers == (("Authorization", "Bearer k2"),)
    await cached.delete(RecordKey("acme", "int_inst_1"))
    with pytest.raises(CredentialsNotFound):
        await manager.authorize("acme", "int_inst_1", API_KEY, REQUEST, 1)


async def test_a_finished_authorization_is_for_one_scheme_and_tenant(
    store: MemorySecretStore,
) -> None:
    """Schemes of one instance, and tenants with the same id, do not get each other's."""
    manager = CredentialManager(CachedSecretStore(store, clock=lambda: 0.0))
    await manager.update("acme", "int_inst_1", {"apiKey": "k1"}, [])
    await manager.update("other", "int_inst_1", {"apiKey": "k2"}, [])
    token = AuthScheme("api_key", prefix="Token ")
    shown = [
        added.headers[0][1]
        for tenant, scheme in [("acme", API_KEY), ("acme", token), ("other", token)] * 2
        if (added := await manager.authorize(tenant, "int_inst_1", scheme, REQUEST, 1))
    ]
    assert shown == ["Bearer k1", "Token k1", "Token k2"] * 2
