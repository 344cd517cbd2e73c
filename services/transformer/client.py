"""The transformer where it runs elsewhere."""

from protos.integration.v1 import transformer_service_pb2 as rpc
from protos.integration.v1.json_pb2 import Json
from registry.model import Problem
from services.runtime.call import current_call
from services.runtime.channel import Peer
from services.transformer import wire

SERVICE = "/integration.v1.TransformerService"


class TransformsClient:
    """The executor's `Transforms` and the registry's `ScriptChecker` over gRPC."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def transform(self, source: str, input: bytes, context: bytes, seed: int) -> bytes:  # noqa: A002 - the contract's word
        """Answer the JSON text that the script makes of `input`; raises `TransformFailed`."""
        request = rpc.TransformRequest(
            source=source, input=Json(utf8=input), context=Json(utf8=context), seed=seed
        )
        method = f"{SERVICE}/Transform"
        answer = await self._peer.call(method, request, rpc.TransformResponse, _tenant())
        return answer.output.utf8

    async def check(self, source: str) -> tuple[Problem, ...]:
        """Answer what is wrong with a script."""
        request = rpc.CheckTransformRequest(source=source)
        method = f"{SERVICE}/CheckTransform"
        answer = await self._peer.call(method, request, rpc.CheckTransformResponse, _tenant())
        return tuple(wire.registry_problem(found) for found in answer.problems)


def _tenant() -> str:
    # A transform belongs to nobody; the tenant is named for the limits and logs of the other side.
    call = current_call.get()
    return call.tenant if call else ""
