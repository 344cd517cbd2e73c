"""The vocabulary of credentials."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec import Struct


@dataclass(frozen=True, slots=True)
class AuthScheme:
    """How an API wants to be shown credentials: where they go and which fields hold them."""

    type: str  # none, api_key, basic, bearer, oauth2, …
    location: str = "header"  # header, query or cookie
    name: str = "Authorization"
    prefix: str = "Bearer "
    field: str = "apiKey"
    username_field: str = "username"


class OutgoingRequest(Struct, frozen=True):
    """The request that is to be authorized; schemes that sign it need all of it.

    Made for every call, so its constructor is C: that of a frozen dataclass is Python.
    """

    method: str
    url: str


@dataclass(frozen=True, slots=True, repr=False)
class Authorization:
    """What to add to one request. Never printed: every value in it is a secret."""

    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        names = [name for name, _ in (*self.headers, *self.query)]
        return f"Authorization({', '.join(names)}: ***)"


@dataclass(frozen=True, slots=True, repr=False)
class SecretRecord:
    """The fields of one instance's credentials. Never printed."""

    fields: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"SecretRecord({', '.join(self.fields)}: ***)"


@dataclass(frozen=True, slots=True)
class Versioned:
    """A record and the version it has in its store, from 1."""

    record: SecretRecord
    version: int
