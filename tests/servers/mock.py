"""An OAuth 2 server that gives prepared answers, however odd: oauth2-mock-server and its hooks."""

import asyncio
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.servers.process import control, node_server

POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Answer:
    """A prepared answer, for one request.

    It waits `delay_ms`. Then `hang_up` ends the connection. `text` is sent as it is, under
    `content_type`, and the server never sees the request. Else the server processes the request,
    and its answer is changed: `status` and `body` replace, `set` and `drop` edit the JSON.
    """

    status: int | None = None
    body: Mapping[str, Any] | None = None
    set: Mapping[str, Any] = field(default_factory=dict)
    drop: Sequence[str] = ()
    text: str | bytes | None = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)  # with text
    delay_ms: int = 0
    hang_up: bool = False

    def wire(self) -> dict[str, Any]:
        """Answer it as the server reads it."""
        wire: dict[str, Any] = {
            "set": dict(self.set),
            "drop": list(self.drop),
            "delayMs": self.delay_ms,
            "hangUp": self.hang_up,
        }
        if self.status is not None:
            wire["status"] = self.status
        if self.body is not None:
            wire["body"] = dict(self.body)
        if self.text is not None:
            raw = self.text if isinstance(self.text, bytes) else self.text.encode()
            wire |= {"base64": b64encode(raw).decode(), "contentType": self.content_type}
            wire["headers"] = dict(self.headers)
        return wire


@dataclass(frozen=True, slots=True)
class MockRequest:
    """A request that the mock received; `form` is its body, decoded. `status` None: no answer."""

    number: int
    received_at: float  # seconds since the epoch
    endpoint: str  # token, authorize, revoke, introspect, userinfo, …
    method: str
    authorization: str | None
    headers: Mapping[str, str]
    body: str
    form: Mapping[str, Any]
    status: int | None
    delivered: bool | None


@dataclass(frozen=True, slots=True)
class OauthMock:
    """A running oauth2-mock-server. Its methods may be called from any event loop.

    Left alone it accepts any client, code and refresh token; it checks PKCE verifiers. There is no
    login: authorization redirects at once. Access tokens live for an hour.
    """

    issuer: str

    authorization_url: str = field(init=False)
    token_url: str = field(init=False)
    revocation_url: str = field(init=False)
    introspection_url: str = field(init=False)
    userinfo_url: str = field(init=False)

    def __post_init__(self) -> None:
        for name, path in {
            "authorization_url": "/authorize",
            "token_url": "/token",
            "revocation_url": "/revoke",
            "introspection_url": "/introspect",
            "userinfo_url": "/userinfo",
        }.items():
            object.__setattr__(self, name, f"{self.issuer}{path}")

    async def prepare(self, *answers: Answer, endpoint: str = "token") -> None:
        """Queue answers for the next requests to an endpoint; then it behaves again."""
        await control(self.issuer, "prepare", **{endpoint: [answer.wire() for answer in answers]})

    async def requests(self, endpoint: str | None = None) -> list[MockRequest]:
        """Answer what was received since the start or `reset`, in order."""
        return [
            MockRequest(
                number=entry["number"],
                received_at=entry["receivedAt"],
                endpoint=entry["endpoint"],
                method=entry["method"],
                authorization=entry["authorization"],
                headers=entry["headers"],
                body=entry["body"],
                form=entry["form"],
                status=entry["status"],
                delivered=entry["delivered"],
            )
            for entry in await control(self.issuer, "log")
            if endpoint in {None, entry["endpoint"]}
        ]

    async def arrived(self, number: int = 1, *, timeout: float = 10) -> list[MockRequest]:
        """Wait until so many requests have come, answered or not. Raises `TimeoutError`."""
        async with asyncio.timeout(timeout):
            while len(requests := await self.requests()) < number:  # noqa: ASYNC110 - over there
                await asyncio.sleep(POLL_SECONDS)
        return requests

    async def counts(self) -> Mapping[str, int]:
        """Answer how many requests came to each endpoint."""
        return Counter(request.endpoint for request in await self.requests())

    async def waiting(self, endpoint: str = "token") -> int:
        """Answer how many prepared answers nobody has asked for yet."""
        return int((await control(self.issuer, "waiting")).get(endpoint, 0))

    async def reset(self) -> None:
        """Forget the log and the prepared answers."""
        await control(self.issuer, "reset")


@asynccontextmanager
async def oauth_mock(*, port: int = 0) -> AsyncIterator[OauthMock]:
    """Run oauth2-mock-server on loopback. Raises `InstallFailed`, `ServerFailed`."""
    async with node_server("mock_server.mjs", {"port": port}) as issuer:
        yield OauthMock(issuer)
