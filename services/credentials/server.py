"""The credential service's servicer."""

from google.protobuf.empty_pb2 import Empty

from credentials.connecting import Connecting
from credentials.manager import CredentialManager
from credentials.upkeep import Upkeep
from protos.integration.v1 import credentials_service_pb2 as rpc
from services.credentials import wire
from services.registry.wire import timestamp
from services.runtime.call import Call


class CredentialServicer:
    """Serves `integration.v1.CredentialService`; what shows secrets, to our own services only."""

    service_only = frozenset({"UpdateCredentials", "DeleteCredentials", "Authorize"})

    def __init__(self, manager: CredentialManager, connecting: Connecting, upkeep: Upkeep) -> None:
        self._manager = manager
        self._connecting = connecting
        self._upkeep = upkeep

    async def StartOAuth2(
        self, request: rpc.StartOAuth2Request, call: Call
    ) -> rpc.StartOAuth2Response:
        """Begin an authorization."""
        return wire.begun(
            await self._connecting.start(
                call.tenant, request.instance_id, request.redirect_uri, call.caller.subject
            )
        )

    async def CompleteOAuth2(
        self, request: rpc.CompleteOAuth2Request, call: Call
    ) -> rpc.CompleteOAuth2Response:
        """Complete an authorization."""
        await self._connecting.complete(
            call.tenant, request.instance_id, call.caller.subject, wire.callback(request)
        )
        return rpc.CompleteOAuth2Response(
            status="SUCCESS", integration_instance_id=request.instance_id
        )

    async def StoreCredentials(
        self, request: rpc.StoreCredentialsRequest, call: Call
    ) -> rpc.StoreCredentialsResponse:
        """Keep credentials that came from elsewhere."""
        status = await self._upkeep.store(
            call.tenant,
            request.instance_id,
            request.type,
            wire.fields_model(request.data),
            call.caller.subject,
        )
        return rpc.StoreCredentialsResponse(
            status="stored", type=status.type, expires_at=timestamp(status.expires_at)
        )

    async def RevokeCredentials(self, request: rpc.RevokeCredentialsRequest, call: Call) -> Empty:
        """Forget the credentials of an instance that stays."""
        await self._upkeep.revoke(call.tenant, request.instance_id, call.caller.subject)
        return Empty()

    async def GetCredentialsStatus(
        self, request: rpc.GetCredentialsStatusRequest, call: Call
    ) -> rpc.CredentialsStatus:
        """Answer how credentials stand."""
        found = await self._upkeep.status(call.tenant, request.instance_id)
        return wire.status(request.instance_id, found)

    async def RefreshCredentials(
        self, request: rpc.RefreshCredentialsRequest, call: Call
    ) -> rpc.CredentialsStatus:
        """Fetch the next access token now."""
        found = await self._upkeep.refresh(call.tenant, request.instance_id, call.caller.subject)
        return wire.status(request.instance_id, found)

    async def VerifyCredentials(
        self, request: rpc.VerifyCredentialsRequest, call: Call
    ) -> rpc.VerifyCredentialsResponse:
        """Ask the API whether it accepts the credentials."""
        proof = await self._upkeep.verify(call.tenant, request.instance_id)
        return rpc.VerifyCredentialsResponse(
            instance_id=request.instance_id,
            accepted=proof.accepted,
            status_code=proof.status_code,
        )

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
