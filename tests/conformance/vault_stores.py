"""Stores in a Vault, each in a place of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

from credentials.stores.vault.connection import VaultConnection
from credentials.stores.vault.options import VaultOptions
from credentials.stores.vault.store import VaultSecretStore
from tests.conformance.vault import Bao
from tests.conformance.vault_proxy import losing_answers


@asynccontextmanager
async def connected(options: VaultOptions) -> AsyncIterator[VaultConnection]:
    """Log in, and out at the end."""
    vault = await VaultConnection.open(options)
    try:
        yield vault
    finally:
        await vault.close()


@asynccontextmanager
async def opened(options: VaultOptions) -> AsyncIterator[VaultSecretStore]:
    """Open a store with a login of its own."""
    async with connected(options) as vault:
        yield await VaultSecretStore.open(vault)


@asynccontextmanager
async def empty_store(bao: Bao, kind: str) -> AsyncIterator[VaultSecretStore]:
    """Open an empty store: `vault` as it is, or one where every fifth write's answer is lost."""
    # Hundreds of writers at once on a busy machine: some wait for longer than faults are given.
    options = bao.options(prefix=f"t/{uuid4().hex}", read_timeout=10.0)
    if kind == "vault":
        async with opened(options) as store:
            yield store
        return
    async with (
        losing_answers(bao.address, lambda write: write % 5 == 1) as proxy,
        opened(replace(options, address=proxy.address)) as store,
    ):
        yield store
