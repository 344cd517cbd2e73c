"""Registry: model ↔ contract. Schemas and scripts are cut out of the definition's own text."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp

from protos.integration.v1 import definition_pb2 as contract
from protos.integration.v1 import registry_service_pb2 as rpc
from protos.integration.v1.json_pb2 import Json
from registry.instances import InstanceChange
from registry.model import (
    Definition,
    DefinitionEntry,
    DefinitionFilter,
    DefinitionStatus,
    DefinitionSummary,
    Instance,
    InstanceError,
    InstanceFilter,
    InstanceStatus,
    Page,
    PageRequest,
    Problem,
)
from registry.problems import invalid_instance, invalid_page_request
from registry.text import read_config

DEFAULT_LIMIT = 20
OWN_FIELDS = frozenset(
    {
        "name",
        "description",
        "version",
        "type",
        "authType",
        "methods",
        "configSchema",
        "defaultConfig",
        "oauth2Config",
    }
)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode
_whole = msgspec.json.Decoder(int).decode


def definition_summary(summary: DefinitionSummary) -> contract.Definition:
    """Answer a definition without its methods and schemas."""
    return contract.Definition(
        id=summary.id,
        name=summary.name,
        description=summary.description,
        version=summary.version,
        type=summary.type,
        auth_type=summary.auth_type,
        status=contract.Definition.Status.Value(summary.status),
        method_count=summary.method_count,
        digest=summary.digest,
        created_at=timestamp(summary.created_at),
        updated_at=timestamp(summary.updated_at),
        published_at=timestamp(summary.published_at),
        etag=summary.etag,
    )


def registered(entry: DefinitionEntry) -> contract.Definition:
    """Answer what a change of a definition shows: the summary, and what is worth knowing."""
    message = definition_summary(entry.summary)
    message.warnings.extend(problem(found) for found in entry.warnings)
    return message


def definition(entry: DefinitionEntry) -> contract.Definition:
    """Answer a definition with everything it says."""
    message = registered(entry)
    document = _members(entry.definition.document)
    message.methods.extend(methods(entry.definition))
    for target, name in (
        (message.config_schema, "configSchema"),
        (message.default_config, "defaultConfig"),
        (message.oauth2_config, "oauth2Config"),
    ):
        if name in document:
            target.utf8 = bytes(document[name])
    extensions = {name: raw for name, raw in document.items() if name not in OWN_FIELDS}
    if extensions:
        message.extensions.utf8 = msgspec.json.encode(extensions)
    return message


def methods(definition: Definition) -> Iterable[contract.Method]:
    """Answer the methods in the order of the definition."""
    for raw in _items(_members(definition.document)["methods"]):
        yield _method(_members(raw))


def _method(members: Mapping[str, msgspec.Raw]) -> contract.Method:
    message = contract.Method(
        name=_text(members["name"]),
        description=_text(members.get("description", b'""')),
        request_transform=_text(members.get("requestTransform", b'""')),
        response_transform=_text(members.get("responseTransform", b'""')),
        timeout_ms=_whole(members.get("timeoutMs", b"0")),
    )
    for target, name in (
        (message.param_schema, "paramSchema"),
        (message.result_schema, "resultSchema"),
        (message.rate_limits, "rateLimits"),
        (message.retry_config, "retryConfig"),
        (message.http, "http"),
    ):
        if name in members:
            target.utf8 = bytes(members[name])
    return message


def definition_schema(definition: Definition) -> rpc.DefinitionSchema:
    """Answer the schemas of a definition, as written."""
    document = _members(definition.document)
    schema = rpc.DefinitionSchema(secret_fields=definition.secret_fields)
    if "configSchema" in document:
        schema.config_schema.utf8 = bytes(document["configSchema"])
    if "defaultConfig" in document:
        schema.default_config.utf8 = bytes(document["defaultConfig"])
    for method in methods(definition):
        schema.methods.add(
            name=method.name,
            param_schema=method.param_schema if method.HasField("param_schema") else None,
            result_schema=method.result_schema if method.HasField("result_schema") else None,
        )
    return schema


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


def problem(found: Problem) -> contract.Problem:
    """Model → contract."""
    return contract.Problem(
        path=found.path,
        message=found.message,
        line=found.line,
        column=found.column,
        code_frame=found.code_frame,
    )


def problem_model(message: contract.Problem) -> Problem:
    """Contract → model."""
    return Problem(message.path, message.message, message.line, message.column, message.code_frame)


def page_request(
    message: rpc.ListDefinitionsRequest | rpc.ListInstancesRequest,
) -> PageRequest:
    """Contract → model; absent numbers mean the first page of the usual size."""
    return PageRequest(
        page=message.page or 1, limit=message.limit or DEFAULT_LIMIT, token=message.page_token
    )


def pagination(page: Page[Any]) -> contract.Pagination:
    """Model → contract."""
    return contract.Pagination(
        page=page.request.page,
        limit=page.request.limit,
        total=page.total,
        pages=page.pages,
        next_page_token=page.next_token,
    )


def definition_filter(message: rpc.ListDefinitionsRequest) -> DefinitionFilter:
    """Contract → model."""
    name = _status(contract.Definition.Status.items(), message.status)
    status = DefinitionStatus(name) if name else None
    return DefinitionFilter(search=message.search, status=status, type=message.type)


def instance_filter(message: rpc.ListInstancesRequest) -> InstanceFilter:
    """Contract → model."""
    name = _status(rpc.Instance.Status.items(), message.status)
    status = InstanceStatus(name) if name else None
    return InstanceFilter(search=message.search, status=status, definition_id=message.definition_id)


def _status(known: Iterable[tuple[str, int]], number: int) -> str:
    """Answer the name of a status, empty for none; any number may come over the wire."""
    names = {value: name for name, value in known if value}
    if number and number not in names:
        message = f"must be one of {', '.join(names.values())}"
        raise invalid_page_request([Problem("/status", message)])
    return names.get(number, "")


def config(message: Json) -> dict[str, Any]:
    """Answer the config that was sent; raises `InvalidInstance` when it is no object."""
    found = read_config(message.utf8) if message.utf8 else None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise invalid_instance([Problem("/config", "must be an object")])
    return found


def instance_change(message: rpc.UpdateInstanceRequest) -> InstanceChange:
    """Contract → model."""
    return InstanceChange(
        name=message.name if message.HasField("name") else None,
        config=config(message.config) if message.HasField("config") else None,
        etag=message.etag,
    )


def timestamp(moment: datetime | None) -> Timestamp | None:
    """Answer a moment as the wire has it."""
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def time(stamp: Timestamp) -> datetime:
    """Answer a moment of the wire as an aware UTC datetime."""
    return stamp.ToDatetime(tzinfo=UTC)


def json_value(value: object) -> Json:
    """Answer a parsed value as text; whole numbers keep every digit."""
    return Json(utf8=json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def parsed(message: Json) -> Any:
    """Answer the value of a text that one of our services wrote; None when there is none."""
    return json.loads(message.utf8) if message.utf8 else None
