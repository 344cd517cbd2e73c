"""Keeping credentials, forgetting them, and authorizing requests with them."""

import asyncio

import pytest

from credentials.errors import (
    AuditUnavailable,
    CredentialsBusy,
    CredentialsIncomplete,
    CredentialsNotFound,
    InvalidCredentials,
    InvalidId,
    NeedsReauthorization,
    SchemeNotAvailable,
    VersionConflict,
)
from credentials.grants import Claim, GrantState
from credentials.manager import CredentialManager
from credentials.model import (
    Authorization,
    AuthScheme,
    CertificateFields,
    OutgoingRequest,
    RecordKey,
    SecretRecord,
    Signing,
    Versioned,
)
from credentials.ports import SecretStore
from credentials.records import MAX_RECORD_BYTES
from credentials.stores.memory import MemorySecretStore
from tests.pki import Authority
from tests.unit.credentials.world import (
    CONFIG,
    FIELDS,
    FLOWS,
    GRANT,
    INSTANCE,
    TENANT,
    Process,
    World,
    hurried,
)

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


def plain(store: SecretStore) -> Process:
    """Start a process over a store, for types without tokens."""
    return World("api_key").process(store=store)


@pytest.fixture
def store() -> MemorySecretStore:
    """Answer an empty store."""
    return MemorySecretStore()


@pytest.fixture
def manager(store: MemorySecretStore) -> CredentialManager:
    """Answer a manager over an empty store."""
    return plain(store).manager


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
    manager = plain(store).manager
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
        await plain(store).manager.update("acme", "int_inst_1", {"apiKey": "s3cret-value"}, [])
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
    with pytest.raises(CredentialsNotFound):
        await manager.authorize("acme", "int_inst_1", AuthScheme("oauth2"), REQUEST, 1)
    with pytest.raises(SchemeNotAvailable):
        await manager.authorize("acme", "int_inst_1", AuthScheme("digest"), REQUEST, 1)


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
    manager = plain(store).manager
    await manager.update("acme", "int_inst_1", {"apiKey": "k1"}, [])
    first = await manager.authorize("acme", "int_inst_1", API_KEY, REQUEST, 1)
    again = AuthScheme("api_key")
    assert await manager.authorize("acme", "int_inst_1", again, REQUEST, 1) is first


async def test_a_finished_authorization_ends_with_its_record(store: MemorySecretStore) -> None:
    """What somebody else has written to the store or deleted is seen at the next request."""
    process = plain(store)
    manager, cached = process.manager, process.cached
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
    manager = plain(store).manager
    await manager.update("acme", "int_inst_1", {"apiKey": "k1"}, [])
    await manager.update("other", "int_inst_1", {"apiKey": "k2"}, [])
    token = AuthScheme("api_key", prefix="Token ")
    shown = [
        added.headers[0][1]
        for tenant, scheme in [("acme", API_KEY), ("acme", token), ("other", token)] * 2
        if (added := await manager.authorize(tenant, "int_inst_1", scheme, REQUEST, 1))
    ]
    assert shown == ["Bearer k1", "Token k1", "Token k2"] * 2


class CountingStore(MemorySecretStore):
    """A store that counts how often it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    async def get(self, key: RecordKey) -> Versioned | None:
        """Answer the record."""
        self.reads += 1
        return await super().get(key)


async def shown(process: Process, version: int, **more: object) -> Authorization | None:
    """Authorize a request of an instance with tokens."""
    request = OutgoingRequest(REQUEST.method, REQUEST.url, **more)  # type: ignore[arg-type]
    scheme = process.parts.connections.scheme  # type: ignore[attr-defined]
    return await process.manager.authorize(TENANT, INSTANCE, scheme, request, version)


async def with_grant(**changes: object) -> World:
    """Answer a world with a grant whose token has an hour to live."""
    world = World()
    world.inner = CountingStore()
    await world.configured()
    now = world.clock().timestamp()
    await world.granted(**{"received_at": now, "expires_at": now + 3600, **changes})
    return world


async def test_token_of_a_grant() -> None:
    """A token is shown with its generation and its end, and nobody is asked for it."""
    world = await with_grant()
    found = await shown(world.process(), 1)
    assert found is not None
    assert found.headers == (("Authorization", "Bearer access-token-0001"),)
    assert (found.generation, found.expires_at) == (1, (await world.stored()).expiry)
    assert world.server.requests == []
    assert "access-token" not in repr(found)


async def test_no_token_goes_with_another_config() -> None:
    """A request that rests on another config than the token's gets none, and fetches none."""
    world = await with_grant(expires_at=1.0)
    process = world.process()
    assert await shown(process, 2) is None
    assert world.server.requests == []


def test_hot_path_reads_the_cache_only() -> None:
    """A thousand requests with a good token read each record once, and make no other call."""

    async def scenario() -> None:
        world = await with_grant()
        process = world.process()
        store = world.inner
        assert isinstance(store, CountingStore)
        first = await shown(process, 1)
        store.reads = 0
        for _ in range(1000):
            assert await shown(process, 1) is first
        assert store.reads == 0
        assert world.server.requests == []

    hurried(scenario())


async def test_due_token_is_shown_while_the_next_is_fetched() -> None:
    """A token that is due is shown at once; its successor is fetched once, beside it."""
    world = await with_grant()
    process = world.process()
    world.server.delay = 0.01
    world.clock.pass_(3000)
    for _ in range(50):
        found = await shown(process, 1)
        assert found is not None
        assert found.generation == 1
    await asyncio.sleep(0.05)
    found = await shown(process, 1)
    assert found is not None
    assert found.generation == 2
    assert world.server.grants == {"refresh_token": 1}
    await world.close()


