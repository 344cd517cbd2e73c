"""The transformer's servicer."""

from collections.abc import Callable
from datetime import datetime

from protos.integration.v1 import transformer_service_pb2 as rpc
from services.runtime.call import Call
from services.transformer import wire
from transformer.model import Call as TransformCall
from transformer.model import Script
from transformer.transform import Transformer


class TransformerServicer:
    """Serves `integration.v1.TransformerService`."""

    def __init__(self, transformer: Transformer, clock: Callable[[], datetime]) -> None:
        self._transformer = transformer
        self._clock = clock

    async def CheckTransform(
        self, request: rpc.CheckTransformRequest, call: Call
    ) -> rpc.CheckTransformResponse:
        """Compile a script and say what is wrong with it."""
        diagnostics = await self._transformer.check(Script(request.source))
        return rpc.CheckTransformResponse(
            ok=diagnostics.ok, problems=[wire.problem(found) for found in diagnostics.problems]
        )

    async def Transform(self, request: rpc.TransformRequest, call: Call) -> rpc.TransformResponse:
        """Run a script."""
        outcome = await self._transformer.transform(
            Script(request.source),
            TransformCall(
                input=request.input.utf8,
                context=request.context.utf8 or b"{}",
                now_ms=request.now_ms or int(self._clock().timestamp() * 1000),
                seed=request.seed,
            ),
        )
        return wire.outcome(outcome)
