"""A Vault that is not set up as it must be: we do not start, say why, and write nothing."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from credentials.errors import InvalidId, LoginFailed, RecordCorrupt, StoreUnfit
from credentials.model import Part, RecordKey, SecretRecord
from credentials.stores.vault.options import VaultOptions
from credentials.stores.vault.store import VaultSecretStore
from credentials.stores.vault.transit import TransitSealer
from tests.conformance.vault import MOUNT, POLICY, SPOOL_KEY, Bao
from tests.conformance.vault_stores import connected, empty_store, opened


async def problem(options: VaultOptions) -> str:
    """Answer why the store does not open."""
    with pytest.raises(StoreUnfit) as caught:
        async with opened(options):
            pass
    return str(caught.value.details["problem"])


async def test_version_1_of_the_engine(bao: Bao) -> None:
    """It ignores check-and-set without a word."""
    mount = f"kv1-{uuid4().hex[:8]}"
    bao.mount_kv(mount, version=1)
    assert "must be kv of version 2" in await problem(bao.root_options(mount=mount))


async def test_check_and_set_not_required(bao: Bao) -> None:
    """The message says how to require it."""
    mount = f"kv-{uuid4().hex[:8]}"
    bao.mount_kv(mount, cas_required=False)
    assert f"`bao write {mount}/config cas_required=true`" in await problem(
        bao.root_options(mount=mount)
    )


async def test_another_engine(bao: Bao) -> None:
    """Transit keeps no secrets."""
    assert "is transit" in await problem(bao.root_options(mount="transit"))


async def test_no_mount(bao: Bao) -> None:
    """A mount that is not there, and one that we may not see, look alike."""
    assert "no mount nowhere" in await problem(bao.root_options(mount="nowhere"))


@pytest.mark.parametrize(
    ("taken", "missing"),
    [
        (f'"{MOUNT}/data/t/*"', f"create, read, update on {MOUNT}/data/t/tenant/"),
        (f'"{MOUNT}/metadata/t/*"', f"read on {MOUNT}/metadata/"),
        (f'"{MOUNT}/destroy/t/*"', f"update on {MOUNT}/destroy/"),
        ('"auth/token/lookup-self"', "read on auth/token/lookup-self"),
        (f'"{MOUNT}/config"', f"read {MOUNT}/config"),
        ('"sys/capabilities-self"', "update sys/capabilities-self"),
    ],
)
async def test_a_policy_that_lacks_something(bao: Bao, taken: str, missing: str) -> None:
    """Whatever line is missing from the policy that we ship is named."""
    role = f"role-{uuid4().hex[:12]}"
    policy = POLICY.read_text()
    assert taken in policy
    bao.write_policy(policy.replace(taken, '"elsewhere"'), role)
    bao.make_role(role)
    assert missing in await problem(bao.options(role))


async def test_another_prefix(bao: Bao) -> None:
    """A prefix that the policy knows nothing of is found at the start."""
    assert f"{MOUNT}/data/u/" in await problem(bao.options(prefix="u"))


async def test_no_authorities(bao: Bao, tmp_path: Path) -> None:
    """A file of authorities that is missing or holds none is named."""
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "missing.pem"):
        path = tmp_path / name
        assert str(path) in await problem(bao.root_options(ca_file=path))


async def test_an_unknown_namespace(bao: Bao) -> None:
    """A namespace that is not there is no empty store."""
    with pytest.raises(LoginFailed):
        async with opened(bao.options(namespace="nowhere")):
            pass


async def test_a_namespace(bao: Bao) -> None:
    """Everything may be in a namespace of its own."""
    bao.ask("POST", "sys/namespaces/tenants", {})
    bao.namespace = "tenants"
    try:
        bao.set_up()
        options = bao.options(namespace="tenants")
    finally:
        bao.namespace = ""
    async with opened(options) as store:
        await store.put(RecordKey("acme", "i1"), SecretRecord({"n": 1}), 0)
    async with opened(bao.options()) as outside:
        assert await outside.get(RecordKey("acme", "i1")) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"address": "vault:8200"},
        {"address": "ftp://vault"},
        {"address": "https://user@vault"},
        {"mount": "../sys"},
        {"prefix": "t/"},
        {"prefix": ""},
        {"transit_mount": "a//b"},
        {"namespace": "a/../b"},
    ],
    ids=str,
)
def test_what_is_no_address_or_path(bao: Bao, changes: dict[str, Any]) -> None:
    """Options that would reach another place are refused before anything is sent."""
    options = bao.root_options()
    fields = {"address": options.address, "auth": options.auth} | changes
    with pytest.raises(StoreUnfit):
        VaultOptions(**fields)


@pytest.mark.parametrize(
    "place",
    [
        ("..", "i1"),
        ("acme/../evil", "i1"),
        ("acme", "../../evil/i/i1"),
        ("acme", "%2e%2e"),
        ("acme", "i1\x00"),
        ("acme", "i1\n"),
        ("acme", "I1"),
        ("acme", "a" * 65),
        ("", "i1"),
        ("acme", ""),
    ],
    ids=repr,
)
async def test_ids_that_leave_their_place(bao: Bao, place: tuple[str, str]) -> None:
    """An id that could name another path is refused by reads, writes and deletions."""
    async with empty_store(bao, "vault") as store:
        key = RecordKey(*place)
        for attempt in (store.get(key), store.put(key, SecretRecord({}), 0), store.delete(key)):
            with pytest.raises(InvalidId):
                await attempt


@pytest.mark.parametrize(
    "data",
    [
        {"record": "{", "write": "w"},
        {"record": "[]", "write": "w"},
        {"record": "{}", "write": "w"},
        {"record": 7, "write": "w"},
        {"apiKey": "put here by hand"},
        {},
    ],
    ids=str,
)
async def test_what_others_wrote(bao: Bao, data: dict[str, Any]) -> None:
    """A secret in our place that is none of ours is corrupt, neither used nor taken as absent."""
    async with opened(bao.options()) as store:
        key = RecordKey("acme", f"i{uuid4().hex}")
        path = f"{MOUNT}/data/t/acme/i/{key.instance_id}/config"
        bao.ask("POST", path, {"data": data, "options": {"cas": 0}})
        with pytest.raises(RecordCorrupt) as caught:
            await store.get(key)
        assert "by hand" not in str(caught.value)


async def test_a_deletion_leaves_no_secret(bao: Bao) -> None:
    """After a deletion no version holds anything, whoever reads; other parts stay."""
    async with opened(bao.options()) as store:
        key = RecordKey("acme", f"i{uuid4().hex}", Part.GRANT)
        config = key._replace(part=Part.CONFIG)
        await store.put(config, SecretRecord({"n": 0}), 0)
        for n in range(3):
            await store.put(key, SecretRecord({"n": n, "token": "canary"}), n)
        await store.delete(key)
        path = f"t/acme/i/{key.instance_id}/grant"
        versions = bao.kv(path)["versions"]
        assert [versions[n]["destroyed"] for n in sorted(versions)] == [True, True, True, False]
        left = bao.ask("GET", f"{MOUNT}/data/{path}")["data"]["data"]
        assert set(left) == {"write"}
        assert await store.get(config) is not None


async def test_a_deletion_that_was_cut_short(bao: Bao) -> None:
    """Deleting again destroys what a deletion has left behind."""
    async with opened(bao.options()) as store:
        key = RecordKey("acme", f"i{uuid4().hex}")
        await store.put(key, SecretRecord({"token": "canary"}), 0)
        path = f"t/acme/i/{key.instance_id}/config"
        deleted = {"data": {"write": "w"}, "options": {"cas": 1}}
        bao.ask("POST", f"{MOUNT}/data/{path}", deleted)
        assert await store.get(key) is None
        await store.delete(key)
        assert bao.kv(path)["versions"]["1"]["destroyed"]


async def test_deleted_with_the_vaults_own_tools(bao: Bao) -> None:
    """A secret that an operator has deleted is absent, and can be written again."""
    async with opened(bao.options()) as store:
        key = RecordKey("acme", f"i{uuid4().hex}")
        await store.put(key, SecretRecord({"n": 1}), 0)
        path = f"t/acme/i/{key.instance_id}/config"
        bao.ask("DELETE", f"{MOUNT}/data/{path}")
        assert await store.get(key) is None
        assert await store.put(key, SecretRecord({"n": 2}), 0) == 2
        bao.ask("DELETE", f"{MOUNT}/data/{path}")
        await store.delete(key)
        assert bao.kv(path)["versions"]["1"]["destroyed"]
        assert await store.put(key, SecretRecord({"n": 3}), 0) == 3


async def test_too_large_for_the_vault(bao: Bao) -> None:
    """A record of half a MiB fits, whatever is in it."""
    async with opened(bao.options(read_timeout=10.0)) as store:
        key = RecordKey("acme", f"i{uuid4().hex}")
        text = '"\\' * 130_000
        await store.put(key, SecretRecord({"pem": text}), 0)
        found = await store.get(key)
        assert found is not None
        assert found.record.fields["pem"] == text


async def test_no_transit_key(bao: Bao) -> None:
    """The spool's key is looked for at the start, and has to have a public half."""
    bao.ask("POST", "transit/keys/aes", {})
    bao.ask("POST", "transit/keys/curve", {"type": "ecdsa-p256"})
    async with connected(bao.root_options()) as vault:
        for name in ("nowhere", "aes", "curve"):
            with pytest.raises(StoreUnfit) as caught:
                await TransitSealer.open(vault, name)
            assert f"transit/keys/{name}" in str(caught.value)
        await TransitSealer.open(vault, SPOOL_KEY)


async def test_the_health_of_a_good_store(bao: Bao) -> None:
    """A store that works is well."""
    async with empty_store(bao, "vault") as store:
        assert isinstance(store, VaultSecretStore)
        assert store.health().ok
