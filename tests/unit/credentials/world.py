"""A credential component in memory, with an authorization server that rotates strictly."""

import asyncio
import json
import selectors
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from credentials.connecting import Connecting
from credentials.ending import Ending
from credentials.errors import EndpointSilent
from credentials.grants import Grant, from_record, to_record
from credentials.manager import CredentialManager, Tokens
from credentials.model import (
    AuthScheme,
    Connection,
    OutboundAnswer,
    OutboundRequest,
    OutgoingRequest,
    Part,
    RecordKey,
    Report,
    SecretRecord,
)
from credentials.parts import Parts
from credentials.ports import Connections, SecretStore, Spool
from credentials.proactive import Proactive
from credentials.profiles import Profiles
from credentials.refresher import Refresher
from credentials.settling import Settler
from credentials.stores.audit_log import MemoryAudit
from credentials.stores.cached import CachedSecretStore
from credentials.stores.memory import MemorySecretStore, MemorySpool
from credentials.upkeep import Upkeep
from credentials.waiting import Timing

TENANT, INSTANCE = "acme", "int_inst_1"
CONFIG = RecordKey(TENANT, INSTANCE)
GRANT = RecordKey(TENANT, INSTANCE, Part.GRANT)
FLOWS = RecordKey(TENANT, INSTANCE, Part.FLOWS)
START = datetime(2026, 1, 1, tzinfo=UTC)
REQUEST = OutgoingRequest("GET", "https://api.example.com/me")
REDIRECT = "https://app.example.com/callback"

OAUTH2: Mapping[str, Any] = {
    "authorizationUrl": "https://auth.example.com/authorize",
    "tokenUrl": "https://auth.example.com/token",
    "revocationUrl": "https://auth.example.com/revoke",
}
DEVICE: Mapping[str, Any] = {
    **OAUTH2,
    "grant": "device_code",
    "deviceAuthorizationUrl": "https://auth.example.com/device",
}
FIELDS: Mapping[str, Any] = {
    "clientId": "client-1",
    "clientSecret": "client-secret-1",
    "redirectUri": REDIRECT,
}
DEVICE_CODES: Mapping[str, Any] = {
    "device_code": "device-code-0001",
    "user_code": "WXYZ-1234",
    "verification_uri": "https://auth.example.com/activate",
    "expires_in": 600,
    "interval": 5,
}
# Quick enough for tests, in the same order as the real ones.
TIMING = Timing(
    request=1.0,
    claim=0.3,
    forced=30.0,
    whole=5.0,
    poll_least=0.005,
    poll_most=0.01,
    cooldown_first=0.05,
    cooldown_most=0.2,
    store_first=0.005,
    store_most=0.02,
)


class FakeClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime:
        """Answer the moment."""
        return self.moment

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.moment += timedelta(seconds=seconds)


class LoopClock:
    """A clock that goes with the running loop."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.ahead = ahead
        self.began = asyncio.get_running_loop().time()

    def __call__(self) -> datetime:
        """Answer the present, by the seconds of the loop."""
        passed = asyncio.get_running_loop().time() - self.began
        return START + timedelta(seconds=passed + self.ahead)


class _HurriedSelector(selectors.DefaultSelector):
    """Does not wait for time to pass: it counts it as passed."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Answer what is ready now."""
        if timeout is None:
            return super().select(None)
        self.skipped += max(timeout, 0.0)
        return super().select(0)


class HurriedLoop(asyncio.SelectorEventLoop):
    """A loop in which nobody sleeps: when all wait, it is later at once."""

    def __init__(self) -> None:
        self.hurried = _HurriedSelector()
        super().__init__(self.hurried)

    def time(self) -> float:
        """Answer the seconds of this loop."""
        return super().time() + self.hurried.skipped


def hurried(work: Coroutine[Any, Any, None]) -> None:
    """Run a test whose hours take no time."""
    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        runner.run(work)


