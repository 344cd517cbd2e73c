"""Whether the services that a process depends on can serve."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

PROBE_SECONDS = 1.0


def ready(
    channels: Mapping[str, grpc.aio.Channel],
) -> Callable[[], Awaitable[Mapping[str, bool]]]:
    """Make a probe: each part by name, and whether it says that it serves."""

    async def probe() -> Mapping[str, bool]:
        answers = await asyncio.gather(*map(_serves, channels.values()))
        return dict(zip(channels, answers, strict=True))

    return probe


async def _serves(channel: grpc.aio.Channel) -> bool:
    stub: Any = health_pb2_grpc.HealthStub(channel)  # its published types lack its methods
    try:
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=PROBE_SECONDS)
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
