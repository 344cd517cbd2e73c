"""A whole system of real processes on loopback, any of which can be killed and started again."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.runtime.channel import Remote, connect
from services.wiring import DESCRIPTORS, NEEDS
from tests.faults.launcher import COMMAND, Faults
from tests.journeys.doors import RpcDoor
from tests.journeys.houses import free_port

ADMIN_KEY = "is_live_admin_faults"
START_SECONDS = 30
_SHOWN = 10_000  # bytes of each log, when a test fails
_READY = b"Integration Service is ready."


@dataclass
class Member:
    """One process: what it serves, where, and what it was started with."""

    name: str
    part: str
    port: int
    data_dir: Path
    environment: Mapping[str, str]
    command: tuple[str, ...] = ("-m", "services", "serve")
    process: asyncio.subprocess.Process | None = None
    log: bytearray = field(default_factory=bytearray)
    reading: asyncio.Task[None] | None = None

    async def start(self, **more: str) -> None:
        """Start it, and wait until it serves."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self.command,
            *self.part.split(),
            "--data-dir",
            str(self.data_dir),
            env={**os.environ, **self.environment, **more},  # noqa: TID251 - needs PATH and HOME
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert self.process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            while line := await self.process.stdout.readline():
                self.log += line
                if _READY in line:
                    break
            else:
                raise AssertionError(self.log.decode())
        self.reading = asyncio.create_task(self._read(self.process.stdout))

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(65_536):
            self.log += chunk

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; answers its exit code."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        code = await self.process.wait()
        await self._read_all()
        return code

    async def killed(self) -> None:
        """Wait until it has died of its own."""
        assert self.process is not None
        await self.process.wait()
        await self._read_all()

    async def _read_all(self) -> None:
        if self.reading is not None:  # it had come as far as to serve
            await self.reading


@dataclass
class Cluster:
    """The processes by name, and doors to them."""

    root: Path
    members: dict[str, Member]
    stack: AsyncExitStack

    def door(self, **served_by: str) -> RpcDoor:
        """Answer a way in; `served_by` names the member for a part where there are several."""
        channels = {}
        for part, descriptor in DESCRIPTORS.items():
            name = served_by.get(part) or next(
                name for name, member in self.members.items() if part in member.part.split()
            )
            channel = connect(f"127.0.0.1:{self.members[name].port}")
            self.stack.push_async_callback(channel.close)
            channels[descriptor] = channel
        return RpcDoor(Remote(channels), ADMIN_KEY)


def _members(root: Path, more: Mapping[str, str], executors: int, credentials: int) -> list[Member]:
    """Plan a core, executors, and credential processes over one data directory.

    Executors take turns in which credential process they ask.
    """
    ports = {"core": free_port()}
    ports |= {f"credentials{number}": free_port() for number in range(credentials)}
    ports |= {f"executor{number}": free_port() for number in range(executors)}
    core = f"127.0.0.1:{ports['core']}"
    made = []
    for name, port in ports.items():
        number = int(name[-1]) if name[-1].isdecimal() else 0
        environment = {
            "INTEGRATION_GRPC": f"127.0.0.1:{port}",
            "INTEGRATION_ADMIN_KEY": ADMIN_KEY,
            "INTEGRATION_SERVICE_KEY": "is_live_service_faults",
            "INTEGRATION_EGRESS_ALLOW": "127.0.0.0/8",
            "INTEGRATION_REGISTRY_ADDRESS": core,
            "INTEGRATION_TRANSFORMER_ADDRESS": core,
            "INTEGRATION_CREDENTIALS_ADDRESS": (
                f"127.0.0.1:{ports[f'credentials{number % credentials}']}"
            ),
            "INTEGRATION_DRAIN_SECONDS": "1",
            **more,
        }
        part = {"c": "credentials", "e": "executor"}[name[0]] if name != "core" else ""
        directory = "credentials" if part == "credentials" else name
        made.append(
            Member(name, part or "registry transformer", port, root / directory, environment)
        )
    return made


@asynccontextmanager
async def cluster(
    root: Path,
    *,
    executors: int = 1,
    credentials: int = 1,
    faults: Sequence[Faults] = (),
    **more: str,
) -> AsyncIterator[Cluster]:
    """Run a core (registry, transformer), executors, credential processes; `more` are settings.

    `faults` are those of the credential processes, in turn; none: those are as good as they are.
    """
    assert NEEDS["credentials"] == {"registry"}
    members = {member.name: member for member in _members(root, more, executors, credentials)}
    for number, fault in enumerate(faults):
        member = members[f"credentials{number}"]
        member.command = COMMAND
        member.environment = {**member.environment, **fault.environment()}
    async with AsyncExitStack() as stack:
        for member in members.values():
            member.data_dir.mkdir(parents=True, exist_ok=True)
        for member in members.values():
            stack.push_async_callback(_end, member)
        await members["core"].start()
        async with asyncio.TaskGroup() as starting:
            for member in members.values():
                if member.name != "core":
                    starting.create_task(member.start())
        try:
            yield Cluster(root, members, stack)
        except BaseException:
            for member in members.values():
                sys.stderr.write(f"--- {member.name}\n{member.log[-_SHOWN:].decode()}\n")
            raise


async def _end(member: Member) -> None:
    if member.process is not None:
        await member.stop(signal.SIGKILL)
