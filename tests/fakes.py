"""In-memory adapters of the executor's ports, for tests and for trying things out."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from credentials.model import Authorization, AuthScheme, OutgoingRequest
from executor.model import HttpRequest, HttpResponse
from registry.errors import InstanceNotFound
from registry.model import Target

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)

Script = Callable[[Any, Any], Any]


def fixed_clock() -> datetime:
    """Answer noon, always."""
    return NOON


def json_response(value: Any, status: int = 200, **headers: str) -> HttpResponse:
    """Answer what an upstream would send; header names are given with `_` for `-`."""
    named = tuple((name.replace("_", "-"), text) for name, text in headers.items())
    return HttpResponse(status, (("Content-Type", "application/json"), *named), orjson.dumps(value))


@dataclass(slots=True)
class MemoryDirectory:
    """Knows the targets it was given, and counts how often it was asked."""

    targets: dict[tuple[str, str], Target] = field(default_factory=dict)
    asked: int = 0
    asked_fresh: int = 0
    delay: float = 0.0

    def add(self, target: Target) -> None:
        """Make a target known, in place of an older one of the same instance."""
        self.targets[target.instance.tenant, target.instance.id] = target

    async def resolve(self, tenant: str, instance_id: str, *, fresh: bool = False) -> Target:
        """Answer the target; raises the registry's `InstanceNotFound`."""
        self.asked += 1
        self.asked_fresh += fresh
        await asyncio.sleep(self.delay)
        try:
            return self.targets[tenant, instance_id]
        except KeyError:
            raise InstanceNotFound("no such instance", id=instance_id) from None


@dataclass(slots=True)
class FixedAuthorizer:
    """Answers the same authorization always, or raises `failure`; remembers what it was asked.

    With a `version` it has one for that alone, as the credentials have.
    """

    authorization: Authorization = field(default_factory=Authorization)
    version: int | None = None
    failure: Exception | None = None
    delay: float = 0.0
    asked: list[tuple[str, str, AuthScheme, OutgoingRequest]] = field(default_factory=list)

    async def authorize(
        self,
        tenant: str,
        instance_id: str,
        scheme: AuthScheme,
        request: OutgoingRequest,
        version: int,
    ) -> Authorization | None:
        """Answer the authorization."""
        self.asked.append((tenant, instance_id, scheme, request))
        await asyncio.sleep(self.delay)
        if self.failure is not None:
            raise self.failure
        return self.authorization if self.version in {None, version} else None


@dataclass(slots=True)
class PythonTransforms:
    """Runs a Python function in place of each script; remembers contexts and seeds."""

    scripts: Mapping[str, Script] = field(default_factory=dict)
    failure: Exception | None = None
    delay: float = 0.0
    contexts: list[Any] = field(default_factory=list)
    inputs: list[bytes] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)

    async def transform(self, source: str, input: bytes, context: bytes, seed: int) -> bytes:  # noqa: A002 - the port's name
        """Answer the JSON text of the function's result; one that answers bytes wrote it itself."""
        self.inputs.append(input)
        self.contexts.append(orjson.loads(context))
        self.seeds.append(seed)
        await asyncio.sleep(self.delay)
        if self.failure is not None:
            raise self.failure
        result = self.scripts[source](orjson.loads(input), orjson.loads(context))
        return result if isinstance(result, bytes) else orjson.dumps(result)


@dataclass(slots=True)
class ScriptedSender:
    """Answers the responses it was given, in turn and the last one forever; keeps the requests."""

    responses: list[HttpResponse | Exception] = field(default_factory=lambda: [json_response({})])
    delay: float = 0.0
    requests: list[HttpRequest] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        """Answer the next response."""
        self.requests.append(request)
        self.timeouts.append(timeout)
        await asyncio.sleep(self.delay)
        response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        if isinstance(response, Exception):
            raise response
        return response
