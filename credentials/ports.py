"""What credentials need from outside."""

from typing import Protocol

from credentials.model import SecretRecord, Versioned


class SecretStore(Protocol):
    """Keeps one record per instance, each with a version that only grows.

    **Compare-and-set is the promise.** Of any number of writers, in any number of processes, that
    put with the same expected version, exactly one succeeds; a version is never given twice, not
    even after a deletion, so whoever read an old record can never overwrite a newer one. What `put`
    has answered is durable where the store is. Ids are checked by the caller. Every method may
    raise `StoreUnavailable`; a `put` that raised it may still have happened.
    """

    async def get(self, tenant: str, instance_id: str) -> Versioned | None:
        """Answer the record, None where there is none.

        Raises `RecordCorrupt` when what is stored is not what was put there.
        """
        ...

    async def put(
        self, tenant: str, instance_id: str, record: SecretRecord, expected_version: int
    ) -> int:
        """Replace the record of version `expected_version` (0: there is none); answer the new one.

        Raises `VersionConflict` when another version is there, or none; `InvalidCredentials` when
        a field is no JSON value, or the record is too large; `RecordCorrupt` when the store's own
        key for the tenant is not what it was.
        """
        ...

    async def delete(self, tenant: str, instance_id: str) -> None:
        """Forget the record, if there is one. Versions go on from where they are."""
        ...
