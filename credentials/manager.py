"""The verbs of credentials: keep them, forget them, authorize a request with them."""

import asyncio
import random
import re
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from credentials import schemes
from credentials.errors import CredentialsBusy, CredentialsNotFound, InvalidId, VersionConflict
from credentials.model import Authorization, AuthScheme, OutgoingRequest, RecordKey, SecretRecord
from credentials.ports import SecretStore

MAX_TRIES = 5
MAX_FINISHED = 10_000
_FIRST_PAUSE = 0.005  # seconds; doubles with each try

_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_INSTANCE_ID = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True, repr=False)
class _Finished:
    """An authorization, good for as long as the store answers the same record. Never printed.

    What a scheme makes of a record depends on nothing else, so it is worked out once.
    """

    record: SecretRecord
    scheme: AuthScheme
    authorization: Authorization


class CredentialManager:
    """Keeps the secrets of instances; they leave it only as the authorization of one request.

    Every method raises `InvalidId` before an id of another form reaches the store, and whatever
    the store raises.
    """

    def __init__(self, store: SecretStore) -> None:
        self._store = store
        # By instance. In the order of making: a store that reads again now and then makes that the
        # order of use, near enough.
        self._finished: OrderedDict[tuple[str, str], _Finished] = OrderedDict()

    async def update(
        self, tenant: str, instance_id: str, fields: Mapping[str, Any], removed: Collection[str]
    ) -> int:
        """Set `fields` and remove those named in `removed`; the others stay.

        A field in both is set. Answers the version of the record, from 1. Nothing that others
        write meanwhile is lost. Raises `InvalidCredentials` when a value is no JSON, and
        `CredentialsBusy` when 5 tries in a row came too late.
        """
        _check_ids(tenant, instance_id)
        for attempt in range(MAX_TRIES):
            if attempt:
                await _pause(attempt)
            try:
                return await self._change(tenant, instance_id, fields, removed)
            except VersionConflict:
                continue
        raise CredentialsBusy(
            f"Credentials of {instance_id} changed {MAX_TRIES} times during the update; try again",
            instanceId=instance_id,
            tries=MAX_TRIES,
        )

    async def delete(self, tenant: str, instance_id: str) -> None:
        """Forget the credentials of an instance; forgetting nothing succeeds too."""
        _check_ids(tenant, instance_id)
        self._finished.pop((tenant, instance_id), None)
        await self._store.delete(RecordKey(tenant, instance_id))

    async def authorize(
        self,
        tenant: str,
        instance_id: str,
        scheme: AuthScheme,
        request: OutgoingRequest,  # noqa: ARG002 - the promise is per request: some schemes sign it
        version: int,
    ) -> Authorization | None:
        """Answer what to add to `request` so that the API knows who calls.

        None when the record is not of this `version`: the request rests on another config than the
        secrets do, and they must not go where it leads. A scheme without credentials has none.

        Raises `CredentialsNotFound` (unless the scheme needs none) and what `schemes.authorize`
        raises: `SchemeNotAvailable`, `SchemeInvalid`, `CredentialsIncomplete`,
        `InvalidCredentials`.
        """
        _check_ids(tenant, instance_id)
        if not schemes.required_fields(scheme):
            return schemes.authorize(scheme, {})
        found = await self._store.get(RecordKey(tenant, instance_id))
        if found is None:
            self._finished.pop((tenant, instance_id), None)
            raise CredentialsNotFound(
                f"Instance {instance_id} has no credentials; connect it first",
                instanceId=instance_id,
            )
        if found.version != version:
            return None
        kept = self._finished.get((tenant, instance_id))
        if kept is None or kept.record is not found.record or kept.scheme != scheme:
            return self._finish(tenant, instance_id, scheme, found.record)
        return kept.authorization

    def _finish(
        self, tenant: str, instance_id: str, scheme: AuthScheme, record: SecretRecord
    ) -> Authorization:
        authorization = schemes.authorize(scheme, record.fields)
        self._finished[tenant, instance_id] = _Finished(record, scheme, authorization)
        self._finished.move_to_end((tenant, instance_id))
        if len(self._finished) > MAX_FINISHED:
            self._finished.popitem(last=False)
        return authorization

    async def _change(
        self, tenant: str, instance_id: str, fields: Mapping[str, Any], removed: Collection[str]
    ) -> int:
        found = await self._store.get(RecordKey(tenant, instance_id))
        before, version = ({}, 0) if found is None else (found.record.fields, found.version)
        kept = {name: value for name, value in before.items() if name not in removed}
        record = SecretRecord({**kept, **fields})
        return await self._store.put(RecordKey(tenant, instance_id), record, version)


@lru_cache(maxsize=10_000)  # every request asks, mostly for the same; refusals are not kept
def _check_ids(tenant: str, instance_id: str) -> None:
    if _TENANT.fullmatch(tenant) is None:
        raise InvalidId(f"{tenant[:80]!r} is no tenant id ({_TENANT.pattern})", kind="tenant")
    if _INSTANCE_ID.fullmatch(instance_id) is None:
        message = f"{instance_id[:80]!r} is no instance id ({_INSTANCE_ID.pattern})"
        raise InvalidId(message, kind="instance")


async def _pause(attempt: int) -> None:
    """Let the others finish: those who lost together should not all come back together."""
    await asyncio.sleep(random.uniform(0, _FIRST_PAUSE * 2**attempt))  # noqa: S311 - no secret
