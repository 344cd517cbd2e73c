"""Whole systems for journeys: everything in one process, or each part for itself over gRPC."""

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientSession

from services.process import Running, running
from services.runtime.channel import Remote, connect
from services.settings import Settings, parse
from services.wiring import DESCRIPTORS
from tests.journeys.doors import Door, RestDoor, RpcDoor

EVERYTHING = (*DESCRIPTORS, "gateway")
BASICS: Mapping[str, object] = {
    "rest": "127.0.0.1:0",
    "grpc": "127.0.0.1:0",
    "egress_allow": "127.0.0.0/8",
    "drain_seconds": "1",
}


@dataclass(frozen=True, slots=True)
class House:
    """A running system: its REST, its rpcs over gRPC and in process, and the admin's key."""

    key: str
    rest: str
    over_grpc: Remote
    in_process: Running
    session: ClientSession
    data_dir: Path

    def door(self, name: str, key: str | None = None) -> Door:
        """Answer the door `rest`, `grpc` or `in_process`, for the admin or whoever has `key`."""
        chosen = self.key if key is None else key
        if name == "rest":
            return RestDoor(self.session, self.rest, chosen)
        dispatch = self.over_grpc if name == "grpc" else self.in_process.system.dispatch
        return RpcDoor(dispatch, chosen)


@asynccontextmanager
async def one_process(data_dir: Path, **more: object) -> AsyncIterator[House]:
    """Run everything in this process."""
    settings = parse({}, {}, {**BASICS, "data_dir": str(data_dir), **more})
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(running(settings, EVERYTHING))
        channel = await _channel(stack, process.grpc_port)
        over_grpc = Remote(dict.fromkeys(DESCRIPTORS.values(), channel))
        session = await stack.enter_async_context(ClientSession())
        rest = f"http://127.0.0.1:{process.rest_port}"
        yield House(process.keys.admin, rest, over_grpc, process, session, data_dir)


@asynccontextmanager
async def split(data_dir: Path, **more: object) -> AsyncIterator[House]:
    """Run four services and a gateway that know each other by address only."""
    keys = {"admin_key": "is_live_admin_test", "service_key": "is_live_service_test"}
    # Two of them need each other, so each one's address is known before it starts.
    ports = {name: free_port() for name in DESCRIPTORS}
    addresses = {f"{name}_address": f"127.0.0.1:{port}" for name, port in ports.items()}
    channels = {}
    async with AsyncExitStack() as stack:
        for name, descriptor in DESCRIPTORS.items():
            grpc = {"grpc": addresses[f"{name}_address"]}
            settings = _part(data_dir / name, {**more, **keys, **addresses, **grpc})
            process = await stack.enter_async_context(running(settings, [name]))
            channels[descriptor] = await _channel(stack, process.grpc_port)
        settings = _part(data_dir / "gateway", {**more, **keys, **addresses})
        gateway = await stack.enter_async_context(running(settings, ["gateway"]))
        session = await stack.enter_async_context(ClientSession())
        rest = f"http://127.0.0.1:{gateway.rest_port}"
        yield House(keys["admin_key"], rest, Remote(channels), gateway, session, data_dir)


def free_port() -> int:
    """Answer a port that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _part(data_dir: Path, flags: Mapping[str, object]) -> Settings:
    return parse({}, {}, {**BASICS, **flags, "data_dir": str(data_dir)})


async def _channel(stack: AsyncExitStack, port: int):  # noqa: ANN202 - grpc.aio.Channel has no public type here
    channel = connect(f"127.0.0.1:{port}")
    stack.push_async_callback(channel.close)
    return channel
