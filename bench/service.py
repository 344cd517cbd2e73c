"""The service under measurement, with an instance of the CRM example to execute."""

import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.load import Target
from bench.processes import environment
from tests.journeys.scenarios import CONTACT

PARAMETERS = json.dumps(CONTACT).encode()
EXECUTE_BODY = b'{"parameters":' + PARAMETERS + b"}"
JSON_TYPE = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Service:
    """The service under measurement, with an instance of the CRM example."""

    pid: int
    rest: int
    grpc: int
    key: str
    instance: str

    def target(self) -> Target:
        """Answer the execution over REST."""
        path = f"/api/v1/integration-instances/{self.instance}/methods/createContact/execute"
        headers = {"Authorization": f"Bearer {self.key}", **JSON_TYPE}
        return Target(self.rest, path, headers, EXECUTE_BODY)


@contextmanager
def running_service(upstream: int, data_dir: Path | None = None) -> Iterator[Service]:
    """Serve everything in one process, with data of its own or in the directory given."""
    with ExitStack() as stack:
        directory = data_dir or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        process = _serve(directory)
        try:
            ports = _ports(process)
            key = (directory / "admin-key").read_text().strip()
            yield Service(process.pid, *ports, key, _instance(directory, ports[0], key, upstream))
        finally:
            process.terminate()
            process.wait(20)


def _serve(directory: Path) -> "subprocess.Popen[str]":
    flags = ["--data-dir", str(directory), "--rest", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
    return subprocess.Popen(
        [sys.executable, "-m", "services", "serve", *flags],
        env={**environment(), "INTEGRATION_EGRESS_ALLOW": "127.0.0.0/8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _ports(process: "subprocess.Popen[str]") -> tuple[int, int]:
    if process.stdout is None:
        raise RuntimeError("the service has no output")
    found = []
    for line in process.stdout:
        found += re.findall(r"127\.0\.0\.1:(\d+)", line)
        if " data " in line:
            return int(found[0]), int(found[1])
    raise RuntimeError("the service did not start")


def _instance(directory: Path, port: int, key: str, upstream: int) -> str:
    """Answer the id of the instance in this data directory, made when it is not there yet."""
    known = directory / "bench-instance"
    if not known.exists():
        definition = Path("examples/definitions/crm.json").read_bytes()
        registered = post(port, "/api/v1/integration-definitions", key, definition)
        config = {"baseUrl": f"http://127.0.0.1:{upstream}", "apiKey": "k"}
        body = {"integrationDefinitionId": registered["id"], "name": "bench", "config": config}
        text = json.dumps(body).encode()
        known.write_text(post(port, "/api/v1/integration-instances", key, text)["id"])
    return known.read_text()


def post(port: int, path: str, key: str, body: bytes) -> Any:
    """Send a request; answers what came back, parsed."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=body,
        headers={"Authorization": f"Bearer {key}", **JSON_TYPE},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())
