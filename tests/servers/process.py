"""Runs one of our Node scripts for as long as somebody needs it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiohttp import ClientSession

from tests.servers.install import install

START_SECONDS = 30
STOP_SECONDS = 10


class ServerFailed(Exception):
    """A server did not start, or a control request failed; the message holds what it said."""


@asynccontextmanager
async def node_server(script: str, options: Mapping[str, Any]) -> AsyncIterator[str]:
    """Run a script of `node/`; yields the issuer, which is its address on loopback.

    The process ends with the block, and by itself when whoever started it is gone. It may be used
    from other event loops than the one that started it. Raises `InstallFailed`, `ServerFailed`.
    """
    installed = await asyncio.to_thread(install)
    with TemporaryDirectory(prefix="server-") as directory:
        log = Path(directory) / "log"
        with log.open("wb") as sink:
            process = await asyncio.create_subprocess_exec(
                installed.node,
                str(installed.scripts / script),
                json.dumps(options),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=sink,
            )
        try:
            line = await _first_line(process)
            if not line:
                raise ServerFailed(f"{script} did not start:\n{_end_of(log)}")
            yield str(json.loads(line)["issuer"])
        finally:
            await _stop(process)


async def control(issuer: str, action: str, **parameters: Any) -> Any:
    """Steer a server. Raises `ServerFailed`."""
    async with (
        ClientSession() as session,
        session.post(f"{issuer}/control/{action}", json=parameters) as response,
    ):
        if response.status != 200:
            raise ServerFailed(f"{action} failed: {await response.text()}")
        return await response.json()


async def _first_line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    async with asyncio.timeout(START_SECONDS):
        return await process.stdout.readline()


def _end_of(log: Path) -> str:
    return log.read_text()[-4000:]


async def _stop(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
