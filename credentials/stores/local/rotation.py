"""New keys for all that is sealed, while others read and write.

Each step is a transaction of its own or a change of the key file, each compares before it sets, and
each leaves everything readable with the keys in the file. So it may be cut short anywhere, and run
again; a run takes up what an earlier one has left.

1. A new master key stands in front of the old one in the source, and gets a number in the database.
2. Each tenant's data keys are wrapped with it, and one more is made, which seals from then on.
3. Each record that an older data key seals is sealed anew: same content, same version.
4. Data keys and master keys that nothing needs any more go; the database keeps the others, and what
   is written meanwhile with one of them starts this over from 2.
5. The old master key goes from the source.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from credentials.model import RecordKey
from credentials.stores.local.engine import database_errors
from credentials.stores.local.master_key import MasterKeys, MasterKeySource
from credentials.stores.local.masters import Masters, highest, identify, register
from credentials.stores.local.rekeying import (
    keys_of,
    renew_keys,
    retire_keys,
    retire_masters,
    tenants_behind,
    tenants_with_old_keys,
)
from credentials.stores.local.resealing import reseal

RECORDS_TOLD = 1000  # how many make a line of progress


@dataclass(frozen=True, slots=True)
class Rotated:
    """What was done: how many data keys were made, and how many records were sealed anew.

    `left` are records that open with no key; they stay as they are.
    """

    data_keys: int
    records: int
    left: tuple[RecordKey, ...]


class KeyRotation:
    """Rotates the master key of a source and all data keys; `tell` is told how far it is.

    What the source does blocks: this is for a process that does nothing else.
    """

    def __init__(
        self, engine: AsyncEngine, source: MasterKeySource, tell: Callable[[str], None]
    ) -> None:
        self._engine = engine
        self._source = source
        self._tell = tell
        self._data_keys = 0
        self._records = 0
        self._left: set[RecordKey] = set()

    async def run(self) -> Rotated:
        """Rotate, or finish what was cut short.

        Raises `MasterKeyWrong`, `MasterKeyMissing`, `MasterKeyNotWritable` and `RotationUnderWay`,
        having changed nothing; `RecordCorrupt` when a data key does not open, and
        `StoreUnavailable`: then all keys are kept, and another run goes on.
        """
        with database_errors():
            await identify(self._engine, await asyncio.to_thread(self._source.load))
            with self._source.rotating() as keys:
                self._tell(f"The new master key stands in front of the old one in {keys.source}.")
                masters = await self._numbered(keys)
                self._tell(f"It has number {masters.newest} in the database.")
                while not await self._all_renewed(masters):
                    self._tell("Something was written with an old key meanwhile; once more.")
        return Rotated(self._data_keys, self._records, tuple(sorted(self._left)))

    async def _numbered(self, keys: MasterKeys) -> Masters:
        """Give the first key the highest number, whichever it had before."""
        while True:
            masters = await identify(self._engine, keys)
            number = await highest(self._engine)
            if masters.by_id.get(number) == keys.values[0]:
                return masters
            await register(self._engine, keys.values[0], number + 1)

    async def _all_renewed(self, masters: Masters) -> bool:
        """Take a turn through everything; tell whether nothing needs an old key any more."""
        for tenant in await tenants_behind(self._engine, masters.newest):
            self._data_keys += await renew_keys(self._engine, masters, tenant)
        self._tell(f"{self._data_keys} new data keys seal from now on.")
        done = [
            await self._records_renewed(masters, tenant)
            for tenant in await tenants_with_old_keys(self._engine)
        ]
        self._tell(f"{self._records} records are sealed with a new data key.")
        return all(done) and await retire_masters(self._engine, masters.newest)

    async def _records_renewed(self, masters: Masters, tenant: str) -> bool:
        keys = await keys_of(self._engine, masters, tenant)
        result = await reseal(self._engine, tenant, keys)
        self._records += result.done
        self._left.update(result.left)
        if self._records // RECORDS_TOLD > (self._records - result.done) // RECORDS_TOLD:
            self._tell(f"{self._records} records are sealed anew so far.")
        no_old_key = await retire_keys(self._engine, tenant, max(keys))
        return not result.overtaken and (no_old_key or bool(result.left))
