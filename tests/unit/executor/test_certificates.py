"""Contexts of TLS that show a certificate."""

import asyncio
from pathlib import Path

import pytest

from credentials.model import ClientCertificate
from executor.certificates import ClientContexts
from executor.errors import MethodNotCallable
from tests.pki import Authority

AUTHORITY = Authority()
ANNA, BELA, STRANGER = (
    ClientCertificate(*AUTHORITY.issue(name)) for name in ("anna", "bela", "stranger")
)


async def test_memory_files_are_closed() -> None:
    """No descriptor is left behind, whether a certificate is good or not."""
    contexts = ClientContexts()
    await contexts.of(STRANGER)  # the pool of threads has its own
    before = descriptors()
    await contexts.of(ANNA)
    with pytest.raises(MethodNotCallable):
        await contexts.of(ClientCertificate(ANNA.certificate, BELA.key))
    assert descriptors() == before


def descriptors() -> int:
    """Answer how many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_contexts_are_kept_and_bounded() -> None:
    """A context is made once per certificate, however many ask; the least used one goes first."""
    contexts = ClientContexts(2)
    made = await asyncio.gather(*(contexts.of(ANNA) for _ in range(5)))
    assert len(set(map(id, made))) == 1
    assert await contexts.of(ClientCertificate(ANNA.certificate, ANNA.key)) is made[0]
    await contexts.of(BELA)
    await contexts.of(STRANGER)
    assert await contexts.of(ANNA) is not made[0]
