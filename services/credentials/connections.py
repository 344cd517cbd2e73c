"""What credentials know of instances: the registry's, here or at the end of a channel."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from credentials.errors import OAuthMisconfigured
from credentials.model import AuthScheme, Connection, OutgoingRequest, Report
from executor.arguments import EMPTY, Arguments
from executor.configuration import configure
from executor.errors import ExecutorError
from executor.plan import make_plan
from executor.request import bind
from executor.schemes import scheme_of
from registry.errors import InvalidInstance
from registry.instances import InstanceChange
from registry.model import (
    Definition,
    HttpBinding,
    Instance,
    InstanceError,
    InstanceStatus,
    Method,
    Target,
)

_NOTHING = Arguments(EMPTY, {}, EMPTY, {})
_PAGE = 500
_NO_SCHEME = AuthScheme("none")


class Instances(Protocol):
    """The part of the registry that credentials need."""

    async def resolve(self, tenant: str, instance_id: str) -> Target:
        """Answer an instance with its definition; raises `InstanceNotFound`."""
        ...

    async def update(self, tenant: str, instance_id: str, change: InstanceChange) -> Instance:
        """Change an instance; raises `InstanceNotFound`, `InvalidInstance`, `StaleEtag`."""
        ...

    async def connected(self, after: tuple[str, str], limit: int) -> Sequence[tuple[str, str]]:
        """Answer who is connected, of all tenants."""
        ...

    async def report(
        self,
        tenant: str,
        instance_id: str,
        status: InstanceStatus,
        error: InstanceError | None,
        captured: Mapping[str, str],
    ) -> Instance:
        """Set status and captured fields; raises `InstanceNotFound`."""
        ...


class RegistryConnections:
    """`credentials.ports.Connections` over the registry."""

    def __init__(self, instances: Callable[[], Instances], user_agent: str) -> None:
        # Asked for when it is needed: the registry is made after the credentials that it needs.
        self._instances = instances
        self._user_agent = user_agent

    async def connection(self, tenant: str, instance_id: str) -> Connection:
        """Answer how an instance authenticates, as it is now."""
        target = await self._instances().resolve(tenant, instance_id)
        definition, instance = target.definition, target.instance
        verification, unverifiable = _probe(target, self._user_agent)
        return Connection(
            scheme=scheme_of(definition) or _NO_SCHEME,
            oauth2={**_beside(definition), **(definition.oauth2_config or {})},
            config={**definition.default_config, **instance.config},
            version=instance.credentials_version,
            standing=instance.status,
            verification=verification,
            unverifiable=unverifiable,
        )

    async def configure(self, tenant: str, instance_id: str, fields: Mapping[str, Any]) -> None:
        """Set fields of the config."""
        await self._instances().update(tenant, instance_id, InstanceChange(config=fields))

    async def connected(self, after: tuple[str, str]) -> Sequence[tuple[str, str]]:
        """Answer some of those who are connected."""
        return await self._instances().connected(after, _PAGE)

    async def report(self, tenant: str, instance_id: str, report: Report) -> None:
        """Tell how an instance stands."""
        error = InstanceError(report.code, report.message) if report.code else None
        status = InstanceStatus(report.standing)
        try:
            await self._instances().report(tenant, instance_id, status, error, report.captured)
        except InvalidInstance as wrong:
            raise OAuthMisconfigured(
                f"What the API has told of the instance does not fit its configSchema: {wrong}",
                field="captureFromToken",
            ) from wrong


def _beside(definition: Definition) -> Mapping[str, Any]:
    """Answer what may stand beside `oauth2Config` as well as in it."""
    name = "refreshTokenConfig"
    return {name: definition.extensions[name]} if name in definition.extensions else {}


def _probe(target: Target, user_agent: str) -> tuple[OutgoingRequest | None, str]:
    """Bind the definition's verification as a method of its own would be, or say why not.

    The server's address may be what the API tells when somebody connects: that it is not there yet
    must not keep anybody from connecting.
    """
    verification = target.definition.verification
    if verification is None:
        return None, ""
    binding = HttpBinding(verification.method, verification.path, body="none")
    try:
        plan = make_plan(target.definition, Method("verification", binding), user_agent)
        request = bind(plan, configure(target, plan.server), _NOTHING, None)
    except ExecutorError as error:
        return None, error.message
    return OutgoingRequest(request.method, request.url, request.headers), ""
