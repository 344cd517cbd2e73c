"""Sealing without the Vault, opening with it, each to its own place."""

import pytest

from credentials.errors import RecordCorrupt, StoreForbidden
from credentials.stores.vault.transit import TransitSealer
from tests.conformance.vault import SPOOL_KEY, Bao
from tests.conformance.vault_stores import connected

PLACE = ("spool", "acme", "i1", 7)


@pytest.mark.parametrize("plain", [b"", b"\x00", b"answer", b"\xff" * 300_000], ids=len)
async def test_sealed_and_opened(bao: Bao, plain: bytes) -> None:
    """Whatever was sealed comes back, and never looks the same twice."""
    async with connected(bao.options()) as vault:
        sealer = await TransitSealer.open(vault, SPOOL_KEY)
        one, other = sealer.seal(plain, PLACE), sealer.seal(plain, PLACE)
        assert one != other
        assert [await sealer.unseal(each, PLACE) for each in (one, other)] == [plain, plain]


async def test_another_place(bao: Bao) -> None:
    """What was sealed for one place opens in no other."""
    async with connected(bao.options()) as vault:
        sealer = await TransitSealer.open(vault, SPOOL_KEY)
        sealed = sealer.seal(b"answer", PLACE)
        for place in ((), ("spool", "acme", "i1", 8), ("spool", "acmei1", 7), PLACE[:-1]):
            with pytest.raises(RecordCorrupt):
                await sealer.unseal(sealed, place)


async def test_changed_or_cut(bao: Bao) -> None:
    """Of changed bytes none is opened, wherever the change is."""
    async with connected(bao.options()) as vault:
        sealer = await TransitSealer.open(vault, SPOOL_KEY)
        sealed = sealer.seal(b"answer", PLACE)
        broken = [sealed[:length] for length in (0, 1, 2, 5, 100, len(sealed) - 1)]
        places = (0, 1, 2, 8, 12, 200, 515, 530, len(sealed) - 1)
        broken += [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in places]
        broken += [b"\x00\x03\xff\xff\xff", b"\xff" * 600]
        for each in broken:
            with pytest.raises(RecordCorrupt):
                await sealer.unseal(each, PLACE)


async def test_the_key_is_rotated(bao: Bao) -> None:
    """What an older version has sealed opens, by those that have the old public key and the new."""
    async with connected(bao.options()) as vault:
        before = await TransitSealer.open(vault, SPOOL_KEY)
        old = before.seal(b"old", PLACE)
        bao.ask("POST", f"transit/keys/{SPOOL_KEY}/rotate")
        after = await TransitSealer.open(vault, SPOOL_KEY)
        new = after.seal(b"new", PLACE)
        for sealer in (before, after):
            assert await sealer.unseal(old, PLACE) == b"old"
            assert await sealer.unseal(new, PLACE) == b"new"


async def test_another_key(bao: Bao) -> None:
    """A key that our policy does not name opens nothing for us."""
    bao.ask("POST", "transit/keys/another", {"type": "rsa-2048"})
    async with connected(bao.root_options()) as root:
        another = await TransitSealer.open(root, "another")
        sealed = another.seal(b"answer", PLACE)
        async with connected(bao.options()) as vault:
            ours = await TransitSealer.open(vault, SPOOL_KEY)
            with pytest.raises(RecordCorrupt):
                await ours.unseal(sealed, PLACE)
            stolen = TransitSealer(vault, "another", 1, None)  # type: ignore[arg-type]
            with pytest.raises(StoreForbidden):
                await stolen.unseal(sealed, PLACE)
