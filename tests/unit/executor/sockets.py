"""Upstreams that speak, or do not speak, HTTP as they are told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest

from executor.errors import (
    ExecutorError,
)
from executor.model import HttpRequest
from executor.sender import AiohttpSender

Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class StartRaw(Protocol):
    """Starts a server; `heads` is given the heads of its requests."""

    async def __call__(self, serve: Raw, heads: list[bytes] | None = None) -> str:
        """Answer the server's address."""
        ...


def answer(*pieces: bytes) -> Raw:
    """Answer these bytes and close."""

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
        await writer.drain()

    return serve


def packed(body: bytes, encoding: bytes = b"gzip") -> Raw:
    """Answer a body in a content encoding."""
    return answer(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
        % (encoding, len(body)),
        body,
    )


async def failure(sender: AiohttpSender, url: str, timeout: float = 5.0) -> ExecutorError:
    """Answer the error that a GET ends with."""
    with pytest.raises(ExecutorError) as caught:
        await sender.send(HttpRequest("GET", url), timeout)
    return caught.value
