"""Secrets in the memory of this process, for tests and for trying things out."""

from dataclasses import dataclass

from credentials.errors import VersionConflict
from credentials.model import SecretRecord, Versioned
from credentials.records import decode, encode


@dataclass(frozen=True, slots=True, repr=False)
class _Row:
    """One instance's record; None when it is deleted and only its version lives on."""

    version: int
    data: bytes | None


_NO_ROW = _Row(0, None)


class MemorySecretStore:
    """A `SecretStore` that forgets everything when the process ends."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], _Row] = {}

    async def get(self, tenant: str, instance_id: str) -> Versioned | None:
        """Answer the record, None where there is none."""
        row = self._rows.get((tenant, instance_id), _NO_ROW)
        return None if row.data is None else Versioned(decode(row.data), row.version)

    async def put(
        self, tenant: str, instance_id: str, record: SecretRecord, expected_version: int
    ) -> int:
        """Replace the record of version `expected_version`; raises `VersionConflict`."""
        row = self._rows.get((tenant, instance_id), _NO_ROW)
        live_version = 0 if row.data is None else row.version
        if expected_version != live_version:
            raise VersionConflict(
                f"Credentials of {instance_id} are not at version {expected_version}; read again",
                instanceId=instance_id,
                expectedVersion=expected_version,
            )
        self._rows[tenant, instance_id] = _Row(row.version + 1, encode(record))
        return row.version + 1

    async def delete(self, tenant: str, instance_id: str) -> None:
        """Forget the record; its version lives on."""
        row = self._rows.get((tenant, instance_id), _NO_ROW)
        if row.data is not None:
            self._rows[tenant, instance_id] = _Row(row.version, None)
