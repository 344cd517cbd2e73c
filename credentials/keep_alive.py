"""Refreshing what nobody uses, before its server forgets it.

Servers drop refresh tokens that lie idle: after weeks or months, some after days. Whoever comes
back then would find a connection that is none.
"""

import asyncio
import logging
import random

from credentials.errors import CredentialsError
from credentials.grants import Grant, GrantState, from_record
from credentials.model import Part, RecordKey
from credentials.parts import Parts
from credentials.refresher import Refresher

log = logging.getLogger("integration.credentials.refresh")

IDLE = 86_400.0  # seconds since the last token came
ROUND = 3_600.0  # seconds between two visits, about
_PAUSE = 0.02  # seconds between two reads: upkeep gives way to work


class KeepAlive:
    """Visits every connected instance about once an hour, and refreshes grants idle for a day.

    Of several processes that visit at the same time, the claim lets one refresh. A definition with
    the manual strategy is left alone.
    """

    def __init__(self, parts: Parts, refresher: Refresher, *, every: float = ROUND) -> None:
        self._parts = parts
        self._refresher = refresher
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to visit, the first time within one round."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop visiting."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def visit(self) -> int:
        """Visit everybody once; answers how many grants were refreshed."""
        refreshed, after = 0, ("", "")
        while some := await self._parts.connections.connected(after):
            for tenant, instance_id in some:
                refreshed += await self._looked_after(tenant, instance_id)
                await asyncio.sleep(_PAUSE)
            after = some[-1]
        return refreshed

    async def _looked_after(self, tenant: str, instance_id: str) -> bool:
        try:
            found = await self._parts.store.get(RecordKey(tenant, instance_id, Part.GRANT))
            grant = None if found is None else from_record(found.record)
            if grant is None or not self._is_idle(grant):
                return False
            await self._refresher.fresh(tenant, instance_id, refused=grant.generation, at_once=True)
        except CredentialsError as error:
            log.info("%s cannot be kept alive now: %s", instance_id, error)
            return False
        return True

    def _is_idle(self, grant: Grant) -> bool:
        now = self._parts.now()
        manual = grant.margin == 0.0
        settled = grant.state is GrantState.ACTIVE and grant.claim is None and not grant.doubt
        lives = grant.refresh_expires_at is None or grant.refresh_expires_at > now
        idle = now - grant.received_at >= IDLE
        return bool(grant.refresh_token) and settled and lives and idle and not manual

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            try:
                await self.visit()
            except Exception:
                log.exception("not everybody could be visited")
