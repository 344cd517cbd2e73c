"""The verbs of credentials: keep them, forget them, authorize a request with them."""

import asyncio
import random
import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from credentials import schemes
from credentials.ending import Ending
from credentials.errors import (
    CredentialsBusy,
    CredentialsError,
    CredentialsNotFound,
    InvalidId,
    VersionConflict,
)
from credentials.grants import Freshness, Grant, GrantState, freshness, from_record
from credentials.model import (
    AuditEntry,
    Authorization,
    AuthScheme,
    OutgoingRequest,
    Part,
    RecordKey,
    SecretRecord,
)
from credentials.ports import Audit, Clock, SecretStore
from credentials.refresher import Refresher

MAX_TRIES = 5
MAX_FINISHED = 10_000
_FIRST_PAUSE = 0.005  # seconds; doubles with each try

_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_INSTANCE_ID = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True, repr=False)
class _Finished:
    """An authorization, good for as long as the store answers the same record. Never printed.

    What a scheme makes of a record depends on nothing else, so it is worked out once. `grant` is
    what a record of tokens says, `config` the record of the config beside it.
    """

    record: SecretRecord
    scheme: AuthScheme
    authorization: Authorization
    grant: Grant | None = None
    config: SecretRecord | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the manager needs where access tokens come and go."""

    refresher: Refresher
    ending: Ending
    audit: Audit
    clock: Clock
    actor: str
    known: Callable[..., None] = lambda *_values: None


class CredentialManager:
    """Keeps the secrets of instances; they leave it only as the authorization of one request.

    Every method raises `InvalidId` before an id of another form reaches the store, and whatever
    the store raises.
    """

    def __init__(self, store: SecretStore, tokens: Tokens) -> None:
        self._store = store
        self._tokens = tokens
        # By record. In the order of making: a store that reads again now and then makes that the
        # order of use, near enough.
        self._finished: OrderedDict[RecordKey, _Finished] = OrderedDict()

    async def update(
        self, tenant: str, instance_id: str, fields: Mapping[str, Any], removed: Collection[str]
    ) -> int:
        """Set `fields` and remove those named in `removed`; the others stay.

        A field in both is set. Answers the version of the record, from 1. Nothing that others
        write meanwhile is lost. Raises `InvalidCredentials` when a value is no JSON, and
        `CredentialsBusy` when 5 tries in a row came too late.
        """
        _check_ids(tenant, instance_id)
        entry = AuditEntry("config.stored", tenant, instance_id, self._tokens.actor, "begins")
        await self._tokens.audit.before(entry)
        for attempt in range(MAX_TRIES):
            if attempt:
                await _pause(attempt)
            with suppress(VersionConflict):
                version = await self._change(tenant, instance_id, fields, removed)
                self._tokens.audit.note(replace(entry, outcome="ok", details={"version": version}))
                return version
        raise CredentialsBusy(
            f"Credentials of {instance_id} changed {MAX_TRIES} times during the update; try again",
            instanceId=instance_id,
            tries=MAX_TRIES,
        )

    async def delete(self, tenant: str, instance_id: str) -> None:
        """Forget all credentials of an instance; forgetting nothing succeeds too."""
        _check_ids(tenant, instance_id)
        for part in Part:
            self._finished.pop(RecordKey(tenant, instance_id, part), None)
        await self._tokens.ending.end(tenant, instance_id, tuple(Part), self._tokens.actor)

    async def authorize(
        self,
        tenant: str,
        instance_id: str,
        scheme: AuthScheme,
        request: OutgoingRequest,
        version: int,
    ) -> Authorization | None:
        """Answer what to add to `request` so that the API knows who calls.

        None when the record is not of this `version`: the request rests on another config than the
        secrets do, and they must not go where it leads. A scheme without credentials has none.

        Raises `CredentialsNotFound` (unless the scheme needs none), what `schemes.authorize`
        raises: `SchemeNotAvailable`, `SchemeInvalid`, `CredentialsIncomplete`,
        `InvalidCredentials`, and for tokens what `Refresher.fresh` raises.
        """
        _check_ids(tenant, instance_id)
        try:
            authorization = await self._authorize(tenant, instance_id, scheme, request, version)
        except CredentialsError as error:
            self._used(tenant, instance_id, type(error).__name__)
            raise
        if authorization is not None:
            self._used(tenant, instance_id, "ok")
        return authorization

    async def _authorize(
        self,
        tenant: str,
        instance_id: str,
        scheme: AuthScheme,
        request: OutgoingRequest,
        version: int,
    ) -> Authorization | None:
        if not schemes.needs_credentials(scheme):
            return schemes.authorize(scheme, {}, request, self._tokens.clock())
        key = RecordKey(tenant, instance_id)
        found = await self._store.get(key)
        if found is None:
            self._finished.pop(key, None)
            raise _not_connected(instance_id)
        if found.version != version:
            return None
        if scheme.type in schemes.TOKEN_TYPES:
            return await self._with_token(key, scheme, request, found.record)
        if scheme.signs:
            return self._told(
                schemes.authorize(scheme, found.record.fields, request, self._tokens.clock())
            )
        kept = self._finished.get(key)
        if kept is not None and kept.record is found.record and kept.scheme == scheme:
            return kept.authorization
        made = schemes.authorize(scheme, found.record.fields, request, self._tokens.clock())
        self._finish(key, _Finished(found.record, scheme, self._told(made)))
        return made

    async def _with_token(
        self, key: RecordKey, scheme: AuthScheme, request: OutgoingRequest, config: SecretRecord
    ) -> Authorization:
        key = key._replace(part=Part.GRANT)
        found = await self._store.get(key)
        if found is not None:
            kept = self._of_grant(key, scheme, found.record, config)
            state = self._usable(kept, request)
            if state is Freshness.DUE:
                self._tokens.refresher.kick(key.tenant, key.instance_id)
            if state is not Freshness.EXPIRED:
                return kept.authorization
        grant = await self._tokens.refresher.fresh(
            key.tenant, key.instance_id, refused=request.refused
        )
        return self._told(_of_token(scheme, grant, config))

    def _of_grant(
        self, key: RecordKey, scheme: AuthScheme, record: SecretRecord, config: SecretRecord
    ) -> _Finished:
        kept = self._finished.get(key)
        is_same = kept is not None and kept.record is record and kept.config is config
        if kept is not None and is_same and kept.scheme == scheme:
            return kept
        grant = from_record(record)
        made = Authorization()
        if grant.access_token:  # there is none while the first one is being fetched
            made = self._told(_of_token(scheme, grant, config))
        return self._finish(key, _Finished(record, scheme, made, grant, config))

    def _usable(self, kept: _Finished, request: OutgoingRequest) -> Freshness:
        """Tell what to do with a token; one that is over or was refused is as good as expired."""
        grant = kept.grant
        if grant is None or grant.generation <= request.refused:
            return Freshness.EXPIRED
        if grant.state is not GrantState.ACTIVE:
            return Freshness.EXPIRED
        return freshness(grant, self._tokens.clock().timestamp())

    def _finish(self, key: RecordKey, made: _Finished) -> _Finished:
        self._finished[key] = made
        self._finished.move_to_end(key)
        if len(self._finished) > MAX_FINISHED:
            self._finished.popitem(last=False)
        return made

    def _told(self, made: Authorization) -> Authorization:
        self._tokens.known(*(value for _, value in (*made.headers, *made.query)))
        return made

    def _used(self, tenant: str, instance_id: str, outcome: str) -> None:
        actor = self._tokens.actor
        self._tokens.audit.note(AuditEntry("credentials.used", tenant, instance_id, actor, outcome))

    async def _change(
        self, tenant: str, instance_id: str, fields: Mapping[str, Any], removed: Collection[str]
    ) -> int:
        key = RecordKey(tenant, instance_id)
        found = await self._store.get(key)
        before, version = ({}, 0) if found is None else (found.record.fields, found.version)
        kept = {name: value for name, value in before.items() if name not in removed}
        return await self._store.put(key, SecretRecord({**kept, **fields}), version)


@lru_cache(maxsize=10_000)  # every request asks, mostly for the same; refusals are not kept
def _check_ids(tenant: str, instance_id: str) -> None:
    if _TENANT.fullmatch(tenant) is None:
        raise InvalidId(f"{tenant[:80]!r} is no tenant id ({_TENANT.pattern})", kind="tenant")
    if _INSTANCE_ID.fullmatch(instance_id) is None:
        message = f"{instance_id[:80]!r} is no instance id ({_INSTANCE_ID.pattern})"
        raise InvalidId(message, kind="instance")


def _of_token(scheme: AuthScheme, grant: Grant, config: SecretRecord) -> Authorization:
    made = schemes.token_authorization(
        scheme, grant.access_token, grant.token_type, grant.generation, grant.expiry
    )
    return schemes.with_certificate(made, scheme, config.fields)


def _not_connected(instance_id: str) -> CredentialsNotFound:
    return CredentialsNotFound(
        f"Instance {instance_id} has no credentials; connect it first", instanceId=instance_id
    )


async def _pause(attempt: int) -> None:
    """Let the others finish: those who lost together should not all come back together."""
    await asyncio.sleep(random.uniform(0, _FIRST_PAUSE * 2**attempt))  # noqa: S311 - no secret
