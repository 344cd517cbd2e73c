"""The registry's servicer."""

from google.protobuf.empty_pb2 import Empty

from protos.integration.v1 import definition_pb2 as contract
from protos.integration.v1 import registry_service_pb2 as rpc
from protos.integration.v1.json_pb2 import Json
from registry.definitions import Definitions
from registry.instances import Instances
from services.registry import wire
from services.runtime.call import Call

MOST_CONNECTED = 500


class RegistryServicer:
    """Serves `integration.v1.RegistryService` from the registry's use cases."""

    service_only = frozenset({"ResolveInstance", "ReportInstance", "ListConnected"})

    def __init__(self, definitions: Definitions, instances: Instances) -> None:
        self._definitions = definitions
        self._instances = instances

    async def CreateDefinition(
        self, request: rpc.CreateDefinitionRequest, call: Call
    ) -> contract.Definition:
        """Register a definition."""
        entry = await self._definitions.create(call.tenant, request.definition.utf8)
        return wire.registered(entry)

    async def ValidateDefinition(
        self, request: rpc.ValidateDefinitionRequest, call: Call
    ) -> rpc.ValidateDefinitionResponse:
        """Check a definition."""
        verdict = await self._definitions.validate(request.definition.utf8)
        return rpc.ValidateDefinitionResponse(
            valid=not verdict.problems,
            problems=[wire.problem(found) for found in verdict.problems],
            warnings=[wire.problem(found) for found in verdict.warnings],
        )

    async def GetDefinition(
        self, request: rpc.GetDefinitionRequest, call: Call
    ) -> contract.Definition:
        """Answer one definition, whole."""
        return wire.definition(await self._definitions.get(call.tenant, request.id))

    async def ListDefinitions(
        self, request: rpc.ListDefinitionsRequest, call: Call
    ) -> rpc.ListDefinitionsResponse:
        """Answer a page of definitions."""
        page = await self._definitions.list(
            call.tenant, wire.definition_filter(request), wire.page_request(request)
        )
        return rpc.ListDefinitionsResponse(
            items=[wire.definition_summary(summary) for summary in page.items],
            pagination=wire.pagination(page),
        )

    async def ListMethods(
        self, request: rpc.ListMethodsRequest, call: Call
    ) -> rpc.ListMethodsResponse:
        """Answer the methods of a definition."""
        entry = await self._definitions.get(call.tenant, request.id)
        return rpc.ListMethodsResponse(items=wire.methods(entry.definition))

    async def GetDefinitionSchema(
        self, request: rpc.GetDefinitionSchemaRequest, call: Call
    ) -> rpc.DefinitionSchema:
        """Answer the schemas of a definition."""
        entry = await self._definitions.get(call.tenant, request.id)
        return wire.definition_schema(entry.definition)

    async def PublishDefinition(
        self, request: rpc.PublishDefinitionRequest, call: Call
    ) -> contract.Definition:
        """Offer a definition."""
        return wire.registered(await self._definitions.publish(call.tenant, request.id))

    async def DeprecateDefinition(
        self, request: rpc.DeprecateDefinitionRequest, call: Call
    ) -> contract.Definition:
        """Mark a definition as better not chosen."""
        return wire.registered(await self._definitions.deprecate(call.tenant, request.id))

    async def ArchiveDefinition(
        self, request: rpc.ArchiveDefinitionRequest, call: Call
    ) -> contract.Definition:
        """Withdraw a definition."""
        return wire.registered(await self._definitions.archive(call.tenant, request.id))

    async def GetDefinitionContent(
        self, request: rpc.GetDefinitionContentRequest, call: Call
    ) -> rpc.DefinitionContent:
        """Answer the content of a digest."""
        content = await self._definitions.content(call.tenant, request.digest)
        return rpc.DefinitionContent(digest=content.digest, document=Json(utf8=content.document))

    async def CreateInstance(self, request: rpc.CreateInstanceRequest, call: Call) -> rpc.Instance:
        """Connect to a definition."""
        return wire.instance(
            await self._instances.create(
                call.tenant,
                request.integration_definition_id,
                request.name,
                wire.config(request.config),
            )
        )

    async def GetInstance(self, request: rpc.GetInstanceRequest, call: Call) -> rpc.Instance:
        """Answer one instance."""
        return wire.instance(await self._instances.get(call.tenant, request.id))

    async def ResolveInstance(
        self, request: rpc.ResolveInstanceRequest, call: Call
    ) -> rpc.ResolvedInstance:
        """Answer one instance and the version of its credentials."""
        return wire.resolved_instance(await self._instances.get(call.tenant, request.id))

    async def ReportInstance(
        self, request: rpc.ReportInstanceRequest, call: Call
    ) -> rpc.ResolvedInstance:
        """Say how an instance stands."""
        status, error = wire.standing(request)
        return wire.resolved_instance(
            await self._instances.report(
                call.tenant, request.id, status, error, dict(request.captured)
            )
        )

    async def ListConnected(
        self, request: rpc.ListConnectedRequest, call: Call
    ) -> rpc.ListConnectedResponse:
        """Answer who is connected, of all tenants."""
        after = (request.after.tenant, request.after.id)
        limit = min(request.limit or MOST_CONNECTED, MOST_CONNECTED)
        found = await self._instances.connected(after, limit)
        return rpc.ListConnectedResponse(
            items=[rpc.ConnectedInstance(tenant=tenant, id=id_) for tenant, id_ in found]
        )

    async def ListInstances(
        self, request: rpc.ListInstancesRequest, call: Call
    ) -> rpc.ListInstancesResponse:
        """Answer a page of instances."""
        page = await self._instances.list(
            call.tenant, wire.instance_filter(request), wire.page_request(request)
        )
        return rpc.ListInstancesResponse(
            items=[wire.instance(found) for found in page.items],
            pagination=wire.pagination(page),
        )

    async def UpdateInstance(self, request: rpc.UpdateInstanceRequest, call: Call) -> rpc.Instance:
        """Change an instance."""
        return wire.instance(
            await self._instances.update(call.tenant, request.id, wire.instance_change(request))
        )

    async def DeleteInstance(self, request: rpc.DeleteInstanceRequest, call: Call) -> Empty:
        """Remove an instance and its credentials."""
        await self._instances.delete(call.tenant, request.id)
        return Empty()
