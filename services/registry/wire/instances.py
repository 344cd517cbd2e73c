"""Instances: model ↔ contract."""

from collections.abc import Mapping
from typing import Any

from protos.integration.v1 import registry_service_pb2 as rpc
from protos.integration.v1.json_pb2 import Json
from registry.instances import InstanceChange
from registry.model import Instance, InstanceError, InstanceStatus, Problem
from registry.problems import invalid_instance
from registry.text import read_config
from services.registry.wire.values import json_value, parsed, time, timestamp


def instance(found: Instance) -> rpc.Instance:
    """Model → contract."""
    message = rpc.Instance(
        id=found.id,
        integration_definition_id=found.definition_id,
        name=found.name,
        status=rpc.Instance.Status.Value(found.status),
        config=json_value(found.config),
        secret_fields=found.secret_fields,
        created_at=timestamp(found.created_at),
        updated_at=timestamp(found.updated_at),
        last_connected_at=timestamp(found.last_connected_at),
        etag=found.etag,
        definition_digest=found.definition_digest,
    )
    if found.error:
        message.error.CopyFrom(
            rpc.Instance.Error(
                message=found.error.message,
                code=found.error.code,
                details=json_value(found.error.details),
            )
        )
    return message


def resolved_instance(found: Instance) -> rpc.ResolvedInstance:
    """Model → contract, with what is for our own services only."""
    return rpc.ResolvedInstance(
        instance=instance(found), credentials_version=found.credentials_version
    )


def instance_model(resolved: rpc.ResolvedInstance, tenant: str) -> Instance:
    """Contract → model."""
    message = resolved.instance
    return Instance(
        id=message.id,
        tenant=tenant,
        definition_id=message.integration_definition_id,
        definition_digest=message.definition_digest,
        name=message.name,
        status=InstanceStatus(rpc.Instance.Status.Name(message.status)),
        config=parsed(message.config) or {},
        created_at=time(message.created_at),
        updated_at=time(message.updated_at),
        etag=message.etag,
        secret_fields=tuple(message.secret_fields),
        error=_error_model(message) if message.HasField("error") else None,
        last_connected_at=(
            time(message.last_connected_at) if message.HasField("last_connected_at") else None
        ),
        credentials_version=resolved.credentials_version,
    )


def _error_model(message: rpc.Instance) -> InstanceError:
    error = message.error
    return InstanceError(error.code, error.message, parsed(error.details) or {})


def report(
    instance_id: str,
    status: InstanceStatus,
    error: InstanceError | None,
    captured: Mapping[str, str],
) -> rpc.ReportInstanceRequest:
    """Model → contract."""
    return rpc.ReportInstanceRequest(
        id=instance_id,
        status=rpc.Instance.Status.Value(status),
        code=error.code if error else "",
        message=error.message if error else "",
        captured=captured,
    )


def standing(message: rpc.ReportInstanceRequest) -> tuple[InstanceStatus, InstanceError | None]:
    """Contract → model; raises `InvalidInstance` for a status that is none."""
    number = message.status
    if number not in rpc.Instance.Status.values() or not number:
        raise invalid_instance([Problem("/status", "must be one of those of an instance")])
    told = message.code or message.message
    error = InstanceError(message.code, message.message) if told else None
    return InstanceStatus(rpc.Instance.Status.Name(number)), error


def config(message: Json) -> dict[str, Any]:
    """Answer the config that was sent; raises `InvalidInstance` when it is no object."""
    found = read_config(message.utf8) if message.utf8 else None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise invalid_instance([Problem("/config", "must be an object")])
    return found


def update_request(instance_id: str, change: InstanceChange) -> rpc.UpdateInstanceRequest:
    """Model → contract."""
    return rpc.UpdateInstanceRequest(
        id=instance_id,
        name=change.name,
        config=None if change.config is None else json_value(dict(change.config)),
        etag=change.etag,
    )


def instance_change(message: rpc.UpdateInstanceRequest) -> InstanceChange:
    """Contract → model."""
    return InstanceChange(
        name=message.name if message.HasField("name") else None,
        config=config(message.config) if message.HasField("config") else None,
        etag=message.etag,
    )
