"""Calls over gRPC: to whoever serves an rpc (`Remote`), and between our services (`Peer`)."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.status_pb2 import Status

from services.runtime.call import current_call
from services.runtime.dispatch import CallFailed, Metadata
from services.runtime.errors import (
    CallTimedOut,
    InvalidRequest,
    MessageTooLarge,
    from_status,
    to_status,
    unreached,
)
from services.runtime.identity import TENANT_METADATA
from services.runtime.limits import CARRIED, MESSAGE_LIMIT, PINGING

log = logging.getLogger("integration.peers")

# An answer that is late on the wire is of no use to a caller who has already left.
DEADLINE_MARGIN = 0.005
DEFAULT_TIMEOUT = 60.0
# A definition may give a method ten minutes. Whoever sets no deadline waits for that, not for ever.
LONGEST_WAIT = 610.0
# gRPC takes a deadline that is beyond its clock for one that has passed.
LONGEST_TIMEOUT = 3600.0

Response = TypeVar("Response", bound=Message)


def connect(address: str) -> grpc.aio.Channel:
    """Make a channel; it connects when it is first used, and again whenever it has to."""
    return grpc.aio.insecure_channel(address, options=[*CARRIED, *PINGING])


class Remote:
    """A `Dispatch` over channels: each service's rpcs go to the channel that serves it."""

    def __init__(self, channels: Mapping[ServiceDescriptor, grpc.aio.Channel]) -> None:
        self._calls: dict[str, Any] = {}
        for service, channel in channels.items():
            for method in service.methods:
                rpc = f"/{service.full_name}/{method.name}"
                self._calls[rpc] = channel.unary_unary(
                    rpc,
                    request_serializer=GetMessageClass(method.input_type).SerializeToString,
                    response_deserializer=GetMessageClass(method.output_type).FromString,
                )

    async def __call__(
        self, method: str, request: Message, metadata: Metadata, timeout: float | None
    ) -> Message:
        """Call `method` where it is served; raises `CallFailed`."""
        unary = self._calls.get(method)
        if unary is None:
            raise CallFailed(to_status(InvalidRequest(f"Nothing here serves {method}.")))
        require_carried(request)
        seconds = LONGEST_WAIT if timeout is None else min(timeout, LONGEST_TIMEOUT)
        try:
            return cast("Message", await unary(request, metadata=tuple(metadata), timeout=seconds))
        except grpc.aio.AioRpcError as error:
            raise CallFailed(_status(method, error)) from error


class Peer:
    """Another of our services: calls carry our key, the tenant, the request id, the deadline."""

    def __init__(self, remote: Remote, service_key: str) -> None:
        self._remote = remote
        self._authorization = ("authorization", f"Bearer {service_key}")

    async def call(
        self, method: str, request: Message, answer: type[Response], tenant: str
    ) -> Response:
        """Answer the response of `method`; raises the very error that the other side raised."""
        metadata = [self._authorization, (TENANT_METADATA, tenant)]
        call = current_call.get()
        remaining = call.remaining() if call else None
        if call:
            metadata.append(("x-request-id", call.request_id))
        if remaining is not None and remaining <= DEADLINE_MARGIN:
            raise CallTimedOut("The deadline passed.", phase="queue")
        timeout = DEFAULT_TIMEOUT if remaining is None else remaining - DEADLINE_MARGIN
        try:
            response = await self._remote(method, request, metadata, timeout)
        except CallFailed as failure:
            raise from_status(failure.status) from failure
        if not isinstance(response, answer):
            raise TypeError(f"{method} answers {type(response).__name__}, not {answer.__name__}")
        return response


def require_carried(message: Message) -> None:
    """Raise `CallFailed` for a message over the limit.

    gRPC would answer with the code of an overload, which asks the caller to send it again.
    """
    size = message.ByteSize()
    if size > MESSAGE_LIMIT:
        text = f"The call has a message of {size} bytes; our services carry {MESSAGE_LIMIT}."
        raise CallFailed(to_status(MessageTooLarge(text, limit=MESSAGE_LIMIT, size=size)))


def _status(method: str, error: grpc.aio.AioRpcError) -> Status:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            return Status.FromString(value)
    code, text = error.code(), error.details() or ""
    ours = unreached(code.value[0], _peer(method))
    if ours is None:
        return Status(code=code.value[0], message=text)
    # Deadlines are the callers' own; everything else is for an operator to look at.
    level = logging.INFO if isinstance(ours, CallTimedOut) else logging.WARNING
    log.log(level, "%s", ours, extra={"method": method, "code": code.name, "cause": text})
    return to_status(ours)


def _peer(method: str) -> str:
    """Name who serves an rpc: `registry service` for `/integration.v1.RegistryService/Get`."""
    service = method.split("/")[1].rpartition(".")[2]
    return f"{service.removesuffix('Service').lower()} service"


async def close(channels: Mapping[ServiceDescriptor, grpc.aio.Channel]) -> None:
    """Close channels, letting running calls finish for a moment."""
    await asyncio.gather(*(channel.close(grace=1.0) for channel in set(channels.values())))
