"""A Vault that is sealed, hangs, dies, refuses for its quota or loses its answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from time import monotonic
from uuid import uuid4

import pytest
from aiohttp import web

from credentials.errors import StoreSealed, StoreUnavailable, VersionConflict
from credentials.model import RecordKey, SecretRecord
from credentials.ports import SecretStore
from credentials.secret import Secret
from credentials.stores.cached import CachedSecretStore
from credentials.stores.vault.options import TokenAuth, VaultOptions
from credentials.stores.vault.store import VaultSecretStore
from credentials.stores.vault.transit import TransitSealer
from tests.conformance.vault import SPOOL_KEY, Bao, free_port
from tests.conformance.vault_proxy import losing_answers
from tests.conformance.vault_stores import connected, opened


def new_key() -> RecordKey:
    """Answer a place that nobody has used."""
    return RecordKey("acme", f"i{uuid4().hex}")


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds."""
    for _ in range(400):
        if await holds():
            return
        await asyncio.sleep(0.05)
    pytest.fail("it never held")


async def serves(store: SecretStore) -> bool:
    """Tell whether a read is answered."""
    try:
        await store.get(RecordKey("acme", "anybody"))
    except StoreUnavailable:
        return False
    return True


@pytest.fixture
async def unsealed(raft: Bao) -> AsyncIterator[Bao]:
    """Answer the server that can be sealed and killed, whole before and after."""
    yield raft
    raft.unseal()


async def test_sealed(unsealed: Bao) -> None:
    """While it is sealed callers are told so at once, no call goes out, and it ends by itself."""
    async with (
        losing_answers(unsealed.address, lambda _: False) as proxy,
        opened(replace(unsealed.options(), address=proxy.address)) as store,
    ):
        key = new_key()
        await store.put(key, SecretRecord({"n": 1}), 0)
        unsealed.seal()
        with pytest.raises(StoreSealed):
            await store.get(key)
        proxy.seen.clear()
        attempts = [store.get(key) for _ in range(50)]
        attempts += [store.put(key, SecretRecord({"n": 2}), 1) for _ in range(50)]  # type: ignore[misc]
        answers = await asyncio.gather(*attempts, return_exceptions=True)
        assert {type(each) for each in answers} == {StoreSealed}
        await asyncio.sleep(0.3)
        assert set(proxy.seen) == {"GET /v1/sys/health"}
        assert not store.health().ok
        assert "sealed" in store.health().why
        unsealed.unseal()
        await until(lambda: serves(store))
        assert store.health().ok
        assert await store.put(key, SecretRecord({"n": 2}), 1) == 2


async def test_the_cache_bridges_a_short_seal(unsealed: Bao) -> None:
    """What was read a moment ago is answered from memory, sealed or not."""
    async with opened(unsealed.options()) as store:
        cached = CachedSecretStore(store, clock=lambda: 0.0)
        key = new_key()
        await store.put(key, SecretRecord({"n": 1}), 0)
        await cached.get(key)
        unsealed.seal()
        assert await cached.get(key) is not None
        with pytest.raises(StoreSealed):
            await cached.get(new_key())


async def test_sealing_goes_on_while_sealed(unsealed: Bao) -> None:
    """Transit seals without the server; what it sealed opens when the server is back."""
    async with connected(unsealed.options()) as vault:
        sealer = await TransitSealer.open(vault, SPOOL_KEY)
        unsealed.seal()
        sealed = sealer.seal(b"answer", ("spool", "acme", 1))
        with pytest.raises(StoreSealed):
            await sealer.unseal(sealed, ("spool", "acme", 1))
        unsealed.unseal()
        await until(lambda: serves(VaultSecretStore(vault)))
        assert await sealer.unseal(sealed, ("spool", "acme", 1)) == b"answer"


@dataclass(slots=True)
class History:
    """What writers have been told of the writes of one record."""

    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    in_doubt: int = 0
    over: bool = False


async def write_on(store: SecretStore, key: RecordKey, history: History) -> None:
    """Append names to a record, one after the other, until it is over."""
    while not history.over:
        name = uuid4().hex
        try:
            found = await store.get(key)
            names, version = (found.record.fields["names"], found.version) if found else ([], 0)
        except StoreUnavailable:
            await asyncio.sleep(0.02)
            continue
        try:
            given = await store.put(key, SecretRecord({"names": [*names, name]}), version)
        except VersionConflict:
            history.refused.append(name)
        except StoreUnavailable:
            history.in_doubt += 1
        else:
            history.acknowledged.append(name)
            history.versions.append(given)
        await asyncio.sleep(0.02)


async def check(store: SecretStore, key: RecordKey, history: History) -> None:
    """Nothing acknowledged is lost, nothing refused is there, nothing is there twice."""
    found = await store.get(key)
    assert found is not None
    names = found.record.fields["names"]
    assert len(set(names)) == len(names)
    assert set(history.acknowledged) <= set(names)
    assert set(history.refused).isdisjoint(names)
    assert len(set(history.versions)) == len(history.versions)
    assert len(names) <= len(history.acknowledged) + history.in_doubt
    assert found.version == len(names)


