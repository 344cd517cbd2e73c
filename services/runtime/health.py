"""Whether the services that a process depends on can serve, and how well."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

PROBE_SECONDS = 1.0

Condition = Callable[[], str]
"""Answers, at once, why a service works less well than it should; empty: it works well."""


def degraded(
    here: Mapping[str, Condition], elsewhere: Mapping[str, tuple[str, grpc.aio.Channel]]
) -> Callable[[], Awaitable[Mapping[str, str]]]:
    """Make a probe: the parts that serve less well than they should, and why.

    `here` are the conditions of the parts in this process; `elsewhere` the full names of services
    at the end of channels, which tell no more than that something is wrong.
    """

    async def probe() -> Mapping[str, str]:
        names = list(elsewhere)
        well = await asyncio.gather(
            *(_serves(channel, service) for service, channel in elsewhere.values())
        )
        told = {name: condition() for name, condition in here.items()}
        told |= {name: "" if ok else _TOLD for name, ok in zip(names, well, strict=True)}
        return {name: why for name, why in told.items() if why}

    return probe


_TOLD = "says that it works less well than it should; see its log"


def ready(
    channels: Mapping[str, grpc.aio.Channel],
) -> Callable[[], Awaitable[Mapping[str, bool]]]:
    """Make a probe: each part by name, and whether it says that it serves."""

    async def probe() -> Mapping[str, bool]:
        answers = await asyncio.gather(*map(_serves, channels.values()))
        return dict(zip(channels, answers, strict=True))

    return probe


async def _serves(channel: grpc.aio.Channel, service: str = "") -> bool:
    stub: Any = health_pb2_grpc.HealthStub(channel)  # its published types lack its methods
    try:
        answer = await stub.Check(
            health_pb2.HealthCheckRequest(service=service), timeout=PROBE_SECONDS
        )
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
