"""The registry where it runs elsewhere: what the executor and the credentials need of it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from executor.lru import LeastRecentlyUsed
from protos.integration.v1 import registry_service_pb2 as rpc
from registry.instances import InstanceChange
from registry.model import Definition, Instance, InstanceError, InstanceStatus, Target
from registry.parse import parse_document
from services.registry import wire
from services.runtime.channel import Peer

SERVICE = "/integration.v1.RegistryService"
MOST_DEFINITIONS = 1000
NO_TENANT = "default"  # the call is about all of them


class RegistryClient:
    """Instances over gRPC, and how they stand; a definition's content is fetched once per digest.

    Satisfies the executor's `Directory`.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._definitions: LeastRecentlyUsed[str, Definition] = LeastRecentlyUsed(MOST_DEFINITIONS)

    async def resolve(self, tenant: str, instance_id: str) -> Target:
        """Answer the instance and its definition; raises the registry's `InstanceNotFound`."""
        request = rpc.ResolveInstanceRequest(id=instance_id)
        message = await self._peer.call(
            f"{SERVICE}/ResolveInstance", request, rpc.ResolvedInstance, tenant
        )
        instance = wire.instance_model(message, tenant)
        return Target(instance, await self._definition(tenant, instance.definition_digest))

    async def update(self, tenant: str, instance_id: str, change: InstanceChange) -> Instance:
        """Change an instance, as `Instances.update` does; raises the same."""
        request = wire.update_request(instance_id, change)
        await self._peer.call(f"{SERVICE}/UpdateInstance", request, rpc.Instance, tenant)
        resolved = await self.resolve(tenant, instance_id)
        return resolved.instance

    async def report(
        self,
        tenant: str,
        instance_id: str,
        status: InstanceStatus,
        error: InstanceError | None = None,
        captured: Mapping[str, str] = MappingProxyType({}),
    ) -> Instance:
        """Say how an instance stands, as `Instances.report` does; raises the same."""
        request = wire.report(instance_id, status, error, captured)
        message = await self._peer.call(
            f"{SERVICE}/ReportInstance", request, rpc.ResolvedInstance, tenant
        )
        return wire.instance_model(message, tenant)

    async def connected(self, after: tuple[str, str], limit: int) -> Sequence[tuple[str, str]]:
        """Answer who is connected, of all tenants, as `Instances.connected` does."""
        place = rpc.ConnectedInstance(tenant=after[0], id=after[1])
        request = rpc.ListConnectedRequest(after=place, limit=limit)
        method = f"{SERVICE}/ListConnected"
        answer = await self._peer.call(method, request, rpc.ListConnectedResponse, NO_TENANT)
        return [(item.tenant, item.id) for item in answer.items]

    async def _definition(self, tenant: str, digest: str) -> Definition:
        known = self._definitions.get(digest)
        if known is None:
            request = rpc.GetDefinitionContentRequest(digest=digest)
            content = await self._peer.call(
                f"{SERVICE}/GetDefinitionContent", request, rpc.DefinitionContent, tenant
            )
            known = parse_document(content.document.utf8)
            self._definitions.put(digest, known)
        return known
