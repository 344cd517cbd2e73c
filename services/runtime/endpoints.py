"""Which servicer serves which rpc, read from the service's descriptor."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from services.runtime.identity import KeyRing
from services.runtime.interceptors import Endpoint, chain, deadline, errors, identity
from services.runtime.masking import Mask


@dataclass(frozen=True, slots=True)
class Service:
    """A service and the object that serves it.

    The servicer has one coroutine per rpc, under the rpc's name, that takes the request and the
    `Call` and answers the response. `service_only` names the rpcs that only our services may call.
    """

    descriptor: ServiceDescriptor
    servicer: Any
    service_only: frozenset[str] = field(default_factory=frozenset)

    def methods(self) -> Iterable[MethodDescriptor]:
        """Answer the service's rpcs in the order of the contract."""
        return self.descriptor.methods


def path(method: MethodDescriptor) -> str:
    """Name an rpc as the wire does: `/integration.v1.ExecutorService/ExecuteMethod`."""
    return f"/{method.containing_service.full_name}/{method.name}"


def endpoints(
    services: Iterable[Service], keys: KeyRing, mask: Mask = str
) -> Mapping[str, Endpoint]:
    """Answer each rpc's endpoint, interceptors and all; a servicer must have every rpc.

    `mask` goes over the texts of errors.
    """
    table: dict[str, Endpoint] = {}
    for service in services:
        service_only = frozenset(
            path(method) for method in service.methods() if method.name in service.service_only
        )
        guards = (partial(errors, mask=mask), deadline, identity(keys, service_only))
        for method in service.methods():
            table[path(method)] = chain(getattr(service.servicer, method.name), *guards)
    return table
