"""The main job, visibly: define an API, connect to it, execute its methods through REST.

`make demo` runs it: a small CRM on loopback, the service on embedded defaults beside it, every
request and every answer on the screen. `make demo KEEP=1` leaves both running.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, web
from rich.console import Console
from rich.json import JSON
from rich.panel import Panel

from examples.crm import API_KEY, Crm

DEFINITIONS = Path(__file__).parent / "definitions"
CONTACT = {
    "firstName": "Jane",
    "lastName": "Smith",
    "email": "jane.smith@example.com",
    "phone": "+1-555-123-4567",
    "company": "Acme Inc.",
    "title": "Product Manager",
}
START_SECONDS = 60

console = Console(highlight=False)


class DemoFailed(Exception):
    """Something did not come out as promised."""


class Api:
    """The service's REST, shown while it is used."""

    def __init__(self, session: ClientSession, base_url: str) -> None:
        self._session = session
        self._base_url = base_url

    async def post(self, path: str, body: Mapping[str, Any], shown: Any = None) -> dict[str, Any]:
        """Send a request and show it with its answer; raises `DemoFailed` unless it succeeds."""
        console.print(f"\n[bold cyan]POST[/] [cyan]{path}[/]")
        console.print(JSON(json.dumps(shown or body)))
        async with self._session.post(f"{self._base_url}{path}", json=body) as response:
            answer: dict[str, Any] = await response.json()
            color = "green" if response.ok else "red"
            console.print(f"[bold {color}]{response.status}[/]")
            console.print(JSON(json.dumps(answer)))
            if not response.ok:
                raise DemoFailed(f"POST {path} answered {response.status}")
        return answer


async def main(*, keep: bool) -> None:
    """Run the demo; raises `DemoFailed`."""
    async with AsyncExitStack() as stack:
        crm = Crm()
        upstream = await stack.enter_async_context(_upstream(crm))
        data_dir = Path("data/demo") if keep else Path(stack.enter_context(_directory()))
        base_url = await stack.enter_async_context(_service(data_dir))
        key = (data_dir / "admin-key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        session = await stack.enter_async_context(ClientSession(headers=headers))
        await _main_job(Api(session, base_url), upstream)
        _show_what_arrived(crm)
        if keep:
            console.print(
                f"\nStill running: {base_url} (key in {data_dir}/admin-key); Ctrl-C ends."
            )
            await asyncio.Event().wait()


async def _main_job(api: Api, upstream: str) -> None:
    config = {"baseUrl": upstream, "apiKey": API_KEY}
    crm = await _connect(api, "crm.json", "Our CRM", config)
    path = f"/api/v1/integration-instances/{crm}/methods/createContact/execute"
    created = await api.post(path, {"parameters": CONTACT})
    _expect(created["data"]["fullName"] == "Jane Smith", created)

    users = await _connect(api, "users.json", "Our users", config)
    path = f"/api/v1/integration-instances/{users}/methods/getUsers/execute"
    listed = await api.post(path, {"parameters": {"limit": 5}})
    _expect(listed["data"]["pagination"]["page"] == 1, listed)


async def _connect(api: Api, file: str, name: str, config: Mapping[str, Any]) -> str:
    definition = json.loads((DEFINITIONS / file).read_text())
    console.rule(f"[bold]{definition['name']}[/]")
    shown = {**definition, "methods": f"… see examples/definitions/{file}", "configSchema": "…"}
    registered = await api.post("/api/v1/integration-definitions", definition, shown)
    request = {"integrationDefinitionId": registered["id"], "name": name, "config": config}
    connected = await api.post("/api/v1/integration-instances", request)
    _expect(connected["status"] == "CONNECTED", connected)
    instance_id: str = connected["id"]
    return instance_id


def _show_what_arrived(crm: Crm) -> None:
    console.rule("[bold]What the upstream received[/]")
    for request in crm.received:
        target = f"{request.path}?{request.query}" if request.query else request.path
        authorization = request.headers["Authorization"]
        lines = (
            f"{request.method} {target}\nAuthorization: {authorization}\n{request.body.decode()}"
        )
        console.print(Panel(lines.strip(), expand=False))


def _expect(condition: bool, answer: Mapping[str, Any]) -> None:  # noqa: FBT001 - reads like assert
    if not condition:
        raise DemoFailed(f"unexpected answer: {answer}")


@asynccontextmanager
async def _upstream(crm: Crm) -> AsyncIterator[str]:
    runner = web.AppRunner(crm.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@asynccontextmanager
async def _service(data_dir: Path) -> AsyncIterator[str]:
    arguments = [
        "serve",
        "--data-dir",
        str(data_dir),
        "--rest",
        "127.0.0.1:0",
        "--grpc",
        "127.0.0.1:0",
    ]
    # The upstream is on loopback, which the service does not call unless its operator says so.
    environment = {**os.environ, "INTEGRATION_EGRESS_ALLOW": "127.0.0.0/8"}
    console.print("Starting the service on embedded defaults …")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services",
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            yield await _address(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    if process.stdout is None:
        raise DemoFailed("the service has no output")
    async for line in process.stdout:
        found = re.search(rb"http://[\d.]+:\d+", line)
        if found:
            return found.group().decode()
    raise DemoFailed("the service did not start; its own words are above")


def _directory() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="integration-demo-")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    try:
        asyncio.run(main(keep=parser.parse_args().keep))
    except DemoFailed as error:
        console.print(f"[bold red]The demo failed:[/] {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(0)
    console.print("\n[bold green]Done:[/] two definitions, two instances, two executions.")
