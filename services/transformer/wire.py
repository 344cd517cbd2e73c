"""Transformer: model ↔ contract, and its problems in the registry's words."""

from protos.integration.v1 import definition_pb2 as contract
from protos.integration.v1 import transformer_service_pb2 as rpc
from protos.integration.v1.json_pb2 import Json
from registry.model import Problem as RegistryProblem
from transformer.model import Outcome, Problem


def problem(found: Problem) -> contract.Problem:
    """Model → contract."""
    return contract.Problem(
        message=found.message,
        line=found.line or 0,
        column=found.column or 0,
        code_frame=found.code_frame or "",
    )


def registry_problem(found: Problem | contract.Problem) -> RegistryProblem:
    """Answer a problem of a script as the registry reports it; the registry knows the path."""
    return RegistryProblem(
        "", found.message, found.line or 0, found.column or 0, found.code_frame or ""
    )


def outcome(model: Outcome) -> rpc.TransformResponse:
    """Model → contract."""
    return rpc.TransformResponse(
        output=Json(utf8=model.output),
        console=[
            rpc.TransformResponse.ConsoleLine(level=line.level, text=line.text)
            for line in model.console
        ],
        time_us=model.stats.time_us,
    )
