"""Sealing what is kept beside the database, with the store's own data key."""

from typing import Self

from credentials.errors import RecordCorrupt, StoreUnavailable
from credentials.stores.local.engine import database_errors
from credentials.stores.local.keys import STORE_ITSELF, Keyring
from credentials.stores.local.sealing import Place, SealBroken, seal, unseal
from credentials.stores.local.wrapping import DataKey

_ID_BYTES = 4


class MasterKeySealer:
    """Seals with a data key that the master key wraps, at once and without the database.

    Rotations wrap these keys anew and add one, but take none away: what an old one has sealed opens
    for as long as it lies there.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    @classmethod
    async def open(cls, keyring: Keyring) -> Self:
        """Get a key to seal with, made now if there is none; raises `StoreUnavailable`."""
        with database_errors():
            await keyring.own()
        return cls(keyring)

    def seal(self, plain: bytes, place: Place) -> bytes:
        """Seal for a place; raises `StoreUnavailable` when this was not opened."""
        key = self._keyring.own_at_hand
        if key is None:
            raise StoreUnavailable("The credential store's own key is not at hand")
        return key.key_id.to_bytes(_ID_BYTES) + seal(key.value, plain, _beside(key.key_id, place))

    async def unseal(self, sealed: bytes, place: Place) -> bytes:
        """Undo `seal`; raises `RecordCorrupt`, and `StoreUnavailable` without the database."""
        key = await self._key(int.from_bytes(sealed[:_ID_BYTES]))
        try:
            return unseal(key.value, sealed[_ID_BYTES:], _beside(key.key_id, place))
        except SealBroken as error:
            message = "What was sealed beside the store does not open; it was changed or moved"
            raise RecordCorrupt(message, what="sealed") from error

    async def _key(self, key_id: int) -> DataKey:
        own = self._keyring.own_at_hand
        if own is not None and own.key_id == key_id:
            return own
        with database_errors():
            return await self._keyring.numbered(STORE_ITSELF, key_id)


def _beside(key_id: int, place: Place) -> Place:
    return ("beside", key_id, *place)
