"""How an rpc is called when it does not matter where it runs."""

from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

Metadata = Sequence[tuple[str, str]]


class CallFailed(Exception):
    """An rpc ended with an error: `status` is what the server sent, details and all."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status


class Dispatch(Protocol):
    """Calls a unary rpc, over a channel or in this process, through the same interceptors."""

    def __call__(
        self, method: str, request: Message, metadata: Metadata, timeout: float | None
    ) -> Coroutine[Any, Any, Message]:
        """Answer the response of `method` (`/integration.v1.Service/Method`).

        `metadata` has lower-case keys; `timeout` is in seconds, None for the server's default.
        Raises `CallFailed`, and nothing else but cancellation.
        """
        ...
