"""Executor: model ↔ contract."""

from executor.model import Execution
from protos.integration.v1 import executor_service_pb2 as rpc
from protos.integration.v1.json_pb2 import Json
from services.registry.wire import problem


def execution(model: Execution) -> rpc.ExecuteMethodResponse:
    """Model → contract."""
    return rpc.ExecuteMethodResponse(
        status=rpc.ExecuteMethodResponse.SUCCESS,
        data=Json(utf8=model.data),
        warnings=[problem(found) for found in model.warnings],
    )
