"""How we log in to a Vault, stay logged in, and what we do when it knows us no longer."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from credentials.errors import LoginFailed, StoreForbidden, StoreUnavailable
from credentials.model import RecordKey, SecretRecord
from credentials.secret import Secret
from credentials.stores.vault.options import AppRoleAuth, KubernetesAuth, TokenAuth
from credentials.stores.vault.store import VaultSecretStore
from tests.conformance.vault import POLICY, Bao
from tests.conformance.vault_stores import connected, opened

KEY = RecordKey("acme", "i1")


def own_role(bao: Bao, **changes: object) -> str:
    """Make a role and a policy that nobody else uses."""
    name = f"role-{uuid4().hex[:12]}"
    bao.write_policy(POLICY.read_text(), name)
    bao.make_role(name, **changes)
    return name


def tokens(bao: Bao, role: str) -> list[dict[str, Any]]:
    """Answer the living tokens of a role."""
    return [each for each in bao.tokens() if each["meta"]["role_name"] == role]


def revoke(bao: Bao, role: str) -> None:
    """Revoke every token of a role."""
    for each in tokens(bao, role):
        bao.ask("POST", "auth/token/revoke-accessor", {"accessor": each["accessor"]})


def wrapped(bao: Bao, token: str) -> Any:
    """Answer options with a wrapped secret id."""
    return bao.options_for(AppRoleAuth(bao.role_id(), wrapped_secret_id=Secret(token)))


async def write_one(store: VaultSecretStore) -> RecordKey:
    """Write a record in a place of its own."""
    key = RecordKey("acme", f"i{uuid4().hex}")
    await store.put(key, SecretRecord({"n": 1}), 0)
    return key


async def test_a_login_ends_with_its_connection(bao: Bao) -> None:
    """The policy that we ship is enough, and our token is revoked when we close."""
    role = own_role(bao)
    async with opened(bao.options(role)) as store:
        key = await write_one(store)
        await store.delete(key)
        assert store.health().ok
        assert len(tokens(bao, role)) == 1
    assert tokens(bao, role) == []


async def test_a_wrapped_secret_id(bao: Bao) -> None:
    """A wrapped secret id is unwrapped, and logs in."""
    async with connected(wrapped(bao, bao.wrapped_secret_id())) as vault:
        assert vault.health().ok


async def test_a_secret_id_unwrapped_by_somebody_else(
    bao: Bao, caplog: pytest.LogCaptureFixture
) -> None:
    """Starting fails, and one security event tells of it, without the token."""
    token = bao.wrapped_secret_id()
    bao.ask("POST", "sys/wrapping/unwrap", token=token)
    with pytest.raises(LoginFailed) as caught:
        async with connected(wrapped(bao, token)):
            pass
    assert caught.value.details == {"method": "approle"}
    events = [each for each in caplog.records if each.name == "integration.security"]
    assert [each.levelname for each in events] == ["ERROR"]
    assert token not in caplog.text + str(caught.value)


async def test_a_wrapped_something_else(bao: Bao, caplog: pytest.LogCaptureFixture) -> None:
    """What was not wrapped by AppRole is not used, and not unwrapped either."""
    answer = bao.ask("POST", "sys/wrapping/wrap", {"secret_id": "forged"}, wrap=60)
    token = answer["wrap_info"]["token"]
    with pytest.raises(LoginFailed):
        async with connected(wrapped(bao, token)):
            pass
    assert [each.name for each in caplog.records] == ["integration.security"]
    assert bao.ask("POST", "sys/wrapping/unwrap", token=token)["data"] == {"secret_id": "forged"}


@pytest.mark.parametrize(
    "auth",
    [
        AppRoleAuth("nobody", Secret("wrong")),
        TokenAuth(Secret("s.wrong")),
        KubernetesAuth("nobody", mount="nowhere", jwt_path=POLICY),
        KubernetesAuth("nobody", jwt_path=Path("/nowhere/token")),
    ],
    ids=["approle", "token", "mount", "file"],
)
async def test_a_refused_login(bao: Bao, auth: Any) -> None:
    """A login that is refused says by which method, and shows no secret."""
    with pytest.raises(LoginFailed) as caught:
        async with connected(bao.options_for(auth)):
            pass
    assert caught.value.details["method"] in {"approle", "token", "kubernetes"}
    assert "wrong" not in str(caught.value)


async def test_nobody_there(bao: Bao) -> None:
    """A Vault that cannot be reached is unavailable; nothing is said about the login."""
    auth = AppRoleAuth(bao.role_id(), wrapped_secret_id=Secret("never sent"))
    for each in (auth, TokenAuth(Secret("never sent"))):
        options = bao.options_for(each)
        object.__setattr__(options, "address", "http://127.0.0.1:9")
        with pytest.raises(StoreUnavailable):
            async with connected(options):
                pass


async def test_tls(tmp_path: Path) -> None:
    """A server of an authority of its own is trusted when that one is named, and only then."""
    server = Bao.dev(tmp_path, "-dev-tls", f"-dev-tls-cert-dir={tmp_path}")
    try:
        async with opened(server.options(ca_file=tmp_path / "vault-ca.pem")) as store:
            await store.delete(await write_one(store))
        with pytest.raises(StoreUnavailable):
            async with connected(server.options()):
                pass
    finally:
        server.stop()


async def test_a_given_token(bao: Bao) -> None:
    """A token that we were given is used as it is, and is not ours to revoke."""
    made = bao.ask("POST", "auth/token/create", {"policies": ["integration-service"], "ttl": "1h"})
    token = made["auth"]["client_token"]
    for _ in range(2):
        async with opened(bao.options_for(TokenAuth(Secret(token)))) as store:
            assert await store.get(KEY) is None
    bao.ask("POST", "auth/token/revoke", {"token": token})


async def test_service_account_tokens_are_read_anew(bao: Bao, tmp_path: Path) -> None:
    """A login by role and JWT reads the file each time: what is in it expires and is replaced."""
    mount, role = f"cluster-{uuid4().hex[:8]}", own_role(bao)
    signer = generate_private_key(SECP256R1())
    public = signer.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    bao.ask("POST", f"sys/auth/{mount}", {"type": "jwt"})
    bao.ask("POST", f"auth/{mount}/config", {"jwt_validation_pubkeys": [public.decode()]})
    bound = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"]}
    bao.ask("POST", f"auth/{mount}/role/service", bound | {"token_policies": [role]})

    def project(subject: str) -> None:
        claims = {"sub": subject, "aud": "vault", "iat": 1, "nbf": 1, "exp": 2**33}
        (tmp_path / "token").write_text(jwt.encode(claims, signer, "ES256") + "\n")

    def logged_in() -> set[str]:
        found = bao.tokens(f"auth/{mount}/login")
        return {each["display_name"].removeprefix(f"{mount}-") for each in found}

    project("first")
    auth = KubernetesAuth("service", tmp_path / "token", mount)
    async with opened(bao.options_for(auth)) as store:
        assert logged_in() == {"first"}
        project("second")
        await asyncio.sleep(1)  # no two logins within a second
        for each in bao.tokens(f"auth/{mount}/login"):
            bao.ask("POST", "auth/token/revoke-accessor", {"accessor": each["accessor"]})
        assert await store.get(KEY) is None
        assert logged_in() == {"second"}


async def test_nothing_comes_from_the_environment(
    bao: Bao, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Tokens, addresses and proxies of the environment and of the home directory are not used."""
    (tmp_path / ".vault-token").write_text(bao.token)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b")
    for name, value in {
        "HOME": str(tmp_path),
        "VAULT_TOKEN": bao.token,
        "VAULT_ADDR": "http://127.0.0.1:9",
        "VAULT_NAMESPACE": "elsewhere",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    async with opened(bao.options()) as store:
        assert await store.get(KEY) is None
    with pytest.raises(LoginFailed):
        async with connected(bao.options_for(TokenAuth(Secret("")))):
            pass


async def test_the_token_is_renewed_and_replaced(bao: Bao) -> None:
    """A token is renewed before it ends, and replaced before its longest life does."""
    role = own_role(bao, token_ttl="1s", token_max_ttl="2s")
    async with opened(bao.options(role)) as store:
        key = await write_one(store)
        for _ in range(14):
            await asyncio.sleep(0.25)
            assert await store.get(key) is not None
            assert store.health().ok
    assert tokens(bao, role) == []


@pytest.mark.parametrize("way", ["revoked", "expired"])
async def test_the_token_is_dead(bao: Bao, way: str) -> None:
    """Of fifty callers that meet a dead token none fails, and one login is made for all."""
    role = own_role(bao)
    async with opened(bao.options(role)) as store:
        key = await write_one(store)
        (token,) = tokens(bao, role)
        await asyncio.sleep(1)  # no two logins within a second
        if way == "revoked":
            revoke(bao, role)
        else:
            renewal = {"accessor": token["accessor"], "increment": "1s"}
            bao.ask("POST", "auth/token/renew-accessor", renewal)
            await asyncio.sleep(1.2)
            assert tokens(bao, role) == []
        found = await asyncio.gather(*(store.get(key) for _ in range(50)))
        assert None not in found
        assert len(tokens(bao, role)) == 1
        assert store.health().ok


async def test_no_way_back_in(bao: Bao) -> None:
    """When the role is gone too, callers are told that the login fails, and health says so."""
    role = own_role(bao)
    async with opened(bao.options(role)) as store:
        await asyncio.sleep(1)  # no two logins within a second
        revoke(bao, role)
        bao.ask("DELETE", f"auth/approle/role/{role}")
        answers = [store.get(KEY) for _ in range(20)]
        found = await asyncio.gather(*answers, return_exceptions=True)
        assert {type(each) for each in found} == {LoginFailed}
        assert not store.health().ok
        assert "approle" in store.health().why


async def test_the_policy_is_taken_away(bao: Bao) -> None:
    """Callers are told that we may not, and nobody logs in for it, however often they ask."""
    role = own_role(bao)
    async with opened(bao.options(role)) as store:
        key = await write_one(store)
        (before,) = tokens(bao, role)
        itself = 'path "auth/token/lookup-self" { capabilities = ["read"] }'
        bao.write_policy(itself, role)
        for _ in range(3):
            found = await asyncio.gather(
                *(store.get(key) for _ in range(20)), return_exceptions=True
            )
            assert {type(each) for each in found} == {StoreForbidden}
        with pytest.raises(StoreForbidden) as caught:
            await store.put(key, SecretRecord({"n": 2}), 1)
        assert caught.value.details["path"] == f"integration/data/t/acme/i/{key.instance_id}/config"
        assert [each["accessor"] for each in tokens(bao, role)] == [before["accessor"]]
        bao.write_policy(POLICY.read_text(), role)
        assert await store.get(key) is not None


async def test_the_policy_is_gone_altogether(bao: Bao) -> None:
    """Without even asking about our own token we log in at most once a second."""
    role = own_role(bao)
    async with opened(bao.options(role)) as store:
        bao.write_policy('path "nothing" { capabilities = ["read"] }', role)
        await asyncio.sleep(1)  # no two logins within a second
        for _ in range(30):
            with suppress(StoreForbidden):
                await store.get(KEY)
        assert len(tokens(bao, role)) <= 3
