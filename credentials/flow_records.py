"""The records of authorizations under way: begun in one process, ended in any, and once."""

import asyncio
from uuid import uuid4

from credentials import flows
from credentials.errors import CredentialsBusy, InvalidState
from credentials.flows import Flow
from credentials.model import RecordKey
from credentials.parts import Parts

_TRIES = 10


class FlowRecords:
    """Remembers flows and takes them out; raises what the store raises."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def remember(self, key: RecordKey, state: str, flow: Flow) -> None:
        """Keep a flow; raises `CredentialsBusy` when too many begin at the same time."""
        for tries in range(_TRIES):
            found = await self._parts.store.get(key)
            record = None if found is None else found.record
            version = 0 if found is None else found.version
            begun = flows.begun(record, state, flow, self._parts.now())
            if await self._parts.write(key, begun, version) is not None:
                return
            await asyncio.sleep(self._parts.timing.store_pause(tries))
        raise CredentialsBusy(
            f"Too many authorizations of {key.instance_id} start at once; try again",
            instanceId=key.instance_id,
            tries=_TRIES,
        )

    async def known(self, key: RecordKey, state: str, actor: str) -> Flow:
        """Answer the flow of a state; raises `InvalidState` where there is none for this actor."""
        found = await self._parts.store.get(key)
        flow = flows.find(None if found is None else found.record, state, self._parts.now())
        if flow is None or flow.actor != actor:
            raise invalid_state()
        return flow

    async def take(self, key: RecordKey, state: str, actor: str) -> Flow:
        """Use a flow up, which only one of any number of callers can; raises `InvalidState`."""
        while True:
            found = await self._parts.store.get(key)
            flow = flows.find(None if found is None else found.record, state, self._parts.now())
            if found is None or flow is None or flow.actor != actor:
                raise invalid_state()
            used = flows.taken(found.record, state, flow, uuid4().hex)
            if await self._parts.write(key, used, found.version) is not None:
                return flow


def invalid_state() -> InvalidState:
    """Make the one error for every state that is not good."""
    return InvalidState(
        "The state is unknown, used, expired or not yours; start the authorization again"
    )
