"""A process that is told to end while it works, on both of its doors."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientConnectorError, ClientSession, web

from services.runtime.channel import Remote, connect
from services.wiring import DESCRIPTORS
from tests.journeys.conftest import served
from tests.journeys.doors import Door, Refused, RestDoor, Result, RpcDoor

START_SECONDS = 60
DEFINITION = {
    "name": "Patience",
    "version": "1.0.0",
    "type": "http",
    "authType": "none",
    "configSchema": {"type": "object", "properties": {"baseUrl": {"type": "string"}}},
    "methods": [{"name": "wait", "http": {"method": "GET", "path": "/wait"}}],
}


class Upstream:
    """An API whose answers are late."""

    def __init__(self, seconds: float) -> None:
        self.asked = asyncio.Semaphore(0)
        self._seconds = seconds

    def app(self) -> web.Application:
        """Answer the application."""
        app = web.Application()
        app.router.add_get("/wait", self._wait)
        return app

    async def _wait(self, _: web.Request) -> web.Response:
        self.asked.release()
        await asyncio.sleep(self._seconds)
        return web.json_response({"waited": True})


@dataclass(frozen=True, slots=True)
class Process:
    """A process that serves everything, its doors, and an instance in it."""

    process: asyncio.subprocess.Process
    session: ClientSession
    rest: str
    doors: tuple[Door, Door]
    instance: str


@asynccontextmanager
async def process(data_dir: Path, upstream: str, drain_seconds: int) -> AsyncIterator[Process]:
    """Run the command with a connected instance."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services", "serve", "--data-dir", str(data_dir)),
        *("--rest", "127.0.0.1:0", "--grpc", "127.0.0.1:0"),
        env={
            **os.environ,  # noqa: TID251 - the child needs PATH and HOME
            "INTEGRATION_EGRESS_ALLOW": "127.0.0.0/8",
            "INTEGRATION_DRAIN_SECONDS": str(drain_seconds),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        places = await greeting(child)
        key = (data_dir / "admin-key").read_text().strip()
        channel = connect(places["gRPC"])
        async with ClientSession() as session, channel:
            rest = RestDoor(session, places["REST"], key)
            over_grpc = RpcDoor(Remote(dict.fromkeys(DESCRIPTORS.values(), channel)), key)
            definition = await rest.register(json.dumps(DEFINITION).encode())
            instance = await rest.connect(definition["id"], {"baseUrl": upstream})
            yield Process(child, session, places["REST"], (rest, over_grpc), instance["id"])
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def greeting(child: asyncio.subprocess.Process) -> dict[str, str]:
    """Answer where the process says that it listens."""
    places = {}
    assert child.stdout is not None
    async with asyncio.timeout(START_SECONDS):
        while "data" not in places:
            words = (await child.stdout.readline()).decode().split()
            places[words[0]] = words[-1]
    return places


async def call_and_stop(
    running: Process, upstream: Upstream, number: signal.Signals
) -> list[asyncio.Task[Result]]:
    """Begin a call on each door and send the signal; answers the calls."""
    calls = [asyncio.create_task(door.execute(running.instance, "wait")) for door in running.doors]
    async with asyncio.timeout(20):
        for _ in calls:
            await upstream.asked.acquire()
    running.process.send_signal(number)
    await asyncio.sleep(0.5)
    return calls


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_running_calls_finish_and_new_ones_are_refused(
    tmp_path: Path, number: signal.Signals
) -> None:
    """At a signal both doors are shut at once, and those inside are served to the end."""
    upstream = Upstream(seconds=3)
    async with (
        served(upstream.app()) as url,
        process(tmp_path / "data", url, drain_seconds=30) as running,
    ):
        calls = await call_and_stop(running, upstream, number)
        assert not any(call.done() for call in calls)
        with pytest.raises(ClientConnectorError):
            await running.session.get(f"{running.rest}/readyz")
        with pytest.raises(Refused) as refused:
            await running.doors[1].execute(running.instance, "wait")
        assert refused.value.code == "TEMPORARY_ERROR"
        for result in await asyncio.gather(*calls):
            assert result.value == {"waited": True}
        async with asyncio.timeout(20):
            assert await running.process.wait() == 0


async def test_calls_that_take_too_long_are_ended_with_an_answer(tmp_path: Path) -> None:
    """Both doors wait for the same seconds; what runs then is told that it may come back."""
    upstream = Upstream(seconds=25)
    async with (
        served(upstream.app()) as url,
        process(tmp_path / "data", url, drain_seconds=2) as running,
    ):
        calls = await call_and_stop(running, upstream, signal.SIGTERM)
        started = time.monotonic()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert await running.process.wait() == 0
        assert time.monotonic() - started < 15
        for outcome in outcomes:
            assert isinstance(outcome, Refused)
            assert (outcome.code, outcome.retryable) == ("TEMPORARY_ERROR", True)
            assert "being stopped" in outcome.message
        assert running.process.stderr is not None
        assert b"Traceback" not in await running.process.stderr.read()
