"""Asking an API whether it accepts the credentials of an instance."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import msgspec

from credentials.errors import OAuthMisconfigured, VersionConflict
from credentials.model import (
    Authorization,
    AuthScheme,
    Connection,
    OutboundRequest,
    OutgoingRequest,
    Report,
    Standing,
)
from credentials.parts import Parts

_REFUSALS = frozenset({401, 403})
_ACCEPTED = range(200, 300)  # a redirect leads to a page for logging in, mostly
_REFUSED_TOKEN = 401  # which the next one may cure
_PROBE_SECONDS = 15.0
_NO_PROBE = "The definition has no verification request; add verification: {method, path}"

Authorize = Callable[[str, str, AuthScheme, OutgoingRequest, int], Awaitable[Authorization | None]]


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether the API accepts the credentials: what it answered to the definition's probe."""

    accepted: bool
    status_code: int


class Prober:
    """Sends the definition's `verification` request; raises what `authorize` raises."""

    def __init__(self, parts: Parts, authorize: Authorize) -> None:
        self._parts = parts
        self._authorize = authorize

    async def verify(self, tenant: str, instance_id: str) -> Proof:
        """Ask the API, by the definition's `verification` request, whether it lets us in.

        A token that is refused is renewed once, as in a call. A refusal makes the instance
        AUTH_ERROR, an acceptance CONNECTED. Raises `OAuthMisconfigured` where the definition names
        no such request, or the config cannot make it.
        """
        connection = await self._parts.connections.connection(tenant, instance_id)
        probe = connection.verification
        if probe is None:
            raise OAuthMisconfigured(connection.unverifiable or _NO_PROBE, field="verification")
        first = await self._authorized(tenant, instance_id, connection, probe)
        answer = await self._parts.outbound.send(_probe(probe, first), _PROBE_SECONDS)
        if first.generation and answer.status == _REFUSED_TOKEN:
            again = msgspec.structs.replace(probe, refused=first.generation)
            second = await self._authorized(tenant, instance_id, connection, again)
            if second.generation != first.generation:
                answer = await self._parts.outbound.send(_probe(probe, second), _PROBE_SECONDS)
        proof = Proof(answer.status in _ACCEPTED, answer.status)
        if proof.accepted:
            report = Report(Standing.CONNECTED)
        elif answer.status in _REFUSALS:
            text = f"The API refuses the credentials with status {answer.status}"
            report = Report(Standing.AUTH_ERROR, "AUTHENTICATION_ERROR", text)
        else:
            return proof
        await self._parts.connections.report(tenant, instance_id, report)
        return proof

    async def _authorized(
        self, tenant: str, instance_id: str, connection: Connection, probe: OutgoingRequest
    ) -> Authorization:
        authorization = await self._authorize(
            tenant, instance_id, connection.scheme, probe, connection.version
        )
        if authorization is None:
            raise VersionConflict(
                f"Instance {instance_id} is being changed right now; try again",
                instanceId=instance_id,
                expectedVersion=connection.version,
            )
        return authorization


def _probe(probe: OutgoingRequest, authorization: Authorization) -> OutboundRequest:
    headers = (*probe.headers, *authorization.headers)
    url = probe.url
    if authorization.query:
        url += ("&" if "?" in url else "?") + urlencode(authorization.query, quote_via=quote)
    return OutboundRequest(probe.method, url, headers, probe.body, authorization.certificate)
