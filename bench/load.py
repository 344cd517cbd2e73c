"""Load over HTTP/1.1: a fixed time, a fixed number of connections, one request after another.

wrk where it is installed (Debian package `wrk`): it costs a tenth of what a Python client does, and
everything here shares two cores. Else a small asyncio client, good enough for cost per request.
"""

import asyncio
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Target:
    """A request to repeat."""

    port: int
    path: str
    headers: Mapping[str, str]
    body: bytes

    def raw(self) -> bytes:
        """Answer the request as it goes over the wire."""
        headers = {**self.headers, "Host": "127.0.0.1", "Content-Length": str(len(self.body))}
        lines = [f"POST {self.path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
        return "\r\n".join(lines).encode() + self.body


def run(target: Target, *, seconds: float, connections: int = 16) -> int:
    """Send the request over and over; answers how many were answered with success."""
    if shutil.which("wrk"):
        return _wrk(target, seconds, connections)
    return asyncio.run(_asyncio(target, seconds, connections))


def _wrk(target: Target, seconds: float, connections: int) -> int:
    lua = [f"wrk.method = 'POST'\nwrk.body = [==[{target.body.decode()}]==]"]
    lua += [f"wrk.headers['{name}'] = '{value}'" for name, value in target.headers.items()]
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "request.lua"
        script.write_text("\n".join(lua))
        url = f"http://127.0.0.1:{target.port}{target.path}"
        shape = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
        arguments = ["wrk", *shape, "-s", str(script), url]
        said = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said:
        raise RuntimeError(f"errors under load:\n{said}")
    found = re.search(r"(\d+) requests in", said)
    return int(found.group(1)) if found else 0


async def _asyncio(target: Target, seconds: float, connections: int) -> int:
    end = time.monotonic() + seconds
    counts = await asyncio.gather(*(_connection(target, end) for _ in range(connections)))
    return sum(counts)


async def _connection(target: Target, end: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    request, count = target.raw(), 0
    while time.monotonic() < end:
        writer.write(request)
        await answer(reader)
        count += 1
    writer.close()
    await writer.wait_closed()
    return count


async def answer(reader: asyncio.StreamReader) -> bytes:
    """Read one answer; raises `RuntimeError` unless it is a success."""
    head = await reader.readuntil(b"\r\n\r\n")
    found = re.search(rb"(?i)content-length: (\d+)", head)
    body = await reader.readexactly(int(found.group(1)) if found else 0)
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"an error under load: {head!r} {body!r}")
    return body
