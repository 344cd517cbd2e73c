"""Credentials: model ↔ contract."""

import dataclasses
import json
from collections.abc import Iterable
from datetime import UTC
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.message import Message

from credentials.errors import InvalidCredentials
from credentials.model import (
    Authorization,
    AuthScheme,
    AwsSigning,
    CertificateFields,
    ClientCertificate,
    OutgoingRequest,
    Signing,
)
from protos.integration.v1 import credentials_service_pb2 as rpc
from protos.integration.v1.json_pb2 import Json
from services.registry.wire import timestamp

if TYPE_CHECKING:  # the executor's process needs none of what these import
    from credentials.connecting import Begun
    from credentials.upkeep import CredentialsStatus

Message_ = TypeVar("Message_", bound=Message)
Model = TypeVar("Model")


def scheme(model: AuthScheme) -> rpc.AuthScheme:
    """Model → contract."""
    return rpc.AuthScheme(
        type=model.type,
        location=model.location,
        name=model.name,
        prefix=model.prefix,
        field=model.field,
        username_field=model.username_field,
        headers=_pairs(model.headers),
        query=_pairs(model.query),
        signing=_message(rpc.Signing, model.signing),
        aws=_message(rpc.AwsSigning, model.aws),
        certificate=_message(rpc.CertificateFields, model.certificate),
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
        headers=_tuples(message.headers),
        query=_tuples(message.query),
        signing=_model(Signing, message, "signing"),
        aws=_model(AwsSigning, message, "aws"),
        certificate=_model(CertificateFields, message, "certificate"),
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


def request(instance_id: str, model: OutgoingRequest, version: int) -> rpc.AuthorizeRequest:
    """Model → contract; the scheme is set by the caller."""
    return rpc.AuthorizeRequest(
        instance_id=instance_id,
        method=model.method,
        url=model.url,
        version=version,
        headers=_pairs(model.headers),
        body=model.body,
        refused=model.refused,
    )


def request_model(message: rpc.AuthorizeRequest) -> OutgoingRequest:
    """Contract → model."""
    return OutgoingRequest(
        method=message.method,
        url=message.url,
        headers=_tuples(message.headers),
        body=message.body,
        refused=message.refused,
    )


def authorization(model: Authorization | None) -> rpc.AuthorizeResponse:
    """Model → contract; None means that the record is not of the version that was asked for."""
    if model is None:
        return rpc.AuthorizeResponse(outdated=True)
    certificate = model.certificate
    return rpc.AuthorizeResponse(
        headers=_pairs(model.headers),
        query=_pairs(model.query),
        expires_at=timestamp(model.expires_at),
        generation=model.generation,
        certificate="" if certificate is None else certificate.certificate,
        certificate_key="" if certificate is None else certificate.key,
    )


def authorization_model(message: rpc.AuthorizeResponse) -> Authorization | None:
    """Contract → model."""
    if message.outdated:
        return None
    certificate = None
    if message.certificate:
        certificate = ClientCertificate(message.certificate, message.certificate_key)
    expires = message.expires_at.ToDatetime(tzinfo=UTC) if message.HasField("expires_at") else None
    return Authorization(
        headers=_tuples(message.headers),
        query=_tuples(message.query),
        expires_at=expires,
        generation=message.generation,
        certificate=certificate,
    )


def begun(model: "Begun") -> rpc.StartOAuth2Response:
    """Model → contract."""
    return rpc.StartOAuth2Response(
        authorization_url=model.authorization_url,
        state=model.state,
        expires_at=timestamp(model.expires_at),
        user_code=model.user_code,
        verification_url=model.verification_url,
    )


def callback(message: rpc.CompleteOAuth2Request) -> dict[str, Any]:
    """Contract → the parameters of a callback; those named one by one win."""
    named = {
        name: getattr(message, name)
        for name in ("code", "state", "error", "error_description", "iss")
        if getattr(message, name)
    }
    return {**fields_model(message.parameters), **named}


def status(instance_id: str, model: "CredentialsStatus") -> rpc.CredentialsStatus:
    """Model → contract."""
    return rpc.CredentialsStatus(
        instance_id=instance_id,
        type=model.type,
        status=model.status,
        reason=model.reason,
        expires_at=timestamp(model.expires_at),
        refreshed_at=timestamp(model.refreshed_at),
        refreshable=model.refreshable,
        scope=model.scope,
        generation=model.generation,
    )


def _pairs(pairs: Iterable[tuple[str, str]]) -> list[rpc.Pair]:
    return [rpc.Pair(name=name, value=value) for name, value in pairs]


def _tuples(pairs: Iterable[rpc.Pair]) -> tuple[tuple[str, str], ...]:
    return tuple((pair.name, pair.value) for pair in pairs)


def _message(kind: type[Message_], model: Any) -> Message_ | None:
    """Model → contract, for messages whose fields have the names of the model's."""
    return None if model is None else kind(**dataclasses.asdict(model))


def _model(kind: type[Model], message: rpc.AuthScheme, name: str) -> Model | None:
    if not message.HasField(name):  # type: ignore[arg-type]
        return None
    part = getattr(message, name)
    return kind(**{field.name: getattr(part, field.name) for field in part.DESCRIPTOR.fields})
