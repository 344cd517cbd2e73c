"""The composition root: from settings to parts. The only place that names an adapter.

A component that runs in this process is its local object; one that runs elsewhere is a client of
its gRPC service. Both satisfy the same ports, so nothing else knows the difference.

Adapters are imported where they are used, so that a process loads only what its parts need: with
SQLAlchemy, aiohttp or wasmtime left out, it starts in half the time with a third less memory.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from credentials.live_secrets import LiveSecrets
from executor.directory import CachedDirectory
from executor.egress import EgressPolicy
from executor.execute import Executor, own_name
from executor.model import MEBIBYTE, ExecutorLimits
from protos.integration.v1 import (
    credentials_service_pb2,
    executor_service_pb2,
    registry_service_pb2,
    transformer_service_pb2,
)
from registry.definitions import Definitions
from registry.instances import Instances
from registry.ports import InstanceListener
from services.credentials.client import CredentialsClient
from services.executor.server import ExecutorServicer
from services.keys import Keys
from services.registry.client import RegistryClient
from services.registry.server import RegistryServicer
from services.runtime import clock
from services.runtime.channel import Peer, Remote, connect
from services.runtime.dispatch import Dispatch
from services.runtime.endpoints import Service, endpoints
from services.runtime.health import Condition
from services.runtime.inprocess import InProcess
from services.runtime.interceptors import Endpoint
from services.settings import InvalidSettings, Settings
from services.transformer.client import TransformsClient
from services.transformer.local import LocalTransforms
from services.transformer.server import TransformerServicer
from transformer.model import Limits
from transformer.transform import Transformer

if TYPE_CHECKING:
    from credentials.manager import CredentialManager
    from services.credentials.server import CredentialServicer

# In an order in which each component comes after those it needs.
DESCRIPTORS = {
    "transformer": transformer_service_pb2.DESCRIPTOR.services_by_name["TransformerService"],
    "credentials": credentials_service_pb2.DESCRIPTOR.services_by_name["CredentialService"],
    "registry": registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"],
    "executor": executor_service_pb2.DESCRIPTOR.services_by_name["ExecutorService"],
}

# Who calls whom. The gateway reaches what has REST routes.
NEEDS: dict[str, frozenset[str]] = {
    "registry": frozenset({"credentials", "transformer"}),
    "credentials": frozenset({"registry"}),
    "transformer": frozenset(),
    "executor": frozenset({"registry", "credentials", "transformer"}),
    "gateway": frozenset({"registry", "credentials", "executor"}),
}


@dataclass(frozen=True, slots=True)
class System:
    """What a process is made of: what it serves, and a way to call every service.

    `channels` lead to the components that run elsewhere; `conditions` tell of those here.
    """

    services: tuple[Service, ...]
    endpoints: Mapping[str, Endpoint]
    dispatch: Dispatch
    channels: Mapping[str, grpc.aio.Channel]
    conditions: Mapping[str, Condition]


@asynccontextmanager
async def assembled(
    settings: Settings,
    names: Collection[str],
    keys: Keys,
    secrets: LiveSecrets,
) -> AsyncIterator[System]:
    """Put the named parts together; on leaving they are let go in reverse order.

    `secrets` learn every secret that is used, so that no log and no error shows it.

    Raises `InvalidSettings` for components that run elsewhere and have no address.
    """
    async with AsyncExitStack() as stack:
        channels = _channels(settings, frozenset(names))
        for open_channel in channels.values():
            stack.push_async_callback(open_channel.close)
        assembly = Assembly(settings, channels, keys.service, stack, secrets.add)
        for name in DESCRIPTORS:
            if name in names:
                await assembly.add(name)
        yield _system(assembly, channels, keys, secrets)


def _channels(settings: Settings, names: frozenset[str]) -> dict[str, grpc.aio.Channel]:
    elsewhere = sorted(frozenset().union(*(NEEDS[name] for name in names)) - names)
    missing = [
        f"{name}_address: needed, since the {name} does not run in this process"
        for name in elsewhere
        if not getattr(settings, f"{name}_address")
    ]
    if missing:
        raise InvalidSettings(missing)
    return {name: connect(getattr(settings, f"{name}_address")) for name in elsewhere}


def _system(
    assembly: "Assembly",
    channels: Mapping[str, grpc.aio.Channel],
    keys: Keys,
    secrets: LiveSecrets,
) -> System:
    table = endpoints(assembly.services, keys.ring(), secrets.mask)
    remote = Remote({DESCRIPTORS[name]: open_channel for name, open_channel in channels.items()})
    here = InProcess(table, otherwise=remote)
    return System(tuple(assembly.services), table, here, channels, assembly.conditions)


class Assembly:
    """Builds components one by one, each from those it needs: here, or at the end of a channel."""

    def __init__(
        self,
        settings: Settings,
        channels: Mapping[str, grpc.aio.Channel],
        service_key: str,
        stack: AsyncExitStack,
        known: Callable[..., None],
    ) -> None:
        self.services: list[Service] = []
        self.conditions: dict[str, Condition] = {}
        self._settings = settings
        self._channels = channels
        self._service_key = service_key
        self._stack = stack
        self._known = known
        self._transforms: LocalTransforms | None = None
        self._manager: CredentialManager | None = None
        self._instances: Instances | None = None
        self._registry_client: RegistryClient | None = None
        self._changed: list[InstanceListener] = []

    async def add(self, name: str) -> None:
        """Build the component and serve it; those it needs have been added, or are elsewhere."""
        adders = {
            "transformer": self._add_transformer,
            "credentials": self._add_credentials,
            "registry": self._add_registry,
            "executor": self._add_executor,
        }
        servicer = await adders[name]()
        service_only: frozenset[str] = getattr(servicer, "service_only", frozenset())
        self.services.append(Service(DESCRIPTORS[name], servicer, service_only))

    async def _add_transformer(self) -> TransformerServicer:
        from transformer.engines.wasm import new_engine

        settings = self._settings
        limits = Limits(
            time_ms=settings.transform_time_ms,
            memory_bytes=settings.transform_memory_mb * MEBIBYTE,
        )
        transformer = Transformer(new_engine(settings.cache_dir), limits=limits)
        self._stack.push_async_callback(transformer.close)
        self._transforms = LocalTransforms(transformer, clock.now)
        return TransformerServicer(transformer, clock.now)

    async def _add_credentials(self) -> "CredentialServicer":
        from services.credentials.connections import RegistryConnections
        from services.credentials.server import CredentialServicer
        from services.wiring.credentials import credential_use_cases

        connections = RegistryConnections(self._registry, own_name())
        cases = await credential_use_cases(self._settings, connections, self._known, self._stack)
        self._manager = cases.manager
        self.conditions["credentials"] = cases.condition
        return CredentialServicer(cases.manager, cases.connecting, cases.upkeep)

    async def _add_registry(self) -> RegistryServicer:
        from registry.stores.sql.definitions import SqlDefinitionStore
        from registry.stores.sql.engine import open_engine
        from registry.stores.sql.instances import SqlInstanceStore
        from registry.stores.sql.migrate import migrate

        engine = open_engine(self._settings.database())
        self._stack.push_async_callback(engine.dispose)
        await migrate(engine)
        definitions = Definitions(SqlDefinitionStore(engine), self._scripts(), clock.now)
        self._instances = Instances(
            SqlInstanceStore(engine), definitions, self._vault(), clock.now, self._tell
        )
        return RegistryServicer(definitions, self._instances)

    async def _add_executor(self) -> ExecutorServicer:
        from executor.sender import AiohttpSender

        settings = self._settings
        directory = CachedDirectory(self._registry())
        self._changed.append(directory.forget)
        sender = AiohttpSender(EgressPolicy(settings.egress_allow), self._executor_limits())
        self._stack.push_async_callback(sender.close)
        executor = Executor(
            directory, self._vault(), self._scripts(), sender, self._executor_limits(), clock.now
        )
        return ExecutorServicer(executor)

    def _executor_limits(self) -> ExecutorLimits:
        settings = self._settings
        return ExecutorLimits(
            max_request_bytes=settings.max_request_mb * MEBIBYTE,
            max_response_bytes=settings.max_response_mb * MEBIBYTE,
            default_timeout=settings.default_timeout_ms / 1000,
        )

    def _tell(self, tenant: str, instance_id: str) -> None:
        for listener in self._changed:
            listener(tenant, instance_id)

    def _scripts(self) -> LocalTransforms | TransformsClient:
        return self._transforms or TransformsClient(self._peer("transformer"))

    def _vault(self) -> "CredentialManager | CredentialsClient":
        return self._manager or CredentialsClient(self._peer("credentials"), self._known)

    def _registry(self) -> Instances | RegistryClient:
        if self._instances is not None:
            return self._instances
        if self._registry_client is None:
            self._registry_client = RegistryClient(self._peer("registry"))
        return self._registry_client

    def _peer(self, name: str) -> Peer:
        remote = Remote({DESCRIPTORS[name]: self._channels[name]})
        return Peer(remote, self._service_key)


async def migrated(settings: Settings) -> None:
    """Bring the databases of the registry and the credentials to this release's schema."""
    from credentials.stores.local.engine import open_engine as open_credentials
    from credentials.stores.local.migrate import migrate as migrate_credentials
    from registry.stores.sql.engine import open_engine as open_registry
    from registry.stores.sql.migrate import migrate as migrate_registry
    from services.wiring.master_keys import credentials_url, master_key_source

    master_key_source(settings)  # else the first start would take the database for an older one
    for engine, migrate in (
        (open_registry(settings.database()), migrate_registry),
        (open_credentials(credentials_url(settings)), migrate_credentials),
    ):
        try:
            await migrate(engine)
        finally:
            await engine.dispose()
