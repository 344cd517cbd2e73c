"""Getting an owner's consent: start, and complete with what the authorization server says.

A state is taken out of its record before its code is exchanged: of any number of callbacks with one
state, one gets that far. Unknown, used, expired, another instance's or another caller's, or with
the marks of another server: the answer is the same, so that nobody learns which.
"""

from datetime import UTC, datetime

from credentials import flows
from credentials.devices import Devices
from credentials.errors import AuthorizationRefused, InvalidState
from credentials.flow_records import FlowRecords, invalid_state
from credentials.flows import Begun, Flow
from credentials.landing import Landing, not_exchanged
from credentials.model import AuditEntry, Part, RecordKey
from credentials.oauth.answers import TokenRefusal
from credentials.oauth.authorization import (
    Parameters,
    authorization_url,
    check_redirect,
    new_verifier,
    read_callback,
)
from credentials.oauth.profile import OAuthProfile
from credentials.oauth.requests import code_request
from credentials.parts import Parts
from credentials.running import Running

__all__ = ["Begun", "Connecting"]

_FORGED = frozenset({"invalid_issuer", "duplicate_parameter"})  # not what the server has sent


class Connecting:
    """Starts and completes authorizations; raises what the store and the connections raise."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._running = Running(parts.timing.request)
        self._records = FlowRecords(parts)
        self._landing = Landing(parts)
        self._devices = Devices(parts, self._records, self._landing, self._running)

    async def start(self, tenant: str, instance_id: str, redirect_uri: str, actor: str) -> Begun:
        """Begin an authorization; an empty `redirect_uri` means the instance's own.

        Raises `OAuthMisconfigured` when the instance cannot be authorized this way.
        """
        profile = await self._parts.profiles.of(tenant, instance_id)
        await self._before("authorization.started", tenant, instance_id, actor)
        key = RecordKey(tenant, instance_id, Part.FLOWS)
        if profile.grant == "device_code":
            return await self._devices.start(key, profile, actor)
        redirect = check_redirect(profile, redirect_uri)
        ends = self._parts.now() + flows.LIFETIME
        state = flows.new_state()
        flow = Flow(actor, redirect, new_verifier(), ends, token_url=profile.token_url)
        url = authorization_url(profile, redirect, state, flow.verifier)
        await self._records.remember(key, state, flow)
        return Begun(url, state, datetime.fromtimestamp(ends, UTC))

    async def complete(
        self, tenant: str, instance_id: str, actor: str, parameters: Parameters
    ) -> None:
        """Exchange what came back for tokens; `parameters` are those of the callback.

        Raises `InvalidState`, `AuthorizationRefused`, `TokenRequestRefused`, `TokenEndpointFailed`.
        Once the state is taken, the caller's leaving stops nothing.
        """
        profile = await self._parts.profiles.of(tenant, instance_id)
        await self._before("authorization.completed", tenant, instance_id, actor)
        key = RecordKey(tenant, instance_id, Part.FLOWS)
        given = parameters.get("state", "")
        state = given if isinstance(given, str) else ""  # it stood twice, or not at all
        try:
            flow = await self._records.known(key, state, actor)
            if not flow.device_code:
                flow = await self._records.take(key, state, actor)
            if flow.token_url != profile.token_url:
                raise invalid_state()
        except InvalidState:
            self._landing.note(key, "INVALID_STATE")
            raise
        if flow.device_code:
            await self._devices.poll(key, profile, state, flow)
        else:
            await self._running.to_its_end(self._exchange(key, profile, flow, parameters))

    async def close(self) -> None:
        """Stop exchanges, and stop asking for devices."""
        await self._running.close()
        await self._landing.close()

    async def _exchange(
        self, key: RecordKey, profile: OAuthProfile, flow: Flow, parameters: Parameters
    ) -> None:
        try:
            callback = read_callback(profile, parameters)
        except AuthorizationRefused as error:
            if error.details["error"] in _FORGED:
                self._landing.note(key, "INVALID_STATE")
                raise invalid_state() from None
            await self._landing.refused(key, error)
            raise
        now = self._parts.clock()
        request = code_request(profile, callback.code, flow.redirect_uri, flow.verifier, now)
        answer = await self._landing.asked(key, profile, request)
        if isinstance(answer, TokenRefusal):
            self._landing.note(key, answer.error or "refused")
            raise not_exchanged(answer)
        await self._landing.connected(key, profile, answer, callback.captured)

    async def _before(self, action: str, tenant: str, instance_id: str, actor: str) -> None:
        await self._parts.audit.before(AuditEntry(action, tenant, instance_id, actor, "begins"))
