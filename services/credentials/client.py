"""Credentials where they are kept elsewhere: the registry's vault and the executor's authorizer."""

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any

from google.protobuf.empty_pb2 import Empty

from credentials.model import Authorization, AuthScheme, OutgoingRequest
from protos.integration.v1 import credentials_service_pb2 as rpc
from services.credentials import wire
from services.registry.wire import json_value
from services.runtime.channel import Peer

SERVICE = "/integration.v1.CredentialService"
MOST_SCHEMES = 1000


class CredentialsClient:
    """The registry's `SecretVault` and the executor's `Authorizer` over gRPC.

    `known` is told every secret that comes over.
    """

    def __init__(self, peer: Peer, known: Callable[..., None] = lambda *_values: None) -> None:
        self._peer = peer
        self._known = known
        self._scheme = lru_cache(maxsize=MOST_SCHEMES)(wire.scheme)  # never changed, only copied

    async def update(
        self, tenant: str, instance_id: str, fields: Mapping[str, Any], removed: Collection[str]
    ) -> int:
        """Set and remove fields of an instance's credentials; answers their version."""
        request = rpc.UpdateCredentialsRequest(
            instance_id=instance_id, fields=json_value(dict(fields)), removed=list(removed)
        )
        method = f"{SERVICE}/UpdateCredentials"
        answer = await self._peer.call(method, request, rpc.UpdateCredentialsResponse, tenant)
        return answer.version

    async def delete(self, tenant: str, instance_id: str) -> None:
        """Forget an instance's credentials."""
        request = rpc.DeleteCredentialsRequest(instance_id=instance_id)
        await self._peer.call(f"{SERVICE}/DeleteCredentials", request, Empty, tenant)

    async def authorize(
        self,
        tenant: str,
        instance_id: str,
        scheme: AuthScheme,
        request: OutgoingRequest,
        version: int,
    ) -> Authorization | None:
        """Answer what to add to one request; None when the record is not of this version."""
        message = wire.request(instance_id, request, version)
        message.scheme.CopyFrom(self._scheme(scheme))
        answer = await self._peer.call(
            f"{SERVICE}/Authorize", message, rpc.AuthorizeResponse, tenant
        )
        authorization = wire.authorization_model(answer)
        if authorization is not None:
            self._known(*(value for _, value in (*authorization.headers, *authorization.query)))
        return authorization
