"""Looking after credentials: store them, look at them, refresh, prove and revoke them."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from credentials.ending import Ending
from credentials.errors import (
    CredentialsBusy,
    CredentialsError,
    CredentialsIncomplete,
    CredentialsNotFound,
    OAuthMisconfigured,
    SchemeNotAvailable,
)
from credentials.grants import (
    Freshness,
    Grant,
    GrantState,
    freshness,
    from_record,
    margin_of,
    to_record,
)
from credentials.importing import read_tokens
from credentials.model import (
    AuditEntry,
    Connection,
    Part,
    RecordKey,
    Report,
    Standing,
)
from credentials.parts import Parts
from credentials.probing import Authorize, Prober, Proof
from credentials.refresher import Refresher
from credentials.schemes import TOKEN_TYPES, required_fields
from credentials.settling import needs_reauthorization

log = logging.getLogger("integration.credentials.upkeep")

_TRIES = 5
_CONSENTED = frozenset({"authorization_code", "device_code"})


@dataclass(frozen=True, slots=True)
class CredentialsStatus:
    """How the credentials of an instance stand, without any of them.

    `status` is one of `connected`, `expired`, `missing`, `needs_reauthorization` and `refreshing`;
    `reason` says why.
    """

    type: str
    status: str
    reason: str = ""
    expires_at: datetime | None = None
    refreshed_at: datetime | None = None
    refreshable: bool = False
    scope: str = ""
    generation: int = 0


class Upkeep:
    """Raises what the store, the connections and the refresher raise."""

    def __init__(
        self, parts: Parts, refresher: Refresher, ending: Ending, authorize: Authorize
    ) -> None:
        self._parts = parts
        self._refresher = refresher
        self._ending = ending
        self._prober = Prober(parts, authorize)

    async def store(
        self, tenant: str, instance_id: str, type_: str, data: Mapping[str, Any], actor: str
    ) -> CredentialsStatus:
        """Keep credentials that came from elsewhere.

        `oauth2` takes `access_token`, `refresh_token`, `expires_at` (RFC 3339 or seconds since
        1970), `expires_in`, `scope`, `token_type`; the types without tokens take fields of the
        config. Raises `InvalidCredentials`, `CredentialsIncomplete` where some would still be
        missing, `CredentialsNotFound` when the instance is deleted meanwhile, and
        `SchemeNotAvailable` for another type than the definition's.
        """
        connection = await self._parts.connections.connection(tenant, instance_id)
        if type_ != connection.scheme.type:
            raise SchemeNotAvailable(
                f"The instance authenticates by {connection.scheme.type!r}, not {type_!r}",
                type=type_,
                available=[connection.scheme.type],
            )
        if type_ not in TOKEN_TYPES:
            missing = await self._missing(tenant, instance_id, connection, data)
            if missing:
                raise CredentialsIncomplete(
                    f"Credentials lack {', '.join(map(repr, missing))}, which {type_} needs",
                    fields=missing,
                )
        await self._parts.audit.before(
            AuditEntry("credentials.stored", tenant, instance_id, actor, "begins")
        )
        if type_ in TOKEN_TYPES:
            await self._import(RecordKey(tenant, instance_id, Part.GRANT), data)
        else:
            await self._parts.connections.configure(tenant, instance_id, data)
        self._note("credentials.stored", tenant, instance_id, actor)
        await self._parts.connections.report(tenant, instance_id, Report(Standing.CONNECTED))
        return await self.status(tenant, instance_id)

    async def revoke(self, tenant: str, instance_id: str, actor: str) -> None:
        """Forget the credentials of an instance that stays; tokens are revoked at their server.

        Where an owner has consented that is the consent; else it is what the config has, which
        would bring the next token.
        """
        connection = await self._parts.connections.connection(tenant, instance_id)
        grant = connection.oauth2.get("grant") or "authorization_code"
        is_consent = connection.scheme.type == "oauth2" and grant in _CONSENTED
        parts = (Part.GRANT, Part.FLOWS) if is_consent else tuple(Part)
        await self._ending.end(tenant, instance_id, parts, actor)
        standing = Standing.PENDING_AUTHENTICATION if is_consent else Standing.DISCONNECTED
        report = Report(standing, "NOT_CONNECTED", "The credentials were deleted")
        await self._parts.connections.report(tenant, instance_id, report)

    async def status(self, tenant: str, instance_id: str) -> CredentialsStatus:
        """Answer how the credentials stand; raises the registry's error for no such instance."""
        connection = await self._parts.connections.connection(tenant, instance_id)
        type_ = connection.scheme.type
        if type_ in TOKEN_TYPES:
            key = RecordKey(tenant, instance_id, Part.GRANT)
            found = await self._parts.store.get(key)
            grant = None if found is None else from_record(found.record)
            await self._reconcile(tenant, instance_id, connection, grant)
            return self._of_grant(type_, grant)
        missing = await self._missing(tenant, instance_id, connection, {})
        if missing:
            return CredentialsStatus(type_, "missing", f"no {', '.join(missing)}")
        return CredentialsStatus(type_, "connected")

    async def refresh(self, tenant: str, instance_id: str, actor: str) -> CredentialsStatus:
        """Fetch the next token now, however young the present one is.

        Raises `OAuthMisconfigured` where there is no token, and what `Refresher.fresh` raises.
        """
        connection = await self._parts.connections.connection(tenant, instance_id)
        if connection.scheme.type not in TOKEN_TYPES:
            raise OAuthMisconfigured(
                f"Credentials of type {connection.scheme.type!r} have no token to refresh",
                field="authType",
            )
        await self._parts.audit.before(
            AuditEntry("credentials.refreshed", tenant, instance_id, actor, "begins")
        )
        key = RecordKey(tenant, instance_id, Part.GRANT)
        found = await self._parts.store.get(key)
        generation = 0 if found is None else from_record(found.record).generation
        await self._refresher.fresh(tenant, instance_id, refused=generation, at_once=True)
        self._note("credentials.refreshed", tenant, instance_id, actor)
        return await self.status(tenant, instance_id)

    async def verify(self, tenant: str, instance_id: str) -> Proof:
        """Ask the API whether it lets us in; see `Prober.verify`."""
        return await self._prober.verify(tenant, instance_id)

    async def _missing(
        self, tenant: str, instance_id: str, connection: Connection, given: Mapping[str, Any]
    ) -> list[str]:
        """Name the fields that the scheme needs, and that are neither kept nor given."""
        needed = required_fields(connection.scheme)
        kept = await self._parts.store.get(RecordKey(tenant, instance_id)) if needed else None
        fields = {**(kept.record.fields if kept else {}), **given}
        return [name for name in needed if fields.get(name) is None]

    async def _reconcile(
        self, tenant: str, instance_id: str, connection: Connection, grant: Grant | None
    ) -> None:
        """Tell once more what may not have been heard: a crash can part record and row."""
        if grant is None or not grant.generation:
            return
        is_active = grant.state is GrantState.ACTIVE
        if is_active and connection.standing == Standing.PENDING_AUTHENTICATION:
            await self._parts.connections.report(tenant, instance_id, Report(Standing.CONNECTED))
        if not is_active and connection.standing == Standing.CONNECTED:
            error = needs_reauthorization(RecordKey(tenant, instance_id), grant.cause)
            report = Report(Standing.AUTH_ERROR, "AUTHENTICATION_ERROR", error.message)
            await self._parts.connections.report(tenant, instance_id, report)

    def _of_grant(self, type_: str, grant: Grant | None) -> CredentialsStatus:
        if grant is None or not grant.generation:
            return CredentialsStatus(type_, "missing", "not authorized yet")
        status, reason = "connected", ""
        if grant.state is GrantState.NEEDS_REAUTHORIZATION:
            status, reason = "needs_reauthorization", grant.cause
        elif freshness(grant, self._parts.now()) is Freshness.EXPIRED:
            status = "expired" if grant.claim is None else "refreshing"
        return CredentialsStatus(
            type_,
            status,
            "in_doubt" if grant.doubt and not reason else reason,
            grant.expiry,
            datetime.fromtimestamp(grant.received_at, UTC),
            refreshable=bool(grant.refresh_token) or type_ != "oauth2",
            scope=grant.scope,
            generation=grant.generation,
        )

    async def _import(self, key: RecordKey, data: Mapping[str, Any]) -> None:
        brought = read_tokens(data, self._parts.now(), await self._margin(key))
        self._parts.known(brought.access_token, brought.refresh_token)
        for tries in range(_TRIES):
            found = await self._parts.store.get(key)
            before = Grant() if found is None else from_record(found.record)
            version = 0 if found is None else found.version
            record = to_record(replace(brought, generation=before.generation + 1))
            if await self._parts.write(key, record, version) is not None:
                break
            await asyncio.sleep(self._parts.timing.store_pause(tries))
        else:
            raise CredentialsBusy(
                f"Credentials of {key.instance_id} changed {_TRIES} times during the update; try "
                "again",
                instanceId=key.instance_id,
                tries=_TRIES,
            )
        if not await self._parts.is_configured(key):
            await self._parts.store.delete(key)  # what was deleted just now must not come back
            raise CredentialsNotFound(
                f"Instance {key.instance_id} has no config; it was deleted, or send that first",
                instanceId=key.instance_id,
            )

    async def _margin(self, key: RecordKey) -> float | None:
        try:
            return margin_of(await self._parts.profiles.of(key.tenant, key.instance_id))
        except CredentialsError as error:
            log.info("no profile of %s yet: %s", key.instance_id, error)
            return None

    def _note(self, action: str, tenant: str, instance_id: str, actor: str) -> None:
        self._parts.audit.note(AuditEntry(action, tenant, instance_id, actor))
