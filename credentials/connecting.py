"""Getting an owner's consent: start, and complete with what the authorization server says.

A state is taken out of its record before its code is exchanged: of any number of callbacks with one
state, one gets that far. Unknown, used, expired, another instance's or another caller's: the answer
is the same, so that nobody learns which.
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from credentials import flows
from credentials.errors import (
    AuthorizationRefused,
    CredentialsBusy,
    CredentialsError,
    InvalidState,
    StoreUnavailable,
    TokenEndpointFailed,
    TokenRequestRefused,
    VersionConflict,
)
from credentials.flows import Flow
from credentials.grants import Grant, from_record, margin_of, renewed, to_record
from credentials.model import AuditEntry, OutboundRequest, Part, RecordKey, Report, Standing
from credentials.oauth.answers import (
    DeviceAnswer,
    TokenAnswer,
    TokenRefusal,
    read_device_answer,
    read_token_answer,
)
from credentials.oauth.authorization import (
    authorization_url,
    check_redirect,
    new_verifier,
    read_callback,
)
from credentials.oauth.profile import OAuthProfile
from credentials.oauth.requests import code_request, device_request, device_token_request
from credentials.introspection import with_end
from credentials.parts import Parts

log = logging.getLogger("integration.credentials.connect")

_TRIES = 10
_PENDING = "authorization_pending"
_SLOW_DOWN = "slow_down"
_SLOWER = 5.0  # seconds, RFC 8628 §3.5


@dataclass(frozen=True, slots=True, repr=False)
class Begun:
    """Where the owner has to go, and the state that comes back. Never printed.

    A device flow has a code for the owner to type in at the address; it completes by itself.
    """

    authorization_url: str
    state: str
    expires_at: datetime
    user_code: str = ""
    verification_url: str = ""

    def __repr__(self) -> str:
        return "Begun(***)"


class Connecting:
    """Starts and completes authorizations; raises what the store and the connections raise."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._running: set[asyncio.Task[Any]] = set()

    async def start(self, tenant: str, instance_id: str, redirect_uri: str, actor: str) -> Begun:
        """Begin an authorization; an empty `redirect_uri` means the instance's own.

        Raises `OAuthMisconfigured` when the instance cannot be authorized this way.
        """
        profile = await self._parts.profiles.of(tenant, instance_id)
        await self._before("authorization.started", tenant, instance_id, actor)
        key = RecordKey(tenant, instance_id, Part.FLOWS)
        if profile.grant == "device_code":
            return await self._start_device(key, profile, actor)
        redirect = check_redirect(profile, redirect_uri)
        ends = self._parts.now() + flows.LIFETIME
        state, flow = flows.new_state(), Flow(actor, redirect, new_verifier(), ends)
        url = authorization_url(profile, redirect, state, flow.verifier)
        await self._remember(key, state, flow)
        return Begun(url, state, datetime.fromtimestamp(ends, UTC))

    async def complete(
        self, tenant: str, instance_id: str, actor: str, parameters: Mapping[str, str]
    ) -> None:
        """Exchange what came back for tokens; `parameters` are those of the callback.

        Raises `InvalidState`, `AuthorizationRefused`, `TokenRequestRefused`, `TokenEndpointFailed`.
        Once the state is taken, the caller's leaving stops nothing.
        """
        profile = await self._parts.profiles.of(tenant, instance_id)
        await self._before("authorization.completed", tenant, instance_id, actor)
        key = RecordKey(tenant, instance_id, Part.FLOWS)
        state = parameters.get("state", "")
        flow = await self._known(key, state, actor)
        if flow.device_code:
            await self._poll_once(key, profile, state, flow)
            return
        flow = await self._taken(key, state, actor)
        await self._to_its_end(self._exchange(key, profile, flow, parameters))

    async def close(self) -> None:
        """Let exchanges end, and stop asking for devices."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _exchange(
        self, key: RecordKey, profile: OAuthProfile, flow: Flow, parameters: Mapping[str, str]
    ) -> None:
        try:
            callback = read_callback(profile, parameters)
        except AuthorizationRefused as error:
            await self._refused(key, error)
            raise
        now = self._parts.clock()
        request = code_request(profile, callback.code, flow.redirect_uri, flow.verifier, now)
        answer = await self._asked(profile, request)
        if isinstance(answer, TokenRefusal):
            self._note(key, "authorization.completed", answer.error or "refused")
            raise _not_exchanged(answer)
        await self._connected(key, profile, answer, callback.captured)

    async def _connected(
        self,
        key: RecordKey,
        profile: OAuthProfile,
        answer: TokenAnswer,
        captured: Mapping[str, str],
    ) -> None:
        grant = await self._stored(key._replace(part=Part.GRANT), profile, answer)
        self._note(key, "authorization.completed", "ok", generation=grant.generation)
        report = Report(Standing.CONNECTED, captured={**captured, **answer.captured})
        await self._told(key, report)

    async def _stored(self, key: RecordKey, profile: OAuthProfile, answer: TokenAnswer) -> Grant:
        """Put a first or newer grant in its place; whoever refreshes the older one has lost."""
        self._parts.known(answer.access_token, answer.refresh_token or "")
        received_at, attempt = self._parts.now(), uuid4().hex
        for tries in range(_TRIES):
            try:
                found = await self._parts.store.get(key)
                before = Grant() if found is None else from_record(found.record)
                fresh = Grant(generation=before.generation)  # no old refresh token lives on
                grant = renewed(fresh, answer, received_at, attempt, margin_of(profile))
                if before.attempt == attempt:  # a write that seemed to fail has landed
                    return before
                version = 0 if found is None else found.version
                await self._parts.store.put(key, to_record(grant), version)
            except VersionConflict:
                continue
            except StoreUnavailable:
                if tries == _TRIES - 1:
                    raise
                await asyncio.sleep(self._parts.timing.store_pause(tries))
            else:
                return grant
        raise CredentialsBusy(
            f"The credentials of {key.instance_id} change too often; start again",
            instanceId=key.instance_id,
            tries=_TRIES,
        )

    async def _told(self, key: RecordKey, report: Report) -> None:
        """Report until it is heard: a connected instance that is not shown as one cannot be used."""
        for tries in range(_TRIES):
            try:
                await self._parts.connections.report(key.tenant, key.instance_id, report)
            except CredentialsError:
                raise
            except Exception:
                if tries == _TRIES - 1:
                    raise
                await asyncio.sleep(self._parts.timing.store_pause(tries))
            else:
                return

    async def _refused(self, key: RecordKey, error: AuthorizationRefused) -> None:
        self._note(key, "authorization.completed", "refused")
        report = Report(Standing.AUTH_ERROR, "AUTHENTICATION_ERROR", error.message)
        await self._told(key, report)

    async def _asked(
        self, profile: OAuthProfile, request: OutboundRequest
    ) -> TokenAnswer | TokenRefusal:
        self._parts.known(*profile.secrets)
        answer = await self._parts.outbound.send(request, self._parts.timing.request)
        read = read_token_answer(profile, answer.status, answer.headers, answer.body)
        return (
            read if isinstance(read, TokenRefusal) else await with_end(self._parts, profile, read)
        )

    async def _remember(self, key: RecordKey, state: str, flow: Flow) -> None:
        for _ in range(_TRIES):
            found = await self._parts.store.get(key)
            record = None if found is None else found.record
            with suppress(VersionConflict):
                await self._parts.store.put(
                    key,
                    flows.begun(record, state, flow, self._parts.now()),
                    0 if found is None else found.version,
                )
                return
        raise CredentialsBusy(
            f"Too many authorizations of {key.instance_id} start at once; try again",
            instanceId=key.instance_id,
            tries=_TRIES,
        )

    async def _known(self, key: RecordKey, state: str, actor: str) -> Flow:
        found = await self._parts.store.get(key)
        flow = flows.find(None if found is None else found.record, state, self._parts.now())
        if flow is None or flow.actor != actor:
            self._note(key, "authorization.completed", "INVALID_STATE")
            raise _invalid_state()
        return flow

    async def _taken(self, key: RecordKey, state: str, actor: str) -> Flow:
        """Take a flow out of its record, which only one of any number of callers can."""
        while True:
            flow = await self._known(key, state, actor)
            found = await self._parts.store.get(key)
            if found is None or flows.find(found.record, state, self._parts.now()) is None:
                continue
            with suppress(VersionConflict):
                await self._parts.store.put(key, flows.without(found.record, state), found.version)
                return flow

    async def _start_device(self, key: RecordKey, profile: OAuthProfile, actor: str) -> Begun:
        request = device_request(profile, self._parts.clock())
        answer = await self._parts.outbound.send(request, self._parts.timing.request)
        device = read_device_answer(profile, answer.status, answer.headers, answer.body)
        if not isinstance(device, DeviceAnswer):
            raise _not_exchanged(device)
        ends = self._parts.now() + device.expires_in
        state = flows.new_state()
        flow = Flow(actor, "", "", ends, device.device_code, device.interval)
        await self._remember(key, state, flow)
        _ = self._spawn(self._poll(key, profile, state, flow))
        return Begun(
            device.verification_uri_complete or device.verification_uri,
            state,
            datetime.fromtimestamp(ends, UTC),
            device.user_code,
            device.verification_uri,
        )

    async def _poll(self, key: RecordKey, profile: OAuthProfile, state: str, flow: Flow) -> None:
        interval = flow.interval
        while self._parts.now() < flow.expires_at:
            await asyncio.sleep(interval)
            try:
                await self._poll_once(key, profile, state, flow)
            except TokenEndpointFailed as error:
                interval += _SLOWER if error.details.get("error") == _SLOW_DOWN else 0.0
            except CredentialsError as error:
                log.warning("the device flow of %s has ended: %s", key.instance_id, error)
                return
            else:
                return

    async def _poll_once(
        self, key: RecordKey, profile: OAuthProfile, state: str, flow: Flow
    ) -> None:
        """Ask whether the owner has consented on the device.

        Raises `TokenEndpointFailed` when not yet, `AuthorizationRefused` when no more.
        """
        request = device_token_request(profile, flow.device_code, self._parts.clock())
        answer = await self._asked(profile, request)
        if isinstance(answer, TokenAnswer):
            await self._taken(key, state, flow.actor)
            await self._to_its_end(self._connected(key, profile, answer, {}))
            return
        if answer.error in {_PENDING, _SLOW_DOWN} or not (answer.permanent or answer.client_fault):
            raise TokenEndpointFailed(
                "The owner has not consented on the device yet; ask again later",
                retry_after_ms=round(flow.interval * 1000),
                error=answer.error,
            )
        await self._taken(key, state, flow.actor)
        refusal = _not_exchanged(answer)
        if isinstance(refusal, AuthorizationRefused):
            await self._refused(key, refusal)
        raise refusal

    async def _to_its_end(self, work: Coroutine[Any, Any, None]) -> None:
        await asyncio.shield(self._spawn(work))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # looked at: perhaps the caller has gone

    async def _before(self, action: str, tenant: str, instance_id: str, actor: str) -> None:
        await self._parts.audit.before(AuditEntry(action, tenant, instance_id, actor, "begins"))

    def _note(self, key: RecordKey, action: str, outcome: str, **details: object) -> None:
        self._parts.audit.note(
            AuditEntry(action, key.tenant, key.instance_id, self._parts.owner, outcome, details)
        )


def _invalid_state() -> InvalidState:
    return InvalidState(
        "The state is unknown, used, expired or not yours; start the authorization again"
    )


def _not_exchanged(refusal: TokenRefusal) -> CredentialsError:
    details: dict[str, Any] = {"error": refusal.error, "description": refusal.description}
    if refusal.client_fault:
        return TokenRequestRefused(
            f"The authorization server refuses the client or its request ({refusal.error}); check "
            "clientId, clientSecret, redirectUri and oauth2Config",
            **details,
        )
    if refusal.permanent:
        return AuthorizationRefused(
            f"The authorization server refuses the authorization ({refusal.error}); start again",
            **details,
        )
    return TokenEndpointFailed(
        "The authorization server cannot answer now; start the authorization again", **details
    )
