"""What an execution needs from outside."""

from typing import Protocol

from credentials.model import Authorization, AuthScheme, OutgoingRequest
from executor.model import HttpRequest, HttpResponse
from registry.model import Target


class Directory(Protocol):
    """Knows instances and their definitions."""

    async def resolve(self, tenant: str, instance_id: str) -> Target:
        """Answer the instance and its definition; raises the registry's `InstanceNotFound`."""
        ...


class RefreshableDirectory(Directory, Protocol):
    """A directory that may answer what it remembers."""

    async def resolve(self, tenant: str, instance_id: str, *, fresh: bool = False) -> Target:
        """Answer the instance and its definition, `fresh`: as they are now.

        Raises the registry's `InstanceNotFound`.
        """
        ...


class Authorizer(Protocol):
    """Holds credentials."""

    async def authorize(
        self,
        tenant: str,
        instance_id: str,
        scheme: AuthScheme,
        request: OutgoingRequest,
        version: int,
    ) -> Authorization | None:
        """Answer what to add to this request; raises the errors of credentials.

        Its headers and its body are there when `scheme.signs`. Its `refused` is the generation of
        the authorization that the upstream has just refused; the same one is answered again when
        there is no other.

        None when the instance's record is no longer, or not yet, of this `version`: then its
        secrets are not meant for what the caller knows of the instance.
        """
        ...


class Transforms(Protocol):
    """Runs scripts."""

    async def transform(self, source: str, input: bytes, context: bytes, seed: int) -> bytes:  # noqa: A002 - the name the scripts know it by
        """Answer the JSON text of `transform(input, context)`; raises the errors of transforms.

        `input` and `context` are JSON texts; `seed` makes `Math.random` repeatable.
        """
        ...


class Sender(Protocol):
    """Makes HTTP requests."""

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        """Send the request once, follow no redirect, and answer whatever status came.

        `timeout` in seconds bounds the whole exchange. Raises `EgressDenied`, `DeadlinePassed`,
        `ResponseTooLarge`, `MethodNotCallable` for a URL or a client certificate that cannot be
        used, `CredentialsRefused` where that certificate is refused, `UpstreamUntrusted` and
        `UpstreamUnreachable` where nothing was sent, `UpstreamFailed` for an answer that is no
        HTTP, and `UpstreamUnavailable` where no whole answer came.
        """
        ...
