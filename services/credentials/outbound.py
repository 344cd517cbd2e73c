"""The requests of OAuth 2, sent as guarded as those to APIs are."""

import logging
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from credentials.errors import (
    CredentialsError,
    EndpointForbidden,
    EndpointSilent,
    EndpointUnreachable,
    OAuthMisconfigured,
)
from credentials.model import OutboundAnswer, OutboundRequest
from credentials.ports import Clock
from executor.errors import (
    CredentialsRefused,
    DeadlinePassed,
    EgressDenied,
    ExecutorError,
    MethodNotCallable,
    UpstreamUnreachable,
    UpstreamUntrusted,
)
from executor.model import HttpRequest, HttpResponse
from executor.ports import Sender

log = logging.getLogger("integration.credentials.outbound")

CONNECT_SECONDS = 3.0
# A connection that was idle may be closed by the server as we send: nobody could tell whether the
# refresh token in it is spent. These requests are rare enough for a connection each.
_ALONE = ("Connection", "close")
_MOST_DRIFT = 60.0  # seconds


class GuardedOutbound:
    """`credentials.ports.Outbound` over the executor's sender: one egress guard for everything."""

    def __init__(self, sender: Sender, clock: Clock) -> None:
        self._sender = sender
        self._clock = clock

    async def send(self, request: OutboundRequest, timeout: float) -> OutboundAnswer:
        """Send the request once; see `credentials.ports.Outbound`."""
        host = urlsplit(request.url).netloc
        try:
            answer = await self._sender.send(_http(request), timeout)
        except ExecutorError as error:
            raise _translated(error, host) from error
        self._watch_clock(answer, host)
        headers = {name.lower(): value for name, value in answer.headers}
        return OutboundAnswer(answer.status, headers, answer.body)

    def _watch_clock(self, answer: HttpResponse, host: str) -> None:
        """Say so when clocks disagree: signed assertions then fail, and tokens end too early."""
        try:
            drift = parsedate_to_datetime(answer.header("date") or "") - self._clock()
        except (TypeError, ValueError):
            return
        if abs(drift.total_seconds()) > _MOST_DRIFT:
            log.warning("the clock of %s differs by %d s", host, drift.total_seconds())


def _http(request: OutboundRequest) -> HttpRequest:
    return HttpRequest(
        request.method,
        request.url,
        (*request.headers, _ALONE),
        request.body or None,
        certificate=request.certificate,
        connect_timeout=CONNECT_SECONDS,
    )


def _translated(error: ExecutorError, host: str) -> CredentialsError:
    """Say it in the words of credentials: above all, whether anything was sent."""
    match error:
        case EgressDenied():
            return EndpointForbidden(error.message, **error.details)
        case MethodNotCallable():
            return OAuthMisconfigured(error.message, field="oauth2Config")
        case UpstreamUnreachable() | UpstreamUntrusted() | CredentialsRefused():
            # The last one is a refusal of our certificate: TLS came to nothing.
            return EndpointUnreachable(f"{host} cannot be reached", host=host)
        case DeadlinePassed():
            return EndpointSilent(f"{host} did not answer in time", host=host)
        case _:
            return EndpointSilent(f"{host} gave no whole answer: {error.message}", host=host)
