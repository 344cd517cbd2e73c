"""Definitions → contract. Schemas and scripts are cut out of the definition's own text."""

from collections.abc import Iterable, Mapping

import msgspec

from protos.integration.v1 import definition_pb2 as contract
from protos.integration.v1 import registry_service_pb2 as rpc
from registry.model import Definition, DefinitionEntry, DefinitionSummary, Problem
from services.registry.wire.values import timestamp

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
