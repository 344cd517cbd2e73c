"""Token answers in sealed files, from their arrival until they are in the store."""

import asyncio
import json
import logging
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

from credentials.errors import RecordCorrupt, SpoolUnavailable
from credentials.model import Part, RecordKey, SpoolEntry
from credentials.stores.durable import sync_directory, write_durably

log = logging.getLogger("integration.credentials.spool")

SUFFIX = ".answer"
DRAFT = ".draft"

Given = ParamSpec("Given")
Answer = TypeVar("Answer")


class Sealer(Protocol):
    """Seals what leaves the store's care for a while."""

    def seal(self, plain: bytes, place: tuple[str | int, ...]) -> bytes:
        """Seal for a place, at once: an answer may not wait for a server."""
        ...

    async def unseal(self, sealed: bytes, place: tuple[str | int, ...]) -> bytes:
        """Undo `seal`; raises `RecordCorrupt`, and `StoreUnavailable` when it cannot tell now."""
        ...


class FileSpool:
    """A `Spool` of one sealed file (0600) per entry in a directory (0700) that processes share.

    A file is whole, under a name that tells nothing, and on disk before `keep` returns. What does
    not open is told in the log and stays where it is: it may open after a restore.
    """

    def __init__(self, directory: Path, sealer: Sealer) -> None:
        self._directory = directory
        self._sealer = sealer

    async def keep(self, entry: SpoolEntry) -> None:
        """Write an entry, or the same one again; raises `SpoolUnavailable`."""
        name = _name(entry.key, entry.attempt)
        sealed = self._sealer.seal(_encoded(entry), _place(name))
        await self._off_loop(self._write, name, sealed)

    async def find(self, key: RecordKey, attempt: str) -> SpoolEntry | None:
        """Answer the entry of this attempt; raises `SpoolUnavailable`, `StoreUnavailable`."""
        return await self._read(_name(key, attempt))

    async def drop(self, key: RecordKey, attempt: str) -> None:
        """Forget an entry; forgetting nothing succeeds too. Raises `SpoolUnavailable`."""
        await self._off_loop(self._unlink, _name(key, attempt))

    async def entries(self) -> AsyncIterator[SpoolEntry]:
        """Answer all entries that open; raises `SpoolUnavailable`, `StoreUnavailable`."""
        for name in await self._off_loop(self._names):
            entry = await self._read(name)
            if entry is not None:
                yield entry

    async def _read(self, name: str) -> SpoolEntry | None:
        sealed = await self._off_loop(self._content, name)
        if sealed is None:
            return None
        try:
            return _decoded(await self._sealer.unseal(sealed, _place(name)))
        except RecordCorrupt as error:
            path = self._path(name)
            log.warning("a spooled token answer does not open and stays in %s: %s", path, error)
            return None

    async def _off_loop(
        self, work: Callable[Given, Answer], *given: Given.args, **named: Given.kwargs
    ) -> Answer:
        try:
            return await asyncio.to_thread(work, *given, **named)
        except OSError as error:
            raise SpoolUnavailable(
                f"The spool of token answers in {self._directory} cannot be used "
                f"({error.strerror}); make it a writable directory with room",
                path=str(self._directory),
            ) from error

    def _write(self, name: str, sealed: bytes) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._directory / f".{name}{DRAFT}"
        draft.unlink(missing_ok=True)  # of a process that ended while it wrote
        write_durably(draft, sealed)
        draft.replace(self._path(name))
        sync_directory(self._directory)

    def _content(self, name: str) -> bytes | None:
        with suppress(FileNotFoundError):  # another process may have been done with it
            return self._path(name).read_bytes()
        return None

    def _unlink(self, name: str) -> None:
        # Not synced: an entry that comes back after a power cut is found to be in the store.
        self._path(name).unlink(missing_ok=True)

    def _names(self) -> list[str]:
        with suppress(FileNotFoundError):
            return sorted(path.stem for path in self._directory.glob(f"[!.]*{SUFFIX}"))
        return []

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}{SUFFIX}"


def _name(key: RecordKey, attempt: str) -> str:
    return sha256(json.dumps([*key, attempt]).encode("ascii")).hexdigest()


def _place(name: str) -> tuple[str | int, ...]:
    return ("spool", name)


def _encoded(entry: SpoolEntry) -> bytes:
    return json.dumps(
        {
            "key": entry.key,
            "attempt": entry.attempt,
            "receivedAt": entry.received_at,
            "status": entry.status,
            "contentType": entry.content_type,
            "body": b64encode(entry.body).decode("ascii"),
        }
    ).encode("ascii")


def _decoded(data: bytes) -> SpoolEntry:
    fields = json.loads(data)
    tenant, instance_id, part = fields["key"]
    return SpoolEntry(
        key=RecordKey(tenant, instance_id, Part(part)),
        attempt=fields["attempt"],
        received_at=fields["receivedAt"],
        status=fields["status"],
        content_type=fields["contentType"],
        body=b64decode(fields["body"]),
    )
