"""The containers of docker-compose.yml as processes on loopback: no container engine is needed.

The very commands, environments and health checks that the file names are run, in the order of its
dependencies. Names of services become ports, volumes become directories.
"""

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from socket import create_server
from typing import Any

import yaml

from services.settings import PREFIX, Settings

COMPOSE: dict[str, Any] = yaml.safe_load(Path("docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = Path("Dockerfile").read_text().replace("\\\n", " ")
PARTS = {
    name: service["command"][1:]
    for name, service in SERVICES.items()
    if service["command"][0] == "serve"
}
START_SECONDS = 60
STOP_SECONDS = 10
OWN = ("0.0.0.0", "127.0.0.1")  # noqa: S104 - as the file writes them
# The scenarios' upstream is on loopback. That is this test's business and not the file's.
FOR_THE_TEST = {"executor": {"INTEGRATION_EGRESS_ALLOW": "127.0.0.0/8"}}


def instructions(name: str) -> list[str]:
    """Answer the arguments of every such instruction of the Dockerfile."""
    return re.findall(rf"^{name}\s+(.*)$", DOCKERFILE, re.MULTILINE)


def image_environment() -> dict[str, str]:
    """Answer the settings that the image brings along."""
    pairs = " ".join(instructions("ENV")).split()
    return dict(pair.split("=", 1) for pair in pairs if pair.startswith(PREFIX))


def image_volumes() -> list[str]:
    """Answer what would be an anonymous volume unless something is mounted there."""
    return " ".join(instructions("VOLUME")).split()


def environment(name: str) -> dict[str, str]:
    """Answer the settings of one container: the image's, and its own above them."""
    return {**image_environment(), **SERVICES[name].get("environment", {})}


@dataclass
class Containers:
    """What `docker compose up` would run, as processes below one directory."""

    root: Path
    ports: dict[tuple[str, str], int]
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def start(self) -> None:
        """Start everything in the order of its dependencies, and wait until it is well."""
        sorter = TopologicalSorter(
            {name: service.get("depends_on", {}) for name, service in SERVICES.items()}
        )
        sorter.prepare()
        while sorter.is_active():
            ready = sorter.get_ready()
            async with asyncio.timeout(START_SECONDS):
                await asyncio.gather(*map(self._start, ready))
            sorter.done(*ready)

    async def stop(self) -> dict[str, int]:
        """End every part in reverse order with SIGTERM; answers the exit codes."""
        codes = {}
        for name, process in reversed(self.processes.items()):
            process.terminate()
            async with asyncio.timeout(STOP_SECONDS):
                codes[name] = await process.wait()
        self.processes.clear()
        return codes

    async def kill(self) -> None:
        """End whatever is still there."""
        for process in self.processes.values():
            if process.returncode is None:
                process.kill()
            await process.wait()

    def volume(self, name: str) -> Path:
        """Answer the directory that stands for a volume, or for a container's tmpfs."""
        path = self.root / "volumes" / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def log(self, name: str) -> str:
        """Answer what a container has written."""
        return (self.root / f"{name}.log").read_text()

    def url(self) -> str:
        """Answer where the published port is."""
        return f"http://127.0.0.1:{self.ports['gateway', '8080']}"

    async def _start(self, name: str) -> None:
        service = SERVICES[name]
        [entry] = json.loads(instructions("ENTRYPOINT")[0])
        process = await self._run(name, [str(Path(sys.executable).with_name(entry))])
        if "healthcheck" not in service:
            assert await process.wait() == 0, self.log(name)
            return
        self.processes[name] = process
        # Listening is cheap to see; a health check costs the start of a program.
        while not await self._listens(name) or await self._ask(name) != 0:
            assert process.returncode is None, self.log(name)
            await asyncio.sleep(0.1)

    async def _listens(self, name: str) -> bool:
        port = next(port for (owner, _), port in self.ports.items() if owner == name)
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    async def _run(self, name: str, entry: list[str]) -> asyncio.subprocess.Process:
        settings = environment(name) | FOR_THE_TEST.get(name, {})
        local = {key: self._local(name, value) for key, value in settings.items()}
        with (self.root / f"{name}.log").open("w") as log:
            return await asyncio.create_subprocess_exec(
                *entry,
                *SERVICES[name]["command"],
                env={"HOME": str(self.root), **local},
                cwd=self.volume(f"{name}:/"),
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
            )

    async def _ask(self, name: str) -> int:
        """Run the container's own health check; answers its exit code."""
        kind, program, *arguments = SERVICES[name]["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "python")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(self._local(name, argument) for argument in arguments),
            stderr=asyncio.subprocess.DEVNULL,
        )
        return await process.wait()

    def _local(self, name: str, text: str) -> str:
        """Answer a text of the file in terms of this machine."""
        if text == "/cache":  # what is in it is the same for all, and takes seconds to make
            return str(Settings().cache_dir)
        for target, source in mounts(name):
            if text == target or text.startswith(f"{target}/"):
                return f"{self.volume(source)}{text.removeprefix(target)}"
        return re.sub(r"\b([\w.-]+):(\d+)\b", lambda found: self._address(name, found), text)

    def _address(self, name: str, found: re.Match[str]) -> str:
        host, port = found.groups()
        owner = name if host in OWN else host
        return f"127.0.0.1:{self.ports[owner, port]}"


def mounts(name: str) -> Iterator[tuple[str, str]]:
    """Answer where a container sees which volume; a tmpfs is a volume of its own."""
    for volume in SERVICES[name].get("volumes", []):
        source, target, *_ = volume.split(":")
        yield target, source
    for mount in SERVICES[name].get("tmpfs", []):
        target = mount.split(":")[0]
        yield target, f"{name}:{target.strip('/')}"


def free_ports() -> dict[tuple[str, str], int]:
    """Answer a free port on loopback for each that a container listens on; all are different."""
    wanted = [(name, "8080" if name == "gateway" else "50051") for name in PARTS]
    servers = [create_server(("127.0.0.1", 0)) for _ in wanted]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return dict(zip(wanted, ports, strict=True))
