"""Records under a new data key: the same content and version, sealed anew where they stand."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, Update, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncEngine

from credentials.errors import RecordCorrupt
from credentials.model import Part, RecordKey
from credentials.stores.local.tables import records
from credentials.stores.local.wrapping import DataKey, open_record, seal_record

ROWS_AT_ONCE = 20  # read and written together: a record may have half a MiB


@dataclass(slots=True)
class Resealed:
    """What became of a tenant's records: how many are done, how many somebody wrote meanwhile.

    `left` are those that open with no key.
    """

    done: int = 0
    overtaken: int = 0
    left: list[RecordKey] = field(default_factory=list)


@dataclass(frozen=True, slots=True, repr=False)
class _Opened:
    """A row and what is sealed in it. Never printed."""

    row: Row[Any]
    key: RecordKey
    data: bytes


async def reseal(engine: AsyncEngine, tenant: str, keys: Mapping[int, DataKey]) -> Resealed:
    """Seal a tenant's records with its newest data key, unless somebody writes them first."""
    newest = keys[max(keys)]
    result = Resealed()
    async for rows in _pages(engine, tenant, newest.key_id):
        opened = [each for row in rows if (each := _opened(row, keys, result)) is not None]
        writes = [_renewed(each, newest) for each in opened]
        began = time.monotonic()
        async with engine.begin() as connection:
            for write in writes:
                done = (await connection.execute(write)).rowcount
                result.done += done
                result.overtaken += 1 - done
        # SQLite has no queue: those who serve get a turn only while nobody else writes.
        await asyncio.sleep(time.monotonic() - began)
    return result


async def _pages(
    engine: AsyncEngine, tenant: str, newest: int
) -> AsyncIterator[Sequence[Row[Any]]]:
    place = tuple_(records.c.instance_id, records.c.part)
    after = ("", "")
    while True:
        statement = (
            select(records)
            .where(records.c.tenant == tenant, records.c.key_id < newest, place > after)
            .order_by(records.c.instance_id, records.c.part)
            .limit(ROWS_AT_ONCE)
        )
        async with engine.connect() as connection:
            rows = (await connection.execute(statement)).all()
        if not rows:
            return
        yield rows
        after = (rows[-1].instance_id, rows[-1].part)


def _opened(row: Row[Any], keys: Mapping[int, DataKey], result: Resealed) -> _Opened | None:
    key = RecordKey(row.tenant, row.instance_id, Part(row.part))
    try:
        return _Opened(row, key, open_record(keys[row.key_id], key, row.version, row.sealed))
    except (KeyError, RecordCorrupt):
        result.left.append(key)
        return None


def _renewed(opened: _Opened, newest: DataKey) -> Update:
    """Write the same record of the same version, where the same bytes still stand."""
    row = opened.row
    sealed = seal_record(newest, opened.key, row.version, opened.data)
    return (
        update(records)
        .where(
            records.c.tenant == row.tenant,
            records.c.instance_id == row.instance_id,
            records.c.part == row.part,
            records.c.version == row.version,
            records.c.sealed == row.sealed,
        )
        .values(key_id=newest.key_id, sealed=sealed)
    )