async def test_hanging_and_killed_under_writes(unsealed: Bao) -> None:
    """Through a hang and a kill no acknowledged write is lost and none is applied twice."""
    histories = {new_key(): History() for _ in range(3)}
    async with opened(unsealed.options(read_timeout=0.5)) as one:
        async with opened(unsealed.options(read_timeout=0.5)) as other:
            writers = [
                asyncio.create_task(write_on(store, key, history))
                for key, history in histories.items()
                for store in (one, other)
            ]
            await asyncio.sleep(0.5)
            unsealed.pause()
            await asyncio.sleep(1.5)
            assert not one.health().ok
            unsealed.resume()
            await until(lambda: serves(one))
            await asyncio.sleep(0.5)
            unsealed.kill()
            await asyncio.sleep(0.2)
            unsealed.start()
            await asyncio.to_thread(unsealed.wait_for, 503)
            await asyncio.to_thread(unsealed.unseal)
            await until(lambda: serves(one))
            await asyncio.sleep(0.5)
            for history in histories.values():
                history.over = True
            await asyncio.gather(*writers)
        await until(lambda: serves(one))
        for key, history in histories.items():
            assert history.acknowledged
            await check(one, key, history)


async def test_lost_answers_under_writes(bao: Bao) -> None:
    """With every fourth answer lost, writers learn of each write what became of it."""
    history, key = History(), new_key()
    async with (
        losing_answers(bao.address, lambda write: write % 4 == 0) as proxy,
        opened(replace(bao.options(), address=proxy.address)) as one,
        opened(replace(bao.options(), address=proxy.address)) as other,
    ):
        writers = [
            asyncio.create_task(write_on(store, key, history)) for store in (one, other, one, other)
        ]

        async def enough() -> bool:
            return proxy.lost >= 20

        await until(enough)
        history.over = True
        await asyncio.gather(*writers)
        assert history.in_doubt == 0
        await check(one, key, history)


async def test_a_write_that_lands_late(unsealed: Bao) -> None:
    """A write to a hanging server is in doubt, may land when it goes on, and lands once."""
    async with opened(unsealed.options(read_timeout=0.3)) as store:
        key = new_key()
        await store.put(key, SecretRecord({"n": 1}), 0)
        unsealed.pause()
        with pytest.raises(StoreUnavailable):
            await store.put(key, SecretRecord({"n": 2}), 1)
        unsealed.resume()
        await until(lambda: serves(store))
        found = await store.get(key)
        assert found is not None
        assert (found.record.fields["n"], found.version) in {(1, 1), (2, 2)}


async def test_a_quota(bao: Bao) -> None:
    """Readers over the quota wait or are told so; we send little more than it lets through."""
    quota, seconds = 10, 3.0
    async with (
        losing_answers(bao.address, lambda _: False) as proxy,
        opened(replace(bao.options(), address=proxy.address)) as store,
    ):
        key = new_key()
        await store.put(key, SecretRecord({"n": 1}), 0)
        cached = CachedSecretStore(store, clock=lambda: 0.0)
        await cached.get(key)
        bao.ask("POST", "sys/quotas/rate-limit/kv", {"path": "integration", "rate": quota})
        try:
            proxy.seen.clear()
            started = monotonic()
            outcomes = {"read": 0, "told": 0}

            async def read_on() -> None:
                while monotonic() < started + seconds:
                    assert await cached.get(key) is not None
                    try:
                        await store.get(key)
                        outcomes["read"] += 1
                    except StoreUnavailable:
                        outcomes["told"] += 1
                        await asyncio.sleep(0.1)

            await asyncio.gather(*(read_on() for _ in range(8)))
            took = monotonic() - started
        finally:
            bao.ask("DELETE", "sys/quotas/rate-limit/kv")
        assert len(proxy.seen) <= 2 * quota * took
        assert outcomes["read"] >= quota


@asynccontextmanager
async def answering(status: int, body: str, location: str = "") -> AsyncIterator[VaultOptions]:
    """Serve one answer to everything."""
    headers = {"Location": location} if location else {}

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield VaultOptions(f"http://127.0.0.1:{port}", TokenAuth(Secret("canary")))
    finally:
        await runner.cleanup()


async def test_redirects_are_not_followed(bao: Bao) -> None:
    """A redirect would carry our token to whoever is named in it."""
    async with losing_answers(bao.address, lambda _: False) as proxy:
        elsewhere = f"{proxy.address}/v1/auth/token/lookup-self"
        async with answering(307, "", elsewhere) as options:
            with pytest.raises(StoreUnavailable):
                async with connected(options):
                    pass
        assert proxy.seen == []


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, "<html>"), (200, "{}"), (200, "[]"), (502, "<html>"), (500, "{"), (204, "")],
)
async def test_no_vault_at_all(status: int, body: str) -> None:
    """Whatever else answers at the address, nobody takes it for a Vault."""
    async with answering(status, body) as options:
        with pytest.raises(StoreUnavailable):
            async with connected(options):
                pass
