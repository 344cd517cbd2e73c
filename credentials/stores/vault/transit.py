"""Sealing that works without the Vault, and opening that needs it.

Each text gets an AES-256 key of its own; that key is wrapped with the public half of an RSA key
whose private half never leaves the Vault's transit engine (RSAES-OAEP with SHA-256, RFC 8017
section 7.1). So a process can write down what must not be lost while the Vault is away, and a copy
of what it wrote opens for nobody but those whose policy allows `transit/decrypt`.
"""

import base64
import binascii
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from credentials.errors import RecordCorrupt, StoreForbidden, StoreUnfit
from credentials.stores.local.sealing import Place, SealBroken, new_key, seal, unseal
from credentials.stores.vault.answers import Answered
from credentials.stores.vault.connection import VaultConnection

_PADDING: Final = OAEP(mgf=MGF1(SHA256()), algorithm=SHA256(), label=None)
_LENGTH_BYTES: Final = 2
_PURPOSE: Final = "transit"


class TransitSealer:
    """Seals bytes to a place with one transit key of type `rsa-…`.

    Sealed are: the length of the wrapped key in two bytes, the wrapped key as transit writes it
    (`vault:v1:…`), nonce, ciphertext and tag.
    """

    def __init__(
        self, vault: VaultConnection, name: str, version: int, public_key: RSAPublicKey
    ) -> None:
        self._vault = vault
        self._name = name
        self._version = version
        self._public_key = public_key

    @classmethod
    async def open(cls, vault: VaultConnection, name: str) -> Self:
        """Fetch the newest public key of the transit key `name`.

        Raises `StoreUnfit` when there is none, or it is no RSA key; `StoreUnavailable`.
        """
        mount = vault.options.transit_mount
        path = f"{mount}/keys/{name}"
        try:
            answer = await vault.call(lambda: vault.transit.read_key(name, mount_point=mount), path)
        except (StoreForbidden, Answered) as error:
            raise _unfit(f"there is no {path}, or our policy does not allow to read it") from error
        version = int(answer["data"]["latest_version"])
        key = answer["data"]["keys"][str(version)]  # of a symmetric key: a time
        pem = str(key.get("public_key") or "") if isinstance(key, dict) else ""
        try:
            public_key = load_pem_public_key(pem.encode("ascii"))
        except ValueError as error:
            raise _unfit(f"{path} has no public key; make it with type=rsa-3072") from error
        if not isinstance(public_key, RSAPublicKey):
            raise _unfit(f"{path} is no RSA key; make it with type=rsa-3072")
        return cls(vault, name, version, public_key)

    def seal(self, plain: bytes, place: Place) -> bytes:
        """Encrypt and authenticate `plain` for `place`, without the Vault."""
        key = new_key()
        wrapped = base64.b64encode(self._public_key.encrypt(key, _PADDING)).decode("ascii")
        name = f"vault:v{self._version}:{wrapped}".encode("ascii")
        length = len(name).to_bytes(_LENGTH_BYTES)
        return length + name + seal(key, plain, (_PURPOSE, *place))

    async def unseal(self, sealed: bytes, place: Place) -> bytes:
        """Undo `seal`, with the Vault.

        Raises `RecordCorrupt` for what was not sealed with this key for this place,
        `StoreUnavailable`, `StoreForbidden` and `LoginFailed`.
        """
        end = _LENGTH_BYTES + int.from_bytes(sealed[:_LENGTH_BYTES])
        key = await self._unwrapped(sealed[_LENGTH_BYTES:end])
        try:
            return unseal(key, sealed[end:], (_PURPOSE, *place))
        except SealBroken as error:
            raise _corrupt() from error

    async def _unwrapped(self, name: bytes) -> bytes:
        mount, transit = self._vault.options.transit_mount, self._vault.transit
        try:
            text = name.decode("ascii")
            answer = await self._vault.call(
                lambda: transit.decrypt_data(self._name, ciphertext=text, mount_point=mount),
                f"{mount}/decrypt/{self._name}",
            )
            return base64.b64decode(answer["data"]["plaintext"], validate=True)
        except (Answered, UnicodeDecodeError, binascii.Error) as error:
            raise _corrupt() from error


def _corrupt() -> RecordCorrupt:
    return RecordCorrupt(
        "Sealed bytes do not open: changed, moved, or sealed with another transit key",
        what="sealed",
    )


def _unfit(problem: str) -> StoreUnfit:
    return StoreUnfit(f"The Vault is not set up: {problem} (docs/vault.md)", problem=problem)
