"""One process: starts its parts, says where they are, and stops them in order on a signal."""

import asyncio
import gc
import logging
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import uvloop

from credentials.errors import CredentialsError
from credentials.live_secrets import LiveSecrets
from registry.errors import RegistryError
from services.keys import Keys, load_keys, make_data_dir
from services.runtime import telemetry
from services.runtime.health import degraded, ready
from services.runtime.server import GrpcServer, ServerOptions
from services.settings import InvalidSettings, Settings
from services.wiring import DESCRIPTORS, System, assembled, migrated
from transformer.errors import EngineUnavailable

log = logging.getLogger("integration.process")

# Requests leave hardly any cycles; collecting as often as Python does by itself took some 4 % of a
# profile.
GARBAGE_THRESHOLD = 10_000

# What an operator has to put right; each says what, where and how.
CANNOT_START = (CredentialsError, EngineUnavailable, RegistryError)


@dataclass(frozen=True, slots=True)
class Running:
    """Where a running process listens: ports, 0 for what it does not serve."""

    system: System
    keys: Keys
    rest_port: int = 0
    grpc_port: int = 0


def run(settings: Settings, names: Collection[str]) -> int:
    """Serve until SIGTERM or SIGINT; answers the exit code."""
    _stop_core_dumps()
    secrets = LiveSecrets()
    telemetry.configure(settings.log_level, settings.log_format, secrets)
    return _told(lambda: uvloop.run(_serve(settings, names, secrets)))


def _stop_core_dumps() -> None:
    """Keep the secrets in memory out of files.

    A limit of 0 stops dumps to files only, one of 1 also those that are piped to a program: Linux,
    fs/coredump.c.
    """
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    limit = 0 if most == 0 else 1
    resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))


def migrate_databases(settings: Settings) -> int:
    """Bring the databases to this release's schema; answers the exit code."""
    make_data_dir(settings)
    return _told(lambda: asyncio.run(_migrate(settings)))


async def _migrate(settings: Settings) -> int:
    await migrated(settings)
    sys.stdout.write("The databases are at this release's schema.\n")
    return 0


def _told(action: Callable[[], int]) -> int:
    """Tell an operator what has to be put right, with what lies behind it."""
    try:
        return action()
    except CANNOT_START as error:
        behind = f" ({error.__cause__})" if error.__cause__ else ""
        sys.stderr.write(f"integration-service: {error}{behind}\n")
        return 1


@asynccontextmanager
async def running(
    settings: Settings, names: Collection[str], secrets: LiveSecrets | None = None
) -> AsyncIterator[Running]:
    """Run the named parts; on leaving, refuse new calls, let running ones finish, and let go.

    `secrets` are told every secret that is used. Raises `InvalidSettings` for what cannot be
    started as it is set.
    """
    make_data_dir(settings)
    keys = load_keys(settings)
    secrets = secrets or LiveSecrets()
    secrets.add(keys.admin, keys.service)
    async with assembled(settings, names, keys, secrets) as system:
        doors = _doors(settings, names, system)
        async with _open(doors):
            ports = {name: door.port for name, door in doors.items()}
            yield Running(system, keys, ports.get("rest", 0), ports.get("grpc", 0))


async def _serve(settings: Settings, names: Collection[str], secrets: LiveSecrets) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings, names, secrets) as process:
        _settle()
        _greet(settings, process)
        await stop.wait()
        log.info("stopping: running calls may finish")
    return 0


def _settle() -> None:
    """Spare the collector what the start has made: it lives as long as the process does.

    Nothing is collected before: a start leaves next to no cycles, and looking for them takes 0.1 s.
    """
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    gc.enable()


class Door(Protocol):
    """A server that callers come in through."""

    port: int

    async def start(self) -> None:
        """Begin to serve; raises `OSError` when it cannot listen."""
        ...

    async def stop(self) -> None:
        """Refuse new calls, let running ones finish for a while, and end."""
        ...


def _doors(settings: Settings, names: Collection[str], system: System) -> dict[str, Door]:
    """Make the servers that these parts need, by the name of the setting with their address."""
    doors: dict[str, Door] = {}
    if system.services:
        conditions = {
            DESCRIPTORS[name].full_name: condition for name, condition in system.conditions.items()
        }
        options = _grpc_options(settings)
        doors["grpc"] = GrpcServer(system.services, system.endpoints, options, conditions)
    if "gateway" in names:
        # Other parts start without aiohttp.
        from services.gateway.app import Gateway  # noqa: PLC0415
        from services.gateway.rest_server import RestServer  # noqa: PLC0415

        descriptors = list(DESCRIPTORS.values())
        elsewhere = {
            name: (DESCRIPTORS[name].full_name, channel)
            for name, channel in system.channels.items()
        }
        gateway = Gateway(
            descriptors,
            system.dispatch,
            ready=ready(system.channels),
            degraded=degraded(system.conditions, elsewhere),
        )
        doors["rest"] = RestServer(gateway, settings.rest, settings.drain_seconds)
    return doors


def _grpc_options(settings: Settings) -> ServerOptions:
    return ServerOptions(
        address=settings.grpc,
        max_concurrent_rpcs=settings.max_concurrent_rpcs,
        reflection=settings.reflection,
        drain_seconds=settings.drain_seconds,
    )


@asynccontextmanager
async def _open(doors: Mapping[str, Door]) -> AsyncIterator[None]:
    """Open all doors, and on leaving close them at once: one that stays open gets new calls."""
    opened: list[Door] = []
    try:
        for name, door in doors.items():
            await _start(name, door)
            opened.append(door)
        yield
    finally:
        await asyncio.gather(*(door.stop() for door in opened))


async def _start(name: str, door: Door) -> None:
    try:
        await door.start()
    except OSError as error:
        raise InvalidSettings([f"{name}: {error}"]) from error


def _greet(settings: Settings, process: Running) -> None:
    lines = ["Integration Service is ready."]
    if process.rest_port:
        lines.append(f"  REST       http://{settings.rest.rpartition(':')[0]}:{process.rest_port}")
    if process.grpc_port:
        lines.append(f"  gRPC       {settings.grpc.rpartition(':')[0]}:{process.grpc_port}")
    lines.append(f"  data       {settings.data_dir}")
    if process.keys.admin_is_new:
        lines.append(f"  admin key  {process.keys.admin}")
        lines.append(f"             shown this once; kept in {settings.data_dir / 'admin-key'}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
