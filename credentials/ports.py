"""What credentials need from outside."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from credentials.model import (
    AuditEntry,
    Connection,
    OutboundAnswer,
    OutboundRequest,
    RecordKey,
    Report,
    SecretRecord,
    SpoolEntry,
    Versioned,
)

Clock = Callable[[], datetime]
"""Answers the present, an aware UTC datetime."""


class SecretStore(Protocol):
    """Keeps records, each with a version that only grows.

    **Compare-and-set is the promise.** Of any number of writers, in any number of processes, that
    put with the same expected version, exactly one succeeds; a version is never given twice, not
    even after a deletion, so whoever read an old record can never overwrite a newer one. What `put`
    has answered is durable where the store is. Ids are checked by the caller. Every method may
    raise `StoreUnavailable`; a `put` that raised it may still have happened.
    """

    async def get(self, key: RecordKey) -> Versioned | None:
        """Answer the record, None where there is none.

        Raises `RecordCorrupt` when what is stored is not what was put there.
        """
        ...

    async def put(self, key: RecordKey, record: SecretRecord, expected_version: int) -> int:
        """Replace the record of version `expected_version` (0: there is none); answer the new one.

        Raises `VersionConflict` when another version is there, or none; `InvalidCredentials` when
        a field is no JSON value, or the record is too large; `RecordCorrupt` when the store's own
        key for the tenant is not what it was.
        """
        ...

    async def delete(self, key: RecordKey) -> None:
        """Forget the record, if there is one. Versions go on from where they are."""
        ...


class Connections(Protocol):
    """Knows the instances that credentials belong to, and wants to know how those stand."""

    async def connection(self, tenant: str, instance_id: str) -> Connection:
        """Answer how an instance authenticates, as it is now; raises the registry's errors."""
        ...

    async def configure(self, tenant: str, instance_id: str, fields: Mapping[str, Any]) -> None:
        """Set fields of an instance's config, as its owner would; raises the registry's errors."""
        ...

    async def connected(self, after: tuple[str, str]) -> Sequence[tuple[str, str]]:
        """Answer tenant and id of some that are connected, behind `after` in this order.

        None: there are no more. Raises the registry's errors.
        """
        ...

    async def report(self, tenant: str, instance_id: str, report: Report) -> None:
        """Tell how an instance stands; raises the registry's errors."""
        ...


class Outbound(Protocol):
    """Makes the requests of OAuth 2."""

    async def send(self, request: OutboundRequest, timeout: float) -> OutboundAnswer:
        """Send the request once, follow no redirect, and answer whatever status came.

        `timeout` in seconds bounds the whole exchange. Raises `EndpointUnreachable` where nothing
        was sent, `EndpointSilent` where something was and no whole answer came, and
        `EndpointForbidden` where the egress rules don't let it through.
        """
        ...


class Spool(Protocol):
    """Keeps token answers until they are in the store: what has arrived is never lost.

    Entries are sealed, and every process that shares the spool's place sees all of them.
    """

    async def keep(self, entry: SpoolEntry) -> None:
        """Write an entry; when this returns it outlives the process. Raises `SpoolUnavailable`."""
        ...

    async def find(self, key: RecordKey, attempt: str) -> SpoolEntry | None:
        """Answer the entry of this attempt."""
        ...

    async def drop(self, key: RecordKey, attempt: str) -> None:
        """Forget an entry; forgetting nothing succeeds too."""
        ...

    def entries(self) -> AsyncIterator[SpoolEntry]:
        """Answer all entries that can be opened here."""
        ...


class Audit(Protocol):
    """An append-only log of what was done with credentials."""

    async def before(self, entry: AuditEntry) -> None:
        """Write down, durably, what is about to be changed; raises `AuditUnavailable`.

        Whoever gets that must not act: what cannot be written down does not happen.
        """
        ...

    def note(self, entry: AuditEntry) -> None:
        """Write down, soon, what has happened. Never blocks and never raises."""
        ...
