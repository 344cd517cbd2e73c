"""API keys: how they are made, and who is behind one.

A key reads `is_live_<id>_<secret>_<check>`: a prefix that secret scanners know, an id that may be
logged, 256 random bits, and a checksum against typing errors. Only SHA-256 digests are kept in
memory: with that much randomness a slow hash would add nothing.
"""

import hashlib
import secrets
import zlib
from collections.abc import Mapping

from services.runtime.call import Caller

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SECRET_LENGTH = 43  # 62^43 > 2^256
TENANT_METADATA = "x-integration-tenant"
SEND_A_KEY = "Send your API key in the header 'Authorization: Bearer <key>'."


class IdentityError(Exception):
    """The caller may not pass."""

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class Unauthenticated(IdentityError):
    """The caller did not prove who it is."""


class PermissionDenied(IdentityError):
    """The caller is known and may not do this."""


def new_key(key_id: str) -> str:
    """Make a key from fresh randomness; `key_id` is for people and logs."""
    secret = "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    body = f"is_live_{key_id}_{secret}"
    return f"{body}_{zlib.crc32(body.encode()):08x}"


class KeyRing:
    """The keys that open this process, by digest."""

    def __init__(self, callers: Mapping[str, Caller]) -> None:
        self._callers = {_digest(key): caller for key, caller in callers.items()}

    def authenticate(self, metadata: Mapping[str, str]) -> Caller:
        """Answer who sends this metadata; raises `Unauthenticated`.

        A service speaks for the tenant that it names, everybody else for the tenant of the key.
        """
        scheme, _, key = metadata.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise Unauthenticated(SEND_A_KEY)
        caller = self._callers.get(_digest(key.strip()))
        if caller is None:
            raise Unauthenticated("The API key in the Authorization header is not valid here.")
        if not caller.is_service:
            return caller
        tenant = metadata.get(TENANT_METADATA, caller.tenant)
        return Caller(tenant=tenant, subject=caller.subject, is_service=True)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
