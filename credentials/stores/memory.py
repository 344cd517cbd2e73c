"""Secrets and spooled answers in the memory of this process, for tests and for trying things."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from credentials.model import RecordKey, SecretRecord, SpoolEntry, Versioned
from credentials.records import decode, encode, version_conflict


@dataclass(frozen=True, slots=True, repr=False)
class _Row:
    """One instance's record; None when it is deleted and only its version lives on."""

    version: int
    data: bytes | None


_NO_ROW = _Row(0, None)


class MemorySecretStore:
    """A `SecretStore` that forgets everything when the process ends."""

    def __init__(self) -> None:
        self._rows: dict[RecordKey, _Row] = {}

    async def get(self, key: RecordKey) -> Versioned | None:
        """Answer the record, None where there is none."""
        row = self._rows.get(key, _NO_ROW)
        return None if row.data is None else Versioned(decode(row.data), row.version)

    async def put(self, key: RecordKey, record: SecretRecord, expected_version: int) -> int:
        """Replace the record of version `expected_version`; raises `VersionConflict`."""
        row = self._rows.get(key, _NO_ROW)
        live_version = 0 if row.data is None else row.version
        if expected_version != live_version:
            raise version_conflict(key, expected_version)
        self._rows[key] = _Row(row.version + 1, encode(record))
        return row.version + 1

    async def delete(self, key: RecordKey) -> None:
        """Forget the record; its version lives on."""
        row = self._rows.get(key, _NO_ROW)
        if row.data is not None:
            self._rows[key] = _Row(row.version, None)


class MemorySpool:
    """A `Spool` that forgets everything when the process ends."""

    def __init__(self) -> None:
        self._entries: dict[tuple[RecordKey, str], SpoolEntry] = {}

    async def keep(self, entry: SpoolEntry) -> None:
        """Keep an entry, or the same one again."""
        self._entries[entry.key, entry.attempt] = entry

    async def find(self, key: RecordKey, attempt: str) -> SpoolEntry | None:
        """Answer the entry of this attempt."""
        return self._entries.get((key, attempt))

    async def drop(self, key: RecordKey, attempt: str) -> None:
        """Forget an entry; forgetting nothing succeeds too."""
        self._entries.pop((key, attempt), None)

    async def entries(self) -> AsyncIterator[SpoolEntry]:
        """Answer all entries."""
        for entry in list(self._entries.values()):
            yield entry