async def test_due_token_of_somebody_elses_refresh_costs_no_reads() -> None:
    """While another process fetches the next token, requests do not read the store each."""
    world = await with_grant(claim=Claim("other", "c-1"))
    process = world.process()
    store = world.inner
    assert isinstance(store, CountingStore)
    world.clock.pass_(3000)
    await shown(process, 1)
    await asyncio.sleep(0.01)
    store.reads = 0
    for _ in range(200):
        await shown(process, 1)
        await asyncio.sleep(0)
    assert store.reads <= 4
    await world.close()


async def test_refused_token_is_not_shown_again() -> None:
    """A request whose token was refused gets the next one, when the refused one is old enough."""
    world = await with_grant(received_at=0.0)
    found = await shown(world.process(), 1, refused=1)
    assert found is not None
    assert found.generation == 2
    await world.close()


async def test_first_token_while_another_process_fetches_it() -> None:
    """A claim without any token yet is waited for, and shown to nobody."""
    world = World("oauth2_client_credentials")
    await world.configured()
    world.server.delay = 0.05
    first, second = world.process("first"), world.process("second")
    fetching = asyncio.create_task(shown(first, 1))
    await asyncio.sleep(0.02)
    later = await shown(second, 1)
    assert later is not None
    assert later == await fetching
    assert later.headers == (("Authorization", "Bearer access-token-0001"),)
    assert world.server.grants == {"client_credentials": 1}
    await world.close()


async def test_token_of_a_grant_that_is_over() -> None:
    """A grant that is over shows no token, though the last one may have time left."""
    world = await with_grant(state=GrantState.NEEDS_REAUTHORIZATION, cause="invalid_grant")
    with pytest.raises(NeedsReauthorization):
        await shown(world.process(), 1)


async def test_certificate_follows_the_config() -> None:
    """A new client certificate is shown with the next request, though the token is the same."""
    world = await with_grant()
    world.connections.scheme = AuthScheme("oauth2", certificate=CertificateFields())
    authority, process = Authority(), world.process()
    found = []
    for name in ("first", "second"):
        certificate, key = authority.issue(name)
        fields = {**FIELDS, "clientCertificate": certificate, "clientKey": key}
        version = await process.manager.update(TENANT, INSTANCE, fields, [])
        found.append(await shown(process, version))
    first, second = found
    assert first is not None
    assert second is not None
    assert first.headers == second.headers
    assert first.certificate != second.certificate


async def test_signatures_are_made_anew(store: MemorySecretStore) -> None:
    """A scheme that signs is worked out for every request, by its body and its moment."""
    signing = Signing("{body}|{nonce}", nonce_header="X-Nonce")
    scheme = AuthScheme("hmac", name="X-Signature", prefix="", field="key", signing=signing)
    manager = plain(store).manager
    await manager.update(TENANT, INSTANCE, {"key": "s3cret-key"}, [])
    found = [
        await manager.authorize(
            TENANT, INSTANCE, scheme, OutgoingRequest("POST", REQUEST.url, body=body), 1
        )
        for body in (b"one", b"two", b"two")
    ]
    assert len({str(each.headers) for each in found if each is not None}) == 3


async def test_audit_of_changes_and_uses(store: MemorySecretStore) -> None:
    """Every change and every use is written down with its outcome, and no secret."""
    process = plain(store)
    manager = process.manager
    await manager.update(TENANT, INSTANCE, {"apiKey": "s3cret-value"}, [])
    await manager.authorize(TENANT, INSTANCE, API_KEY, REQUEST, 1)
    await manager.authorize(TENANT, INSTANCE, API_KEY, REQUEST, 2)
    await manager.delete(TENANT, INSTANCE)
    with pytest.raises(CredentialsNotFound):
        await manager.authorize(TENANT, INSTANCE, API_KEY, REQUEST, 1)
    entries = process.audit.entries
    assert [(entry.action, entry.outcome) for entry in entries] == [
        ("config.stored", "begins"),
        ("config.stored", "ok"),
        ("credentials.used", "ok"),
        ("credentials.deleted", "begins"),
        ("credentials.deleted", "ok"),
        ("credentials.used", "CredentialsNotFound"),
    ]
    assert entries[1].details == {"version": 1}
    assert {(e.tenant, e.instance_id, e.actor) for e in entries} == {(TENANT, INSTANCE, "one")}
    assert "s3cret" not in str(entries)


async def test_what_cannot_be_written_down_does_not_happen(store: MemorySecretStore) -> None:
    """Without an audit log nothing is changed or deleted; requests go on."""
    process = plain(store)
    await process.manager.update(TENANT, INSTANCE, {"apiKey": "k-1"}, [])
    process.audit.is_available = False
    with pytest.raises(AuditUnavailable):
        await process.manager.update(TENANT, INSTANCE, {"apiKey": "k-2"}, [])
    with pytest.raises(AuditUnavailable):
        await process.manager.delete(TENANT, INSTANCE)
    assert await fields_of(store) == {"apiKey": "k-1"}
    assert await process.manager.authorize(TENANT, INSTANCE, API_KEY, REQUEST, 1) is not None


async def test_delete_takes_every_part() -> None:
    """Of a deleted instance neither config nor grant nor flows stay."""
    world = await with_grant()
    process = world.process()
    await process.connecting.start(TENANT, INSTANCE, "", "user-1")
    await process.manager.delete(TENANT, INSTANCE)
    for key in (CONFIG, GRANT, FLOWS):
        assert await world.inner.get(key) is None
    await world.close()
