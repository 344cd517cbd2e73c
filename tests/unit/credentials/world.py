"""A credential component in memory, with an authorization server that rotates strictly."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from credentials.connecting import Connecting
from credentials.ending import Ending
from credentials.errors import EndpointSilent, EndpointUnreachable
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
FIELDS: Mapping[str, Any] = {
    "clientId": "client-1",
    "clientSecret": "client-secret-1",
    "redirectUri": REDIRECT,
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
        return self.moment

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.moment += timedelta(seconds=seconds)


@dataclass
class RotatingServer:
    """An authorization server in memory: every refresh token is good once, or, within its grace,
    answers again what it has answered before.

    `faults` are taken first, one per request: an exception, an answer, or `lost`, which does the
    work and loses the answer.
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

    async def send(self, request: OutboundRequest, timeout: float) -> OutboundAnswer:
        """Answer a request."""
        self.requests.append(request)
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, EndpointUnreachable):
            raise fault
        if isinstance(fault, OutboundAnswer):
            return fault
        await asyncio.sleep(self.delay)
        answer = self._answer(
            {k: v[0] for k, v in parse_qs(request.body.decode()).items()}, request
        )
        if fault == "lost":
            raise EndpointSilent("no answer", host="auth.example.com")
        return answer

    def _answer(self, form: Mapping[str, str], request: OutboundRequest) -> OutboundAnswer:
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

    async def connection(self, tenant: str, instance_id: str) -> Connection:
        """Answer the one instance there is."""
        return Connection(
            self.scheme, self.oauth2, self.config, self.version, self.standing, self.verification
        )

    async def configure(self, tenant: str, instance_id: str, fields: Mapping[str, Any]) -> None:
        """Remember the fields."""
        self.configured.append(fields)

    async def report(self, tenant: str, instance_id: str, report: Report) -> None:
        """Remember the report."""
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
        clock: FakeClock,
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
        self.refresher = Refresher(self.parts, self.settler)
        self.ending = Ending(self.parts, self.settler)
        tokens = Tokens(self.refresher, self.ending, self.audit, clock, name)
        self.manager = CredentialManager(cached, tokens)
        self.connecting = Connecting(self.parts)
        self.upkeep = Upkeep(self.parts, self.refresher, self.ending, self.manager.authorize)

    async def close(self) -> None:
        """Let go in the order in which a real process does."""
        await self.connecting.close()
        await self.ending.close()
        await self.refresher.close()


class World:
    """An OAuth 2 instance, its server, and any number of processes."""

    def __init__(self, type_: str = "oauth2", oauth2: Mapping[str, Any] = OAUTH2) -> None:
        self.clock = FakeClock()
        self.inner = MemorySecretStore()
        self.server = RotatingServer()
        self.connections = FakeConnections(type_, oauth2)
        self.spool = MemorySpool()
        self.processes: list[Process] = []

    def process(self, name: str = "one", store: SecretStore | None = None, **more: Any) -> Process:
        """Start a process."""
        options = {"clock": self.clock, "spool": self.spool, "name": name, **more}
        made = Process(store or self.inner, self.connections, self.server, **options)
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
