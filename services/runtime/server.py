"""A gRPC server with everything a server of ours has: health, reflection, limits, graceful stop."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from services.runtime.call import Call
from services.runtime.channel import MESSAGE_LIMIT
from services.runtime.dispatch import CallFailed
from services.runtime.endpoints import Service, path
from services.runtime.interceptors import Endpoint


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a server listens; `drain_seconds` is how long running calls may finish after a stop."""

    address: str
    max_concurrent_rpcs: int = 1000
    reflection: bool = True
    drain_seconds: float = 10.0


class GrpcServer:
    """Serves endpoints over gRPC."""

    def __init__(
        self,
        services: Iterable[Service],
        endpoints: Mapping[str, Endpoint],
        options: ServerOptions,
    ) -> None:
        self._services = tuple(services)
        self._endpoints = endpoints
        self._options = options
        self._health = HealthServicer()
        self._server: grpc.aio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        """Bind and serve; raises `OSError` when the address is taken. Port 0 picks a free one."""
        options = self._options
        server = grpc.aio.server(
            maximum_concurrent_rpcs=options.max_concurrent_rpcs,
            options=[
                ("grpc.max_receive_message_length", MESSAGE_LIMIT),
                ("grpc.max_send_message_length", MESSAGE_LIMIT),
                # On Linux a second process could otherwise bind the same port and take half of it.
                ("grpc.so_reuseport", 0),
            ],
        )
        server.add_generic_rpc_handlers([self._handlers(service) for service in self._services])
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if options.reflection:
            names = [service.descriptor.full_name for service in self._services]
            own = [health_pb2.DESCRIPTOR.services_by_name["Health"].full_name]
            reflection.enable_server_reflection([*names, *own, reflection.SERVICE_NAME], server)
        try:
            self.port = server.add_insecure_port(options.address)
        except RuntimeError as error:
            raise OSError(f"cannot listen for gRPC on {options.address}: {error}") from error
        await server.start()
        self._server = server
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)

    async def stop(self) -> None:
        """Say so to health checks, let running calls finish, then close."""
        if self._server is None:
            return
        await self._health.enter_graceful_shutdown()
        await self._server.stop(self._options.drain_seconds)
        self._server = None

    async def _set_health(self, status: int) -> None:
        names = ["", *(service.descriptor.full_name for service in self._services)]
        for name in names:
            await self._health.set(name, status)

    def _handlers(self, service: Service) -> grpc.GenericRpcHandler:
        handlers = {
            method.name: _unary(method, self._endpoints[path(method)])
            for method in service.methods()
        }
        return grpc.method_handlers_generic_handler(service.descriptor.full_name, handlers)


def _unary(method: MethodDescriptor, endpoint: Endpoint) -> Any:
    rpc = path(method)

    async def handle(request: Message, context: "grpc.aio.ServicerContext[Any, Any]") -> Message:
        call = Call(method=rpc, metadata=_metadata(context))
        remaining = context.time_remaining()
        if remaining is not None:
            call.deadline = asyncio.get_running_loop().time() + remaining
        try:
            return await endpoint(request, call)
        except CallFailed as failure:
            await _abort(context, failure)
            raise

    return grpc.unary_unary_rpc_method_handler(
        handle,
        request_deserializer=GetMessageClass(method.input_type).FromString,
        response_serializer=GetMessageClass(method.output_type).SerializeToString,
    )


def _metadata(context: "grpc.aio.ServicerContext[Any, Any]") -> dict[str, str]:
    pairs = context.invocation_metadata() or ()
    return {key: value for key, value in pairs if isinstance(value, str)}


async def _abort(context: "grpc.aio.ServicerContext[Any, Any]", failure: CallFailed) -> None:
    status = failure.status
    await context.abort(
        code=_CODES[status.code],
        details=status.message,
        trailing_metadata=(("grpc-status-details-bin", status.SerializeToString()),),
    )


_CODES = {code.value[0]: code for code in grpc.StatusCode}
