"""What the authorization of a request costs: from memory, through a Vault, and among many.

`python -m bench credentials` runs it alone. The Vault is a real OpenBao in memory, on this machine;
a raw read with aiohttp of the very same entry takes turns with ours.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from bench.rows import Row, median
from credentials.model import AuthScheme, RecordKey, SecretRecord
from credentials.stores.local.engine import open_engine
from credentials.stores.local.key_file import KeyFile
from credentials.stores.local.migrate import migrate
from credentials.stores.local.store import LocalSecretStore
from credentials.stores.vault.connection import VaultConnection
from credentials.stores.vault.store import VaultSecretStore
from tests.conformance.vault import MOUNT, Bao
from tests.unit.credentials.world import GRANT, INSTANCE, REQUEST, TENANT, World

ROUNDS = 9
CALLS = 300
WARM_CALLS = 5_000
FEW, MANY = 100, 10_000
TOKEN = AuthScheme("oauth2")
KEY = AuthScheme("api_key")
WARM_BAR = 50.0  # µs
COLD_BAR = 1.5


def rows() -> list[Row]:
    """Measure everything."""
    return asyncio.run(_rows())


async def _rows() -> list[Row]:
    return [*await _warm(), await _cold(), await _growth()]


async def _warm() -> list[Row]:
    world = World()
    await world.configured()
    now = world.clock().timestamp()
    await world.granted(received_at=now, expires_at=now + 3600)
    process = world.process()
    made = []
    for name, scheme in (("API key", KEY), ("OAuth 2 token", TOKEN)):
        if scheme is KEY:
            key = RecordKey(TENANT, "int_inst_2")
            await world.inner.put(key, SecretRecord({"apiKey": "key-123456789"}), 0)

        async def authorize(
            scheme: AuthScheme = scheme, instance: str = "int_inst_2" if scheme is KEY else INSTANCE
        ) -> object:
            return await process.manager.authorize(TENANT, instance, scheme, REQUEST, 1)

        micros = median([await _micros(authorize, WARM_CALLS) for _ in range(ROUNDS)])
        process.audit.entries.clear()
        made.append(
            Row(
                f"authorize, {name}, warm, in process",
                f"{micros:.1f} µs",
                f"{WARM_BAR:.0f} µs",
                micros <= WARM_BAR,
            )
        )
    await world.close()
    return made


async def _cold() -> Row:
    with tempfile.TemporaryDirectory() as directory:
        bao = Bao.dev(Path(directory))
        try:
            return await _against_raw(bao)
        finally:
            bao.stop()


async def _against_raw(bao: Bao) -> Row:
    connection = await VaultConnection.open(bao.options())
    store = await VaultSecretStore.open(connection)
    await store.put(GRANT, SecretRecord({"access_token": "token-123456789"}), 0)
    url = f"{bao.address}/v1/{MOUNT}/data/t/{TENANT}/i/{INSTANCE}/grant"
    headers = {"X-Vault-Token": bao.token}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def raw() -> object:
            async with session.get(url) as answer:
                return await answer.json()

        async def ours() -> object:
            return await store.get(GRANT)

        ratios, micros = [], []
        for _ in range(ROUNDS):
            base = await _micros(raw, CALLS)
            micros.append(await _micros(ours, CALLS))
            ratios.append(micros[-1] / base)
    await connection.close()
    ratio = median(ratios)
    return Row(
        "read of a record from OpenBao ÷ raw aiohttp read of the same entry",
        f"{ratio:.2f} × ({median(micros):.0f} µs)",
        f"{COLD_BAR} ×",
        ratio <= COLD_BAR,
    )


async def _growth() -> Row:
    """Read records that nobody remembers, among few and among many."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        engine = open_engine(f"sqlite+aiosqlite:///{root / 'credentials.db'}")
        await migrate(engine)
        store = await LocalSecretStore.open(engine, KeyFile.create(root / "master-key"))
        few = await _cold_among(store, 0, FEW)
        many = await _cold_among(store, FEW, MANY)
        await engine.dispose()
    return Row(
        f"authorize, cold, local store: {MANY:,} credentials ÷ {FEW}",
        f"{many / few:.2f} × ({many:.0f} µs)",
    )


async def _cold_among(store: LocalSecretStore, before: int, count: int) -> float:
    record = SecretRecord({"apiKey": "key-123456789"})
    for number in range(before, count):
        await store.put(RecordKey(TENANT, f"int_inst_{number}"), record, 0)
    world = World()
    step = max(1, count // CALLS)
    chosen = [f"int_inst_{number}" for number in range(0, count, step)]
    rounds = []
    for _ in range(ROUNDS):
        process = world.process(store=store)  # with a cache of its own, empty
        started = time.perf_counter()
        for instance in chosen:
            await process.manager.authorize(TENANT, instance, KEY, REQUEST, 1)
        rounds.append((time.perf_counter() - started) / len(chosen) * 1e6)
    await world.close()
    return median(rounds)


async def _micros(call: Callable[[], Awaitable[object]], count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        await call()
    return (time.perf_counter() - started) / count * 1e6
