"""How an instance speaks OAuth 2, put together from its definition, its config and its server."""

import logging
from collections.abc import Mapping
from time import monotonic
from typing import Any

from credentials.errors import (
    CredentialsError,
    CredentialsNotFound,
    OAuthMisconfigured,
    TokenEndpointFailed,
)
from credentials.model import Connection, OutboundRequest, RecordKey
from credentials.oauth.discovery import metadata_urls, read_metadata
from credentials.oauth.profile import OAuthProfile, read_profile, with_metadata
from credentials.ports import Connections, Outbound, SecretStore

log = logging.getLogger("integration.credentials.profiles")

METADATA_SECONDS = 3600.0
NO_METADATA_SECONDS = 60.0
_MOST_ISSUERS = 1000
_CHANGE_MS = 200
_OK = 200


class Profiles:
    """Answers profiles; what an issuer publishes (RFC 8414) is kept for an hour."""

    def __init__(
        self,
        store: SecretStore,
        connections: Connections,
        outbound: Outbound,
        timeout: float = 10.0,
    ) -> None:
        self._store = store
        self._connections = connections
        self._outbound = outbound
        self._timeout = timeout
        self._metadata: dict[str, tuple[float, Mapping[str, Any]]] = {}

    async def of(self, tenant: str, instance_id: str) -> OAuthProfile:
        """Answer the profile of an instance, as it is now.

        Raises `CredentialsNotFound`, `CredentialsIncomplete`, `OAuthMisconfigured`,
        `TokenEndpointFailed` while the instance is being changed or its issuer cannot be asked, and
        what the store and the connections raise.
        """
        connection = await self._connections.connection(tenant, instance_id)
        profile = read_profile(connection, await self._fields(tenant, instance_id, connection))
        if not profile.issuer:
            return profile
        return with_metadata(profile, await self._published(profile))

    async def _fields(
        self, tenant: str, instance_id: str, connection: Connection
    ) -> Mapping[str, Any]:
        found = await self._store.get(RecordKey(tenant, instance_id))
        if found is None:
            raise CredentialsNotFound(
                f"Instance {instance_id} has no credentials; connect it first",
                instanceId=instance_id,
            )
        if found.version != connection.version:
            # Secrets never go where another config than theirs leads.
            raise TokenEndpointFailed(
                f"Instance {instance_id} is being changed right now; try again",
                retry_after_ms=_CHANGE_MS,
            )
        return found.record.fields

    async def _published(self, profile: OAuthProfile) -> Mapping[str, Any]:
        kept = self._metadata.get(profile.issuer)
        if kept is not None and monotonic() < kept[0]:
            return kept[1]
        seconds = METADATA_SECONDS
        try:
            metadata = await self._asked(profile.issuer)
        except CredentialsError as error:
            if not profile.token_url:
                raise
            log.warning("%s; the endpoints of the definition are used alone", error)
            metadata, seconds = {}, NO_METADATA_SECONDS
        if len(self._metadata) >= _MOST_ISSUERS:
            self._metadata.clear()
        self._metadata[profile.issuer] = (monotonic() + seconds, metadata)
        return metadata

    async def _asked(self, issuer: str) -> Mapping[str, Any]:
        problem = OAuthMisconfigured(
            f"The issuer {issuer} publishes no metadata (RFC 8414); name the endpoints in "
            "oauth2Config",
            field="issuer",
        )
        for url in metadata_urls(issuer):
            request = OutboundRequest("GET", url, (("Accept", "application/json"),))
            answer = await self._outbound.send(request, self._timeout)
            if answer.status != _OK:
                continue
            try:
                return read_metadata(issuer, answer.status, answer.body)
            except OAuthMisconfigured as error:  # a page that is there for every path, say
                problem = error
        raise problem
