"""The credential service's servicer."""

from google.protobuf.empty_pb2 import Empty

from credentials.manager import CredentialManager
from protos.integration.v1 import credentials_service_pb2 as rpc
from services.credentials import wire
from services.runtime.call import Call


class CredentialServicer:
    """Serves `integration.v1.CredentialService`, for our own services only."""

    service_only = frozenset({"UpdateCredentials", "DeleteCredentials", "Authorize"})

    def __init__(self, manager: CredentialManager) -> None:
        self._manager = manager

    async def UpdateCredentials(
        self, request: rpc.UpdateCredentialsRequest, call: Call
    ) -> rpc.UpdateCredentialsResponse:
        """Set and remove fields."""
        version = await self._manager.update(
            call.tenant, request.instance_id, wire.fields_model(request.fields), request.removed
        )
        return rpc.UpdateCredentialsResponse(version=version)

    async def DeleteCredentials(self, request: rpc.DeleteCredentialsRequest, call: Call) -> Empty:
        """Forget an instance's credentials."""
        await self._manager.delete(call.tenant, request.instance_id)
        return Empty()

    async def Authorize(self, request: rpc.AuthorizeRequest, call: Call) -> rpc.AuthorizeResponse:
        """Answer the authorization of one request."""
        authorization = await self._manager.authorize(
            call.tenant,
            request.instance_id,
            wire.scheme_model(request.scheme),
            wire.request_model(request),
            request.version,
        )
        return wire.authorization(authorization)
