"""The floor for gRPC: a bare grpc.aio servicer that relays to the upstream with aiohttp."""

import asyncio
import sys
from typing import Any

import grpc
import uvloop
from aiohttp import ClientSession

from protos.integration.v1 import executor_service_pb2 as rpc
from protos.integration.v1.executor_service_pb2_grpc import (
    ExecutorServiceServicer,
    add_ExecutorServiceServicer_to_server,
)
from protos.integration.v1.json_pb2 import Json

HEADERS = {"content-type": "application/json"}


class Relay(ExecutorServiceServicer):
    """Passes the parameters on and the answer back."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def ExecuteMethod(  # noqa: N802 - the contract's name
        self,
        request: rpc.ExecuteMethodRequest,
        context: Any,  # noqa: ARG002 - grpc passes it
    ) -> rpc.ExecuteMethodResponse:
        """Relay one call."""
        body = request.parameters.utf8
        async with self._session.post(self._url, data=body, headers=HEADERS) as answer:
            data = Json(utf8=await answer.read())
        return rpc.ExecuteMethodResponse(status=rpc.ExecuteMethodResponse.SUCCESS, data=data)


async def main(port: int, upstream: int) -> None:
    """Serve until killed."""
    async with ClientSession() as session:
        server = grpc.aio.server()
        servicer = Relay(session, f"http://127.0.0.1:{upstream}/createContact")
        add_ExecutorServiceServicer_to_server(servicer, server)
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
