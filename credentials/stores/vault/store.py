"""Secrets in the key-value engine of a Vault, version 2.

One record is one secret, whose versions are the engine's own. Its data are two texts: `record`, the
JSON of the fields, so that every digit of every number stays, and `write`, a random name of the
write that made the version. That name decides what became of a write whose answer was lost.

The engine's check-and-set compares numbers only and knows no "deleted" (hashicorp/vault issue
15676), so a deletion is a version too: one without `record`, written by check-and-set like any
other, after which the versions below it are destroyed. The number goes on, and whoever still holds
an older one can write nothing.
"""

import re
from collections import OrderedDict
from typing import Any, Final, NamedTuple, Self
from uuid import uuid4

from credentials.errors import CredentialsBusy, InvalidCredentials, InvalidId, RecordCorrupt
from credentials.model import RecordKey, SecretRecord, Versioned
from credentials.records import decode, encode, version_conflict
from credentials.stores.vault.answers import Answered, Meaning
from credentials.stores.vault.connection import InDoubt, VaultConnection, VaultHealth
from credentials.stores.vault.fitness import check_fitness
from credentials.stores.vault.options import VaultOptions
from credentials.stores.vault.wire import Answer

_TENANT: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_INSTANCE_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_LARGEST_CAS: Final = 2**62
_REMEMBERED: Final = 10_000
_DELETE_TRIES: Final = 5


class _Latest(NamedTuple):
    """The newest version of a secret. `text` is None when it is deleted, by us or by others."""

    version: int
    text: str | None
    write: str


_NOTHING: Final = _Latest(0, None, "")