@dataclass
class RotatingServer:
    """An authorization server in memory, every refresh token of which is good once.

    Or, within its grace, it answers again what it has answered before. `faults` are taken first,
    one per request: an exception, an answer, or `lost`, which does the work and loses the answer.
    """

    delay: float = 0.0
    lifetime: int = 3600
    grace: bool = False
    faults: list[Any] = field(default_factory=list)
    live: set[str] = field(default_factory=set)
    given: dict[str, dict[str, Any]] = field(default_factory=dict)
    revoked: list[str] = field(default_factory=list)
    grants: Counter[str] = field(default_factory=Counter)
    replays: int = 0
    serial: int = 0
    requests: list[OutboundRequest] = field(default_factory=list)

    def issue(self) -> dict[str, Any]:
        """Make the next pair of tokens."""
        self.serial += 1
        refresh = f"refresh-token-{self.serial:04}"
        self.live.add(refresh)
        return {
            "access_token": f"access-token-{self.serial:04}",
            "refresh_token": refresh,
            "token_type": "Bearer",
            "expires_in": self.lifetime,
        }

    def forms(self, grant: str = "") -> list[dict[str, str]]:
        """Answer what was posted to the token endpoint, of one grant type or all."""
        posted = [form_of(found) for found in self.requests if found.url.endswith("/token")]
        return [form for form in posted if grant in {"", form["grant_type"]}]

    async def send(self, request: OutboundRequest, timeout: float) -> OutboundAnswer:  # noqa: ARG002
        """Answer a request."""
        self.requests.append(request)
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        await asyncio.sleep(self.delay)
        if isinstance(fault, OutboundAnswer):
            return fault
        answer = self._answer(form_of(request), request)
        if fault == "lost":
            raise EndpointSilent("no answer", host="auth.example.com")
        return answer

    def _answer(self, form: Mapping[str, str], request: OutboundRequest) -> OutboundAnswer:
        if request.url.endswith("/device"):
            return answer(DEVICE_CODES)
        if request.url.endswith("/revoke"):
            self.revoked.append(form["token"])
            self.live.discard(form["token"])
            return answer({})
        grant = form["grant_type"]
        self.grants[grant] += 1
        if grant != "refresh_token":
            return answer(self.issue())
        token = form["refresh_token"]
        if self.grace and token in self.given:
            return answer(self.given[token])
        if token not in self.live:
            self.replays += 1
            self.live.clear()  # reuse kills the whole family
            return answer({"error": "invalid_grant"}, 400)
        self.live.discard(token)
        self.given[token] = self.issue()
        return answer(self.given[token])


def form_of(request: OutboundRequest) -> dict[str, str]:
    """Read the form that a request posts."""
    return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}


def answer(value: Any, status: int = 200) -> OutboundAnswer:
    """Make an answer in JSON."""
    body = json.dumps(value).encode()
    return OutboundAnswer(status, {"content-type": "application/json"}, body)


class FakeConnections:
    """The registry, as far as credentials see it."""

    def __init__(self, type_: str, oauth2: Mapping[str, Any]) -> None:
        self.scheme = AuthScheme(type_)
        self.oauth2 = oauth2
        self.config: dict[str, Any] = {"redirectUri": REDIRECT, "clientId": "client-1"}
        self.version = 1
        self.standing = "PENDING_AUTHENTICATION"
        self.verification: OutgoingRequest | None = None
        self.reports: list[Report] = []
        self.configured: list[Mapping[str, Any]] = []
        self.deaf = 0

    async def connection(self, tenant: str, instance_id: str) -> Connection:  # noqa: ARG002
        """Answer the one instance there is."""
        return Connection(
            self.scheme, self.oauth2, self.config, self.version, self.standing, self.verification
        )

    async def configure(
        self,
        tenant: str,  # noqa: ARG002
        instance_id: str,  # noqa: ARG002
        fields: Mapping[str, Any],
    ) -> None:
        """Remember the fields."""
        self.configured.append(fields)

    async def connected(self, after: tuple[str, str]) -> Sequence[tuple[str, str]]:
        """Answer the one instance there is, once."""
        return [] if after >= (TENANT, INSTANCE) else [(TENANT, INSTANCE)]

    async def report(self, tenant: str, instance_id: str, report: Report) -> None:  # noqa: ARG002
        """Remember the report, unless it is `deaf` for so many more."""
        if self.deaf:
            self.deaf -= 1
            raise ConnectionError("the registry is away")
        self.reports.append(report)
        self.standing = report.standing
        self.config.update(report.captured)


