"""Credentials: model ↔ contract."""

import json
from datetime import UTC
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from credentials.errors import InvalidCredentials
from credentials.model import Authorization, AuthScheme, OutgoingRequest
from protos.integration.v1 import credentials_service_pb2 as rpc
from protos.integration.v1.json_pb2 import Json


def scheme(model: AuthScheme) -> rpc.AuthScheme:
    """Model → contract."""
    return rpc.AuthScheme(
        type=model.type,
        location=model.location,
        name=model.name,
        prefix=model.prefix,
        field=model.field,
        username_field=model.username_field,
    )


def scheme_model(message: rpc.AuthScheme) -> AuthScheme:
    """Contract → model."""
    return AuthScheme(
        type=message.type,
        location=message.location,
        name=message.name,
        prefix=message.prefix,
        field=message.field,
        username_field=message.username_field,
    )


def fields_model(message: Json) -> dict[str, Any]:
    """Contract → model; raises `InvalidCredentials`, which quotes nothing of the text."""
    try:
        found = json.loads(message.utf8 or b"{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        text = "The fields of credentials must be a JSON object; send one without huge numbers"
        raise InvalidCredentials(text, field="")
    return found


def request_model(message: rpc.AuthorizeRequest) -> OutgoingRequest:
    """Contract → model."""
    return OutgoingRequest(method=message.method, url=message.url)


def authorization(model: Authorization | None) -> rpc.AuthorizeResponse:
    """Model → contract; None means that the record is not of the version that was asked for."""
    if model is None:
        return rpc.AuthorizeResponse(outdated=True)
    pair = rpc.AuthorizeResponse.Pair
    message = rpc.AuthorizeResponse(
        headers=[pair(name=name, value=value) for name, value in model.headers],
        query=[pair(name=name, value=value) for name, value in model.query],
    )
    if model.expires_at:
        stamp = Timestamp()
        stamp.FromDatetime(model.expires_at)
        message.expires_at.CopyFrom(stamp)
    return message


def authorization_model(message: rpc.AuthorizeResponse) -> Authorization | None:
    """Contract → model."""
    if message.outdated:
        return None
    expires = message.expires_at.ToDatetime(tzinfo=UTC) if message.HasField("expires_at") else None
    return Authorization(
        headers=tuple((pair.name, pair.value) for pair in message.headers),
        query=tuple((pair.name, pair.value) for pair in message.query),
        expires_at=expires,
    )
