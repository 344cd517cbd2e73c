"""The keys a process works with: master keys from their source, data keys from the database."""

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import Self

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from credentials.errors import CredentialsError, StoreUnavailable
from credentials.stores.local.master_key import MasterKeySource
from credentials.stores.local.masters import FIRST, Masters, identify
from credentials.stores.local.sealing import new_key
from credentials.stores.local.tables import data_keys
from credentials.stores.local.wrapping import DataKey, WrappedKey, data_key_corrupt

STORE_ITSELF = ""
"""The tenant of the store's own data keys; no id is empty."""

MAX_TRIES = 5
SECONDS_UNKNOWN = 1.0  # how long a key that the source has not is not looked for again


@dataclass(frozen=True, slots=True)
class _Absence:
    """A master key that was not found, until when that stands, and why if loading failed."""

    until: float
    cause: CredentialsError | None


class Keyring:
    """Finds, makes, wraps and unwraps data keys; keeps master keys, and none but its own of those.

    Keys are rotated while this works. A data key wrapped by a master key that is not at hand makes
    it load the source again, once for all who need it, so no process has to be told or restarted.
    """

    def __init__(self, engine: AsyncEngine, source: MasterKeySource, masters: Masters) -> None:
        self._engine = engine
        self._source = source
        self._masters = masters
        self._own: DataKey | None = None
        self._loading: asyncio.Task[None] | None = None
        self._absent: dict[int, _Absence] = {}

    @classmethod
    async def open(cls, engine: AsyncEngine, source: MasterKeySource) -> Self:
        """Find the database's master key in the source; the first one ever becomes its own.

        Raises `MasterKeyWrong`, having changed nothing, and what the source raises.
        """
        keys = await asyncio.to_thread(source.load)
        return cls(engine, source, await identify(engine, keys))

    async def for_sealing(self, tenant: str) -> DataKey:
        """Answer the tenant's newest data key, made now if there is none.

        Raises `RecordCorrupt`, and `StoreUnavailable` when its master key cannot be had.
        """
        for attempt in range(MAX_TRIES):
            newest = await self._row(data_keys.c.tenant == tenant)
            if newest is not None:
                return await self._opened(newest)
            if attempt:  # nobody else was faster: the master key at hand is no longer in use
                await self._follow()
            made = await self._make(tenant)
            if made is not None:
                return made
        raise StoreUnavailable("The keys are being rotated too often just now; try again")

    async def numbered(self, tenant: str, key_id: int) -> DataKey:
        """Answer a tenant's data key; raises `RecordCorrupt` and `StoreUnavailable`."""
        row = await self._row(data_keys.c.tenant == tenant, data_keys.c.key_id == key_id)
        if row is None:
            raise data_key_corrupt(tenant, key_id)
        return await self._opened(row)

    async def own(self) -> DataKey:
        """Answer the newest key of the store itself, for what is kept beside the database.

        From now on it is kept at hand, see `own_at_hand`.
        """
        self._own = await self.for_sealing(STORE_ITSELF)
        return self._own

    @property
    def own_at_hand(self) -> DataKey | None:
        """The store's own key as of the last time that the source was loaded."""
        return self._own

    def has(self, master_key_id: int) -> bool:
        """Tell whether a master key is at hand."""
        return master_key_id in self._masters.by_id

    def unwrap(self, key: WrappedKey) -> DataKey:
        """Open a data key; raises `RecordCorrupt`, also when its master key is nowhere."""
        return self._masters.unwrap(key)

    async def look_for(self, master_key_id: int) -> None:
        """Load the source for a master key that is not at hand, and may not be there either.

        Raises `StoreUnavailable` when the source cannot be loaded, or lacks what it must hold.
        """
        absence = self._absent.get(master_key_id)
        if absence is not None and monotonic() < absence.until:
            if absence.cause is not None:
                raise _no_master_key(absence.cause)
            return
        cause: CredentialsError | None = None
        for _ in range(2):  # a loading that was under way may be older than the key
            cause = await self._loaded()
            if self.has(master_key_id):
                self._absent.pop(master_key_id, None)
                return
        self._absent[master_key_id] = _Absence(monotonic() + SECONDS_UNKNOWN, cause)
        if cause is not None:
            raise _no_master_key(cause)

    async def _opened(self, key: WrappedKey) -> DataKey:
        if not self.has(key.master_key_id):
            await self.look_for(key.master_key_id)
            key = await self._again(key)
        return self.unwrap(key)

    async def _again(self, key: WrappedKey) -> WrappedKey:
        """Read a data key anew: it may have been wrapped by another master key meanwhile."""
        row = await self._row(data_keys.c.tenant == key.tenant, data_keys.c.key_id == key.key_id)
        return row or key

    async def _follow(self) -> None:
        cause = await self._loaded()
        if cause is not None:
            raise _no_master_key(cause)

    async def _loaded(self) -> CredentialsError | None:
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
            self._loading.add_done_callback(self._loading_ended)
        try:
            await asyncio.shield(self._loading)
        except CredentialsError as error:
            return error
        return None

    def _loading_ended(self, loading: "asyncio.Task[None]") -> None:
        self._loading = None
        if not loading.cancelled():
            loading.exception()  # whoever waits is told; asyncio need not complain if nobody does

    async def _load(self) -> None:
        keys = await asyncio.to_thread(self._source.load)
        self._masters = await identify(self._engine, keys)
        if self._own is not None:
            newest = await self._row(data_keys.c.tenant == STORE_ITSELF)
            if newest is not None and self.has(newest.master_key_id):
                self._own = self.unwrap(newest)

    async def _make(self, tenant: str) -> DataKey | None:
        """Make a tenant's first data key; None when another writer or a rotation was faster."""
        key = DataKey(FIRST, new_key())
        wrapped = self._masters.wrap(tenant, key)
        try:
            async with self._engine.begin() as connection:
                await connection.execute(insert(data_keys).values(row_of(wrapped)))
        except IntegrityError:
            return None
        return key

    async def _row(self, *where: ColumnElement[bool]) -> WrappedKey | None:
        statement = select(data_keys).where(*where).order_by(data_keys.c.key_id.desc()).limit(1)
        async with self._engine.connect() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else WrappedKey(*row)


def row_of(key: WrappedKey) -> dict[str, object]:
    """Write a data key as its table has it."""
    return {
        "tenant": key.tenant,
        "key_id": key.key_id,
        "master_key_id": key.master_key_id,
        "wrapped": key.wrapped,
    }


def _no_master_key(cause: CredentialsError) -> StoreUnavailable:
    error = StoreUnavailable(f"Keys were rotated, and this process cannot follow: {cause.message}")
    error.__cause__ = cause
    return error
