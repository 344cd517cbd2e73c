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
from services.runtime.dispatch import CallFailed
from services.runtime.endpoints import Service, path
from services.runtime.health import Condition
from services.runtime.interceptors import Endpoint
from services.runtime.limits import CARRIED, PINGED
from services.runtime.running import LAST_WORDS_SECONDS, RunningCalls

WATCH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a server listens; running calls have `drain_seconds` to finish after a stop."""

    address: str
    max_concurrent_rpcs: int = 1000
    reflection: bool = True
    drain_seconds: float = 10.0


class GrpcServer:
    """Serves endpoints over gRPC.

    `conditions` are those of services by full name: one that works less well than it should says
    NOT_SERVING under its own name, while the server as a whole goes on to serve.
    """

    def __init__(
        self,
        services: Iterable[Service],
        endpoints: Mapping[str, Endpoint],
        options: ServerOptions,
        conditions: Mapping[str, Condition] | None = None,
    ) -> None:
        self._services = tuple(services)
        self._conditions = conditions or {}
        self._watching: asyncio.Task[None] | None = None
        self._endpoints = endpoints
        self._options = options
        self._health = HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._calls = RunningCalls()
        self.port = 0

    async def start(self) -> None:
        """Bind and serve; raises `OSError` when the address is taken. Port 0 picks a free one."""
        options = self._options
        server = grpc.aio.server(
            maximum_concurrent_rpcs=options.max_concurrent_rpcs,
            options=[
                *CARRIED,
                *PINGED,
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
        if self._conditions:
            self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Refuse new calls and let running ones finish; what takes too long is told to retry."""
        server, self._server = self._server, None
        if server is None:
            return
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self._health.enter_graceful_shutdown()
        drain = self._options.drain_seconds
        refusing = asyncio.create_task(server.stop(drain + LAST_WORDS_SECONDS))
        await self._calls.finish(drain)
        # What is left now watches our health, and would do so for ever.
        await server.stop(LAST_WORDS_SECONDS)
        await refusing

    async def _set_health(self, status: int) -> None:
        names = ["", *(service.descriptor.full_name for service in self._services)]
        for name in names:
            await self._health.set(name, status)

    async def _watch(self) -> None:
        answer = health_pb2.HealthCheckResponse
        while True:
            for name, condition in self._conditions.items():
                await self._health.set(name, answer.NOT_SERVING if condition() else answer.SERVING)
            await asyncio.sleep(WATCH_SECONDS)

    def _handlers(self, service: Service) -> grpc.GenericRpcHandler:
        handlers = {
            method.name: _unary(method, self._endpoints[path(method)], self._calls)
            for method in service.methods()
        }
        return grpc.method_handlers_generic_handler(service.descriptor.full_name, handlers)


def _unary(method: MethodDescriptor, endpoint: Endpoint, calls: RunningCalls) -> Any:
    rpc = path(method)

    async def handle(request: Message, context: "grpc.aio.ServicerContext[Any, Any]") -> Message:
        call = Call(method=rpc, metadata=_metadata(context))
        remaining = context.time_remaining()
        if remaining is not None:
            call.deadline = asyncio.get_running_loop().time() + remaining
        try:
            return await calls.answer(endpoint, request, call)
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
