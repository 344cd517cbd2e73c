"""Calls servicers in this process: the same interceptors as over a socket, and no socket."""

import asyncio
from collections.abc import Mapping

from google.protobuf.message import Message

from services.runtime.call import Call
from services.runtime.dispatch import Dispatch, Metadata
from services.runtime.interceptors import Answering, Endpoint


class InProcess:
    """A `Dispatch` over endpoints that live here; other rpcs go where `otherwise` takes them."""

    def __init__(self, endpoints: Mapping[str, Endpoint], otherwise: Dispatch) -> None:
        self._endpoints = endpoints
        self._otherwise = otherwise

    def __call__(
        self, method: str, request: Message, metadata: Metadata, timeout: float | None
    ) -> Answering:
        """Run the endpoint of `method`; raises `CallFailed`."""
        endpoint = self._endpoints.get(method)
        if endpoint is None:
            return self._otherwise(method, request, metadata, timeout)
        call = Call(method=method, metadata=dict(metadata))
        if timeout is not None:
            call.deadline = asyncio.get_running_loop().time() + timeout
        return endpoint(request, call)
