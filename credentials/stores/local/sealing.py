"""Sealing bytes to the place where they belong.

AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces: sealed bytes are nonce, ciphertext and tag.
The place goes in as associated data, so what is moved to another place does not open there. One key
may seal some 2^32 times; a data key seals once per change of one tenant's credentials.
"""

import json
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12

Place = tuple[str | int, ...]


class SealBroken(Exception):
    """The bytes were not sealed with this key for this place."""


def new_key() -> bytes:
    """Make a key of 256 random bits."""
    return secrets.token_bytes(KEY_BYTES)


def seal(key: bytes, plain: bytes, place: Place) -> bytes:
    """Encrypt and authenticate `plain` for `place`, which starts with the purpose of the key."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, _associated(place))


def unseal(key: bytes, sealed: bytes, place: Place) -> bytes:
    """Undo `seal`; raises `SealBroken`."""
    nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, _associated(place))
    except (InvalidTag, ValueError) as error:  # ValueError: too short for a nonce
        raise SealBroken from error


def _associated(place: Place) -> bytes:
    # JSON, because a plain join would let ("a", "bc") pass for ("ab", "c").
    return json.dumps(place, separators=(",", ":")).encode("ascii")
