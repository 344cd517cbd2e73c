"""Consent on another device (RFC 8628): a code to type in there, and asking until that is done."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime
from weakref import WeakValueDictionary

from credentials import flows
from credentials.errors import (
    AuthorizationRefused,
    CredentialsError,
    InvalidState,
    StoreUnavailable,
    TokenEndpointFailed,
)
from credentials.flow_records import FlowRecords
from credentials.flows import Begun, Flow
from credentials.landing import Landing, not_exchanged
from credentials.model import RecordKey
from credentials.oauth.answers import DeviceAnswer, TokenAnswer, read_device_answer
from credentials.oauth.profile import OAuthProfile
from credentials.oauth.requests import device_request, device_token_request
from credentials.parts import Parts
from credentials.running import Running

log = logging.getLogger("integration.credentials.connect")

_PENDING = "authorization_pending"
_SLOW_DOWN = "slow_down"
_DENIED = "access_denied"  # by the owner, and for good (RFC 8628 §3.5)
_SLOWER = 5.0  # seconds, RFC 8628 §3.5
_STORE_TRIES = 10


class Devices:
    """Starts device flows and asks for their tokens, by itself and when it is told to."""

    def __init__(
        self, parts: Parts, records: FlowRecords, landing: Landing, running: Running
    ) -> None:
        self._parts = parts
        self._records = records
        self._landing = landing
        self._running = running
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def start(self, key: RecordKey, profile: OAuthProfile, actor: str) -> Begun:
        """Get the codes, and begin to ask whether the owner has typed the one in.

        Raises `TokenRequestRefused`, `TokenEndpointFailed` and `OAuthMisconfigured`.
        """
        request = device_request(profile, self._parts.clock())
        answer = await self._parts.outbound.send(request, self._parts.timing.request)
        device = read_device_answer(profile, answer.status, answer.headers, answer.body)
        if not isinstance(device, DeviceAnswer):
            raise not_exchanged(device)
        self._parts.known(device.device_code)
        ends = self._parts.now() + device.expires_in
        state = flows.new_state()
        flow = Flow(
            actor, "", "", ends, device.device_code, device.interval, token_url=profile.token_url
        )
        await self._records.remember(key, state, flow)
        _ = self._running.start(self._poll(key, profile, state, flow))
        return Begun(
            device.verification_uri_complete or device.verification_uri,
            state,
            datetime.fromtimestamp(ends, UTC),
            device.user_code,
            device.verification_uri,
        )

    async def poll(self, key: RecordKey, profile: OAuthProfile, state: str, flow: Flow) -> None:
        """Ask once whether the owner has consented, and see to the tokens if so.

        Raises `TokenEndpointFailed` when not yet, `AuthorizationRefused` when no more. The caller's
        leaving stops nothing.
        """
        await self._running.to_its_end(self._asked(key, profile, state, flow))

    async def _poll(self, key: RecordKey, profile: OAuthProfile, state: str, flow: Flow) -> None:
        interval = flow.interval
        while self._parts.now() < flow.expires_at:
            await asyncio.sleep(interval)
            try:
                await self._asked(key, profile, state, flow)
            except TokenEndpointFailed as error:
                interval += _SLOWER if error.details.get("error") == _SLOW_DOWN else 0.0
            except StoreUnavailable:
                continue
            except CredentialsError as error:
                log.info("the device flow of %s has ended: %s", key.instance_id, error)
                return
            else:
                return

    async def _asked(self, key: RecordKey, profile: OAuthProfile, state: str, flow: Flow) -> None:
        """Ask, one at a time: of two who ask at once, one gets the tokens and one a refusal."""
        async with self._locks.setdefault(state, asyncio.Lock()):
            await self._records.known(key, state, flow.actor)  # perhaps it is over
            await self._asked_alone(key, profile, state, flow)

    async def _asked_alone(
        self, key: RecordKey, profile: OAuthProfile, state: str, flow: Flow
    ) -> None:
        request = device_token_request(profile, flow.device_code, self._parts.clock())
        answer = await self._landing.asked(key, profile, request)
        if isinstance(answer, TokenAnswer):
            await self._taken(key, state, flow)
            await self._landing.connected(key, profile, answer, {})
            return
        if answer.error == _DENIED:
            answer = replace(answer, permanent=True)
        if answer.error in {_PENDING, _SLOW_DOWN} or not (answer.permanent or answer.client_fault):
            raise TokenEndpointFailed(
                "The owner has not consented on the device yet; ask again later",
                retry_after_ms=round(flow.interval * 1000),
                error=answer.error,
            )
        await self._taken(key, state, flow)
        refusal = not_exchanged(answer)
        if isinstance(refusal, AuthorizationRefused):
            await self._landing.refused(key, refusal)
        raise refusal

    async def _taken(self, key: RecordKey, state: str, flow: Flow) -> None:
        """Use the flow up, as often as that takes: the device code is spent already.

        Raises `InvalidState` when it was deleted, or somebody else has had the answer.
        """
        for tries in range(_STORE_TRIES):
            try:
                await self._records.take(key, state, flow.actor)
            except StoreUnavailable:
                if tries == _STORE_TRIES - 1:
                    raise
                await asyncio.sleep(self._parts.timing.store_pause(tries))
            except InvalidState:
                if self._parts.now() < flow.expires_at:
                    raise
                return  # it has ended while its last answer was on the way
            else:
                return