class Process:
    """One credential process over stores that others may share."""

    def __init__(
        self,
        store: SecretStore,
        connections: Connections,
        server: Any,
        *,
        clock: Callable[[], datetime],
        spool: Spool | None = None,
        timing: Timing = TIMING,
        name: str = "one",
    ) -> None:
        cached = CachedSecretStore(store)
        self.audit = MemoryAudit()
        self.store = cached.direct
        self.spool = spool or MemorySpool()
        profiles = Profiles(self.store, connections, server)
        self.parts = Parts(
            self.store, connections, profiles, server, self.spool, self.audit, clock, name, timing
        )
        self.settler = Settler(self.parts)
        self.proactive = Proactive(self._kick, self.parts.now)
        self.refresher = Refresher(self.parts, self.settler, self.proactive.watch)
        self.ending = Ending(self.parts, self.settler)
        tokens = Tokens(self.refresher, self.ending, self.audit, clock, name)
        self.cached = cached
        self.manager = CredentialManager(cached, tokens)
        self.connecting = Connecting(self.parts)
        self.upkeep = Upkeep(self.parts, self.refresher, self.ending, self.manager.authorize)

    async def close(self) -> None:
        """Let go in the order in which a real process does."""
        await self.proactive.close()
        await self.connecting.close()
        await self.ending.close()
        await self.refresher.close()

    def _kick(self, tenant: str, instance_id: str) -> None:
        self.refresher.kick(tenant, instance_id)


class World:
    """An OAuth 2 instance, its server, and any number of processes."""

    def __init__(
        self, type_: str = "oauth2", oauth2: Mapping[str, Any] = OAUTH2, clock: Any = None
    ) -> None:
        self.clock = clock or FakeClock()
        self.inner = MemorySecretStore()
        self.server = RotatingServer()
        self.connections = FakeConnections(type_, oauth2)
        self.spool = MemorySpool()
        self.processes: list[Process] = []

    def process(self, name: str = "one", store: SecretStore | None = None, **more: Any) -> Process:
        """Start a process."""
        options = {"clock": self.clock, "spool": self.spool, "name": name, **more}
        server = options.pop("server", self.server)
        made = Process(store or self.inner, self.connections, server, **options)
        self.processes.append(made)
        return made

    async def configured(self, fields: Mapping[str, Any] = FIELDS) -> None:
        """Give the instance its config."""
        self.connections.version = await self.inner.put(CONFIG, SecretRecord(fields), 0)

    async def granted(self, **changes: Any) -> Grant:
        """Give the instance a grant from the server, an hour old and expired unless changed."""
        tokens = self.server.issue()
        now = self.clock().timestamp()
        grant = Grant(
            generation=1,
            access_token=tokens["access_token"],
            refresh_token=tokens["refresh_token"],
            received_at=now - 3600,
            expires_at=now - 1,
            attempt="first",
        )
        grant = replace(grant, **changes)
        await self.inner.put(GRANT, to_record(grant), 0)
        self.connections.standing = "CONNECTED"
        return grant

    async def stored(self) -> Grant:
        """Answer the grant as it is in the store."""
        found = await self.inner.get(GRANT)
        assert found is not None
        return from_record(found.record)

    async def close(self) -> None:
        """Stop all processes."""
        for process in self.processes:
            await process.close()
