"""OAuth 2 servers to test against: real ones, with handles to watch and to steer them.

`oidc_provider()` is certified and strict: PKCE is required, refresh tokens work once, and one that
comes again ends the whole grant. `oauth_mock()` gives prepared answers, however odd.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.servers.clients import REDIRECT_URI, REFRESH, Client, clients, metadata
from tests.servers.process import control, node_server

POLL_SECONDS = 0.01
REPLAYED = "refresh token already used"


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request that reached the token endpoint, and what became of it.

    `redeemed` and `issued` name refresh tokens (see `OidcProvider.name_of`). `detail` is the
    server's own reason for a refusal. `delivered` tells whether the answer left the server whole;
    it is None while the request is being answered.
    """

    number: int
    received_at: float  # seconds since the epoch
    grant_type: str | None
    authorization: str | None
    form: Mapping[str, Any]
    redeemed: str | None
    issued: str | None
    status: int | None
    error: str | None
    detail: str | None
    delivered: bool | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many requests came by grant type, how many succeeded, and what was used twice."""

    requests: Mapping[str, int]
    succeeded: Mapping[str, int]
    redemptions: Mapping[str, int]  # presentations of each refresh token, by its name
    replays: int  # refusals because a refresh token came again

    @property
    def refreshes(self) -> int:
        """Answer how many refreshes were asked for."""
        return self.requests.get(REFRESH, 0)


@dataclass(frozen=True, slots=True)
class Minted:
    """Tokens of a grant as if its user had consented."""

    access_token: str
    refresh_token: str
    expires_in: int


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request to the token endpoint.

    In this order: it waits `stall_ms`; it hangs up (`hang_up="before"`), or answers `status`
    without looking at the request, or processes it; it holds the answer for `stall_after_ms`; it
    hangs up instead of answering (`hang_up="after"`: a rotation is done and nobody hears of it).
    """

    grant_type: str | None = None  # any
    stall_ms: int = 0
    status: int | None = None
    error: str | None = None  # with status: the OAuth error, such as slow_down
    retry_after: int | None = None  # with status: the header, in seconds
    stall_after_ms: int = 0
    hang_up: str | None = None  # "before" or "after"

    def wire(self) -> dict[str, Any]:
        """Answer it as the server reads it."""
        named = {
            "grantType": self.grant_type,
            "stallMs": self.stall_ms,
            "status": self.status,
            "error": self.error,
            "retryAfter": self.retry_after,
            "stallAfterMs": self.stall_after_ms,
            "hangUp": self.hang_up,
        }
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class OidcProvider:
    """A running oidc-provider. Its methods may be called from any event loop."""

    issuer: str
    clients: Mapping[str, Client]
    redirect_uris: Sequence[str]

    authorization_url: str = field(init=False)
    token_url: str = field(init=False)
    device_authorization_url: str = field(init=False)
    revocation_url: str = field(init=False)
    introspection_url: str = field(init=False)
    userinfo_url: str = field(init=False)  # answers 401 for access tokens that are no more

    def __post_init__(self) -> None:
        for name, path in {
            "authorization_url": "/auth",
            "token_url": "/token",
            "device_authorization_url": "/device/auth",
            "revocation_url": "/token/revocation",
            "introspection_url": "/token/introspection",
            "userinfo_url": "/me",
        }.items():
            object.__setattr__(self, name, f"{self.issuer}{path}")

    @property
    def redirect_uri(self) -> str:
        """Answer the first of the registered redirect URIs."""
        return self.redirect_uris[0]

    async def behave(
        self,
        *,
        delay_before_ms: int | None = None,
        delay_after_ms: int | None = None,
        grace_seconds: float | None = None,
        rotate: bool | None = None,
        access_token_ttl: int | None = None,
        refresh_token_ttl: int | None = None,
        device_interval: int | None = None,
    ) -> None:
        """Change how it behaves from now on; what is not named stays.

        Delays are those of the token endpoint, before a request is processed and before its answer
        is sent. In the grace after its first use a refresh token is answered again. Times to live
        are whole seconds and hold for tokens issued later. `device_interval` is in seconds.
        """
        named = {
            "delayBeforeMs": delay_before_ms,
            "delayAfterMs": delay_after_ms,
            "graceSeconds": grace_seconds,
            "rotate": rotate,
            "accessTokenTtl": access_token_ttl,
            "refreshTokenTtl": refresh_token_ttl,
            "deviceInterval": device_interval,
        }
        changes = {name: value for name, value in named.items() if value is not None}
        await control(self.issuer, "behave", **changes)

    async def fail(self, *faults: Fault) -> None:
        """Let the next requests go wrong, one by one; replaces what was left of earlier ones."""
        await control(self.issuer, "behave", once=[fault.wire() for fault in faults])

    async def fail_every(self, faults: Mapping[Fault, tuple[int, int]]) -> None:
        """Let each fault happen to the requests whose number is `offset` modulo `every`.

        The pairs are `(every, offset)`: `{Fault(status=503): (20, 3)}` is 5 % of the requests.
        """
        every = [
            {**fault.wire(), "every": every, "offset": offset}
            for fault, (every, offset) in faults.items()
        ]
        await control(self.issuer, "behave", every=every)

    async def token_requests(self) -> list[TokenRequest]:
        """Answer the requests to the token endpoint since the start or `reset`, in order."""
        return [
            TokenRequest(
                number=entry["number"],
                received_at=entry["receivedAt"],
                grant_type=entry.get("grantType"),
                authorization=entry["authorization"],
                form=entry["form"],
                redeemed=entry["redeemed"],
                issued=entry["issued"],
                status=entry["status"],
                error=entry["error"],
                detail=entry["detail"],
                delivered=entry["delivered"],
            )
            for entry in await control(self.issuer, "log")
        ]

    async def arrived(self, number: int = 1, *, timeout: float = 10) -> list[TokenRequest]:
        """Wait until so many requests have come, answered or not. Raises `TimeoutError`."""
        async with asyncio.timeout(timeout):
            while len(requests := await self.token_requests()) < number:  # noqa: ASYNC110 - over there
                await asyncio.sleep(POLL_SECONDS)
        return requests

    async def counts(self) -> Counts:
        """Answer the same in numbers."""
        requests = await self.token_requests()
        return Counts(
            requests=Counter(str(request.grant_type) for request in requests),
            succeeded=Counter(str(one.grant_type) for one in requests if one.status == 200),
            redemptions=Counter(one.redeemed for one in requests if one.redeemed),
            replays=sum(request.detail == REPLAYED for request in requests),
        )

    async def reset(self) -> None:
        """Forget the log, and behave as at the start. Grants and tokens stay."""
        await control(self.issuer, "reset")

    async def mint(
        self, client: str = "basic", *, count: int = 1, scope: str = "openid read"
    ) -> list[Minted]:
        """Answer tokens of new grants, without pages: for tests that need hundreds."""
        made = await control(self.issuer, "mint", clientId=client, count=count, scope=scope)
        return [Minted(one["accessToken"], one["refreshToken"], one["expiresIn"]) for one in made]

    async def alive(self, token: str) -> bool:
        """Tell whether an access or refresh token would be accepted now."""
        return bool(await control(self.issuer, "alive", token=token))

    async def withdraw(self, token: str) -> None:
        """Take back the consent that an access or refresh token came from, as its user can."""
        await control(self.issuer, "withdraw", token=token)

    async def name_of(self, token: str) -> str:
        """Answer the name that a refresh token has in the log."""
        return str(await control(self.issuer, "name", token=token))


@asynccontextmanager
async def oidc_provider(
    *, redirect_uris: Sequence[str] = (REDIRECT_URI,), port: int = 0, **behaviour: Any
) -> AsyncIterator[OidcProvider]:
    """Run oidc-provider on loopback. Raises `InstallFailed`, `ServerFailed`."""
    registered = clients()
    options = {
        "port": port,
        "clients": [metadata(client, redirect_uris) for client in registered.values()],
    }
    async with node_server("oidc_provider.mjs", options) as issuer:
        provider = OidcProvider(issuer, registered, redirect_uris)
        await provider.behave(**behaviour)
        yield provider
