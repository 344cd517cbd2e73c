"""The executor's servicer."""

from executor.execute import Executor
from executor.model import MethodCall
from protos.integration.v1 import executor_service_pb2 as rpc
from services.executor import wire
from services.runtime.call import Call


class ExecutorServicer:
    """Serves `integration.v1.ExecutorService`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def ExecuteMethod(
        self, request: rpc.ExecuteMethodRequest, call: Call
    ) -> rpc.ExecuteMethodResponse:
        """Call one method by name."""
        execution = await self._executor.execute(
            MethodCall(
                tenant=call.tenant,
                instance_id=request.instance_id,
                method=request.method,
                parameters=request.parameters.utf8,
                metadata=request.metadata.utf8,
                timeout=call.remaining(),
                request_id=call.request_id,
            )
        )
        return wire.execution(execution)
