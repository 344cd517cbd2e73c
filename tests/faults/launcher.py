"""Starts the service with faults built in: it dies where it is told to, and its clock may be wrong.

`python -m tests.faults.launcher serve credentials …` is `integration-service serve credentials …`
with other parts behind its credentials, as the variable FAULTS says: JSON with the members of
`Faults`.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from credentials.model import (
    OutboundAnswer,
    OutboundRequest,
    Part,
    RecordKey,
    SecretRecord,
    SpoolEntry,
    Versioned,
)
from credentials.parts import Parts
from credentials.ports import Outbound, SecretStore, Spool
from credentials.waiting import Timing
from services.__main__ import main
from services.runtime import clock
from services.wiring import credentials as wiring

COMMAND = ("-m", "tests.faults.launcher", "serve")
VARIABLE = "FAULTS"
POINTS = (
    "before_claim",
    "after_claim",
    "request_sent",
    "answer_read",
    "after_spool",
    "after_store",
)
_ON_ITS_WAY = 0.3  # seconds after which a request has surely reached a server on loopback


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with a process. `trap` is a file that arms it; see `arm`.

    `timing` replaces members of `Timing`. The clock is `ahead` seconds fast, and by as many more as
    the file `lapse` says.
    """

    trap: str = ""
    timing: Mapping[str, float] = field(default_factory=dict)
    ahead: float = 0.0
    lapse: str = ""

    def environment(self) -> dict[str, str]:
        """Answer the variables that a process with these faults is started with."""
        members = {name: getattr(self, name) for name in self.__slots__}
        return {VARIABLE: json.dumps(members)}


def arm(trap: Path, point: str, count: int) -> None:
    """Let the process of this trap die when `count` refreshes are at a point, all together."""
    draft = trap.with_suffix(".draft")
    draft.write_text(json.dumps([point, count]))
    draft.replace(trap)


class Trap:
    """Ends its own process, as SIGKILL does, where it is armed to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._come = 0

    def waits_at(self, point: str) -> int:
        """Answer how many have to come to this point; 0: it is not armed there."""
        try:
            armed, count = json.loads(self._path.read_text())
        except FileNotFoundError:
            return 0
        return int(count) if armed == point else 0

    async def at(self, point: str) -> None:
        """Go no further when the trap is armed here; the last to come springs it."""
        count = self.waits_at(point)
        if not count:
            return
        self._come += 1
        if self._come >= count:
            self._path.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.Event().wait()


@dataclass(frozen=True, slots=True)
class TrappedStore:
    """A store with the points around a claim, and the one after new tokens are stored."""

    inner: SecretStore
    trap: Trap

    async def get(self, key: RecordKey) -> Versioned | None:
        """Answer the record."""
        return await self.inner.get(key)

    async def put(self, key: RecordKey, record: SecretRecord, expected_version: int) -> int:
        """Replace the record."""
        fields = record.fields if key.part is Part.GRANT else {}
        if fields.get("claim"):
            await self.trap.at("before_claim")
        version = await self.inner.put(key, record, expected_version)
        if fields.get("claim"):
            await self.trap.at("after_claim")
        elif fields.get("attempt") and not fields.get("doubt"):
            await self.trap.at("after_store")
        return version

    async def delete(self, key: RecordKey) -> None:
        """Forget the record."""
        await self.inner.delete(key)


@dataclass(frozen=True, slots=True)
class TrappedOutbound:
    """A way out with the points of a request on its way, and of an answer that has come."""

    inner: Outbound
    trap: Trap

    async def send(self, request: OutboundRequest, timeout: float) -> OutboundAnswer:
        """Send the request."""
        sending = asyncio.create_task(self.inner.send(request, timeout))
        if self.trap.waits_at("request_sent"):
            await asyncio.sleep(_ON_ITS_WAY)
            await self.trap.at("request_sent")
        answer = await sending
        await self.trap.at("answer_read")
        return answer


@dataclass(frozen=True, slots=True)
class TrappedSpool:
    """A spool with the point after an answer is on disk."""

    inner: Spool
    trap: Trap

    async def keep(self, entry: SpoolEntry) -> None:
        """Write an entry."""
        await self.inner.keep(entry)
        await self.trap.at("after_spool")

    async def find(self, key: RecordKey, attempt: str) -> SpoolEntry | None:
        """Answer the entry of this attempt."""
        return await self.inner.find(key, attempt)

    async def drop(self, key: RecordKey, attempt: str) -> None:
        """Forget an entry."""
        await self.inner.drop(key, attempt)

    def entries(self) -> AsyncIterator[SpoolEntry]:
        """Answer all entries."""
        return self.inner.entries()


def faulty(parts: Parts, faults: Faults) -> Parts:
    """Answer parts with these faults."""
    timed = replace(
        parts, clock=lambda: _shifted(faults), timing=replace(Timing(), **faults.timing)
    )
    if not faults.trap:
        return timed
    trap = Trap(Path(faults.trap))
    return replace(
        timed,
        store=TrappedStore(parts.store, trap),
        outbound=TrappedOutbound(parts.outbound, trap),
        spool=TrappedSpool(parts.spool, trap),
    )


def _shifted(faults: Faults) -> datetime:
    lapse = float(Path(faults.lapse).read_text()) if faults.lapse else 0.0
    return clock.now() + timedelta(seconds=faults.ahead + lapse)


def _launch() -> int:
    faults = Faults(**json.loads(os.environ[VARIABLE]))  # noqa: TID251 - a switch of the tests

    def parts(**given: Any) -> Parts:
        return faulty(Parts(**given), faults)

    # The parts are made deep in the composition root, which no caller but this one changes.
    vars(wiring)["Parts"] = parts
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(_launch())
