"""Settings that put the credentials of a cluster into a real OpenBao."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from credentials.model import Part
from tests.conformance.vault import MOUNT, Bao


@asynccontextmanager
async def vault(directory: Path, kind: Callable[[Path], Bao] = Bao.dev) -> AsyncIterator[Bao]:
    """Run a server: `Bao.raft` is one that can be sealed."""
    await asyncio.to_thread(directory.mkdir, parents=True)
    server = await asyncio.to_thread(kind, directory)
    try:
        yield server
    finally:
        await asyncio.to_thread(server.stop)


def vault_settings(bao: Bao, address: str = "") -> dict[str, str]:
    """Answer the settings of processes that keep credentials there, by another way if one is given.

    All log in with one secret id.
    """
    return {
        "INTEGRATION_CREDENTIAL_STORE": "vault",
        "INTEGRATION_VAULT_ADDRESS": address or bao.address,
        "INTEGRATION_VAULT_ROLE_ID": bao.role_id(),
        "INTEGRATION_VAULT_SECRET_ID": bao.secret_id(),
    }


def stored(bao: Bao, instance: str) -> dict[str, Any]:
    """Answer the latest version of an instance's grant, as the server tells an administrator."""
    path = f"{MOUNT}/data/t/default/i/{instance}/{Part.GRANT.value}"
    data: dict[str, Any] = bao.ask("GET", path)["data"]
    return data


@asynccontextmanager
async def kept_in(store: str, root: Path) -> AsyncIterator[dict[str, str]]:
    """Answer the settings for the store `local` or `vault`, a server of whose own then runs."""
    if store == "local":
        yield {}
        return
    async with vault(root / "bao") as bao:
        yield await asyncio.to_thread(vault_settings, bao)
