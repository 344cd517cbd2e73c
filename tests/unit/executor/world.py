"""Definitions, instances and executors for the tests of this component."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp import web

from executor.egress import EgressPolicy
from executor.errors import ExecutorError
from executor.execute import Executor
from executor.model import ExecutorLimits, HttpResponse, MethodCall
from executor.sender import AiohttpSender
from registry.model import (
    Definition,
    HttpBinding,
    Instance,
    InstanceStatus,
    Method,
    Target,
)
from tests.fakes import (
    NOON,
    FixedAuthorizer,
    MemoryDirectory,
    PythonTransforms,
    ScriptedSender,
    fixed_clock,
)

TENANT = "default"
INSTANCE = "int_inst_1"
LOOPBACK = EgressPolicy((ip_network("127.0.0.0/8"), ip_network("::1/128")))
AGENT = "integration-service/test"

SEES_CONTEXT = "function transform(input, context) {}"
SEES_INPUT = "function transform(input) {}"
CLOSED = {"type": "object", "required": ["id"]}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Start = Callable[[Handler], Awaitable[str]]


def method(name: str = "createContact", verb: str = "POST", path: str = "", **more: Any) -> Method:
    """Answer a method; header templates and the body kind go into its binding."""
    headers, body = more.pop("headers", {}), more.pop("body", "json")
    return Method(name, HttpBinding(verb, path or f"/{name}", headers, body), **more)


def definition(*methods: Method, **more: Any) -> Definition:
    """Answer a definition without authentication whose digest follows its content."""
    facts: dict[str, Any] = {"type": "http", "auth_type": "none", **more}
    digest = sha256(repr((methods, sorted(facts.items(), key=str))).encode()).hexdigest()
    return Definition("CRM", "1.0.0", methods=methods, document=b"{}", digest=digest, **facts)


def instance(config: Mapping[str, Any] | None = None, **more: Any) -> Instance:
    """Answer a connected instance."""
    facts: dict[str, Any] = {"status": InstanceStatus.CONNECTED, **more}
    return Instance(
        id=INSTANCE,
        tenant=TENANT,
        definition_id="int_def_1",
        definition_digest="",
        name="ours",
        config={"baseUrl": "https://crm.example"} if config is None else config,
        created_at=NOON,
        updated_at=NOON,
        etag="1",
        **facts,
    )


@dataclass
class World:
    """An executor and the fakes around it."""

    directory: MemoryDirectory = field(default_factory=MemoryDirectory)
    authorizer: FixedAuthorizer = field(default_factory=FixedAuthorizer)
    transforms: PythonTransforms = field(default_factory=PythonTransforms)
    sender: ScriptedSender | AiohttpSender = field(default_factory=ScriptedSender)
    limits: ExecutorLimits = field(default_factory=ExecutorLimits)
    executor: Executor = field(init=False)

    def __post_init__(self) -> None:
        self.executor = Executor(
            self.directory,
            self.authorizer,
            self.transforms,
            self.sender,
            self.limits,
            fixed_clock,
            lambda: 7,
            AGENT,
        )

    def offer(self, *methods: Method, config: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Register a definition of these methods and an instance of it."""
        self.directory.add(Target(instance(config), definition(*methods, **more)))

    async def call(self, name: str, parameters: bytes = b"{}", **more: Any) -> bytes:
        """Execute a method and answer its data."""
        return (await self.executor.execute(call(name, parameters, **more))).data

    @property
    def sent(self) -> Any:
        """The last request that the scripted sender was given."""
        assert isinstance(self.sender, ScriptedSender)
        return self.sender.requests[-1]


def call(name: str, parameters: bytes = b"{}", **more: Any) -> MethodCall:
    """Answer a call of the one instance."""
    return MethodCall(TENANT, INSTANCE, name, parameters, **more)


def answering(*responses: HttpResponse | Exception, **world: Any) -> World:
    """Answer a world whose upstream sends these responses."""
    return World(sender=ScriptedSender(list(responses)), **world)


async def failed(world: World, wanted: MethodCall) -> ExecutorError:
    """Answer the error of a call, whose details must be JSON."""
    with pytest.raises(ExecutorError) as caught:
        await world.executor.execute(wanted)
    json.dumps(caught.value.details)
    return caught.value