class VaultSecretStore:
    """A `SecretStore` in a Vault, safe for any number of processes.

    Beyond the port's errors it raises `StoreForbidden` and `LoginFailed` when the Vault turned
    against us after the start.
    """

    def __init__(self, vault: VaultConnection) -> None:
        self._vault = vault
        # Versions that were seen alive. What is under a number never changes, and a deletion of
        # ours takes the next number: writing over one of these needs no look at it before.
        self._alive: OrderedDict[RecordKey, int] = OrderedDict()

    @classmethod
    async def open(cls, vault: VaultConnection) -> Self:
        """Make the store when the Vault is set up as it must be, else raise `StoreUnfit`."""
        await check_fitness(vault)
        return cls(vault)

    def health(self) -> VaultHealth:
        """Tell whether the Vault can be used now."""
        return self._vault.health()

    async def get(self, key: RecordKey) -> Versioned | None:
        """Answer the record, None where there is none; raises `RecordCorrupt`."""
        latest = await self._read(key, _path(self._vault.options, key))
        if latest.text is None:
            return None
        return Versioned(_decoded(key, latest.text), latest.version)

    async def put(self, key: RecordKey, record: SecretRecord, expected_version: int) -> int:
        """Replace the record of version `expected_version`; raises `VersionConflict`."""
        data = {"record": encode(record).decode("ascii"), "write": uuid4().hex}
        path = _path(self._vault.options, key)
        if not 0 <= expected_version < _LARGEST_CAS:
            raise version_conflict(key, expected_version)
        if expected_version and self._alive.get(key) != expected_version:
            latest = await self._read(key, path)
            if latest.text is None or latest.version != expected_version:
                raise version_conflict(key, expected_version)
        version = await self._write(path, data, expected_version)
        if version is None and not expected_version:
            version = await self._write_over_deletion(key, path, data)
        if version is None:
            self._alive.pop(key, None)
            raise version_conflict(key, expected_version)
        self._remember(key, version)
        return version

    async def delete(self, key: RecordKey) -> None:
        """Forget the record: its data are destroyed, in all versions; the number lives on."""
        path = _path(self._vault.options, key)
        self._alive.pop(key, None)
        for _ in range(_DELETE_TRIES):
            latest = await self._read(key, path)
            if not latest.version:
                return
            below = latest.version
            if latest.text is not None:
                written = await self._write(path, {"write": uuid4().hex}, latest.version)
                if written is None:
                    continue
                below = written
            await self._destroy(path, below)
            return
        raise CredentialsBusy(
            f"Credentials of {key.instance_id} are written all the time; delete them again",
            instanceId=key.instance_id,
            tries=_DELETE_TRIES,
        )

    async def _write_over_deletion(
        self, key: RecordKey, path: str, data: dict[str, Any]
    ) -> int | None:
        latest = await self._read(key, path)
        if latest.text is not None:
            return None
        return await self._write(path, data, latest.version)

    async def _write(self, path: str, data: dict[str, Any], over: int) -> int | None:
        """Write the version after `over`; None: another version is there."""
        kv, mount = self._vault.kv, self._vault.options.mount
        try:
            answer = await self._vault.call(
                lambda: kv.create_or_update_secret(path, data, cas=over, mount_point=mount),
                f"{mount}/data/{path}",
            )
        except Answered as error:
            if error.meaning is Meaning.LOST_RACE:
                return None
            if error.meaning is Meaning.TOO_LARGE:
                message = "The credentials are larger than the Vault takes; shorten a field"
                raise InvalidCredentials(message, field="") from error
            raise
        except InDoubt:
            return await self._what_became(path, data, over)
        version: int = answer["data"]["version"]
        return version

    async def _what_became(self, path: str, data: dict[str, Any], over: int) -> int | None:
        """Find out, by one look, whether a write without an answer was done.

        Not yet is not never: a server that hung may do it later. So the doubt is raised again while
        the version is still free; once it is taken, by whomever, there is none.
        """
        found = await self._at(path, over + 1)
        if not found.version:
            raise InDoubt("The Vault did not answer a write; it may still be done. Read again")
        return found.version if found.write == data["write"] else None

    async def _read(self, key: RecordKey, path: str) -> _Latest:
        try:
            latest = await self._at(path)
        except (KeyError, TypeError, AttributeError) as error:
            raise _corrupt(key) from error
        if latest.text is not None:
            self._remember(key, latest.version)
        return latest

    async def _at(self, path: str, version: int | None = None) -> _Latest:
        kv, mount = self._vault.kv, self._vault.options.mount
        try:
            answer = await self._vault.call(
                lambda: kv.read_secret_version(
                    path, version=version, mount_point=mount, raise_on_deleted_version=False
                ),
                f"{mount}/data/{path}",
            )
        except Answered as error:
            if error.meaning is not Meaning.NOTHING_THERE:
                raise
            answer = error.body
        return _latest(answer)

    async def _destroy(self, path: str, below: int) -> None:
        try:
            await self._destroy_once(path, below)
        except InDoubt:  # destroying twice is destroying once
            await self._destroy_once(path, below)

    async def _destroy_once(self, path: str, below: int) -> None:
        kv, mount = self._vault.kv, self._vault.options.mount
        answer = await self._vault.call(
            lambda: kv.read_secret_metadata(path, mount_point=mount), f"{mount}/metadata/{path}"
        )
        versions = [
            int(number)
            for number, each in answer["data"]["versions"].items()
            if int(number) < below and not each["destroyed"]
        ]
        if versions:
            await self._vault.call(
                lambda: kv.destroy_secret_versions(path, versions, mount_point=mount),
                f"{mount}/destroy/{path}",
            )

    def _remember(self, key: RecordKey, version: int) -> None:
        self._alive[key] = version
        self._alive.move_to_end(key)
        if len(self._alive) > _REMEMBERED:
            self._alive.popitem(last=False)


def _path(options: VaultOptions, key: RecordKey) -> str:
    # Whoever called has checked the ids. This is the last line before `..` in one of them would
    # reach another tenant's secrets: clients and servers of HTTP resolve it without asking.
    if not _TENANT.fullmatch(key.tenant):
        raise InvalidId(f"{key.tenant[:80]!r} is no tenant id", kind="tenant")
    if not _INSTANCE_ID.fullmatch(key.instance_id):
        raise InvalidId(f"{key.instance_id[:80]!r} is no instance id", kind="instance")
    return f"{options.prefix}/{key.tenant}/i/{key.instance_id}/{key.part.value}"


def _latest(answer: Answer) -> _Latest:
    found = answer.get("data")
    if not found:
        return _NOTHING
    data, version = found["data"], found["metadata"]["version"]
    if data is None:  # deleted with the server's own tools
        return _Latest(version, None, "")
    return _Latest(version, data.get("record"), data["write"])


def _decoded(key: RecordKey, text: str) -> SecretRecord:
    try:
        return decode(text.encode("ascii"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _corrupt(key) from error


def _corrupt(key: RecordKey) -> RecordCorrupt:
    return RecordCorrupt(
        f"Credentials of {key.instance_id} in the Vault are not what was written there; undo the "
        "change in the Vault, or delete them and connect again",
        what="record",
    )
