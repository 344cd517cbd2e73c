"""One route's way from a REST request to a request message, and from the response to JSON."""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from services.gateway import json_text, special
from services.gateway.decode import Decoders
from services.gateway.encode import Encoders
from services.gateway.errors import FieldsInvalid, InvalidRequest, Problem, UnsupportedField
from services.gateway.query import TextField, fill_from_query, query_fields, text_fields
from services.gateway.routes import Route
from services.gateway.template import Path, Variable, value_of

_YAML = frozenset({"application/yaml", "application/x-yaml", "text/yaml"})
_UTF8 = frozenset({"", "utf-8", "utf8", "us-ascii"})
_BindBody = Callable[[Message, bytes, str | None], None]


class Transcoder:
    """Binds requests of a route as google/api/http.proto says; made once, at start.

    Stricter than other gateways where they would lose what a caller sent: unknown query keys and
    a body that contradicts the path are refused.
    """

    def __init__(self, route: Route, decoders: Decoders, encoders: Encoders) -> None:
        message = route.rpc.input_type
        self.rpc_path = route.rpc_path
        self.write_response = encoders.message(route.rpc.output_type)
        self._make = GetMessageClass(message)
        fields = {(*field.parents, field.name): field for field in text_fields(message)}
        variables = route.template.variables
        self._variables = [(each, _field_of(each, fields)) for each in variables]
        self._bind_body = _body_binder(route, decoders)
        bound = [(route.body,), *(variable.field_path for variable in variables)]
        self._query = {} if route.body == "*" else query_fields(fields.values(), bound)

    def read_request(
        self, path: Path, query: str, body: bytes, content_type: str | None
    ) -> Message:
        """Make the request message; raises a `RequestRefused` that says what does not fit."""
        message = self._make()
        bound = []
        for variable, field in self._variables:
            value = field.read(value_of(variable, path))
            setattr(field.owner(message), field.name, value)
            bound.append((field, value))
        if body:
            self._bind_body(message, body, content_type)
            for field, value in bound:
                _require_unchanged(message, field, value)
        if query:
            fill_from_query(message, self._query, query)
        return message


def _field_of(variable: Variable, fields: Mapping[tuple[str, ...], TextField]) -> TextField:
    if variable.field_path not in fields:
        name = ".".join(variable.field_path)
        raise UnsupportedField(f"'{name}' in a path lies inside of a message that contains itself")
    return fields[variable.field_path]


def _require_unchanged(message: Message, field: TextField, value: Any) -> None:
    if getattr(field.owner(message), field.name) != value:
        why = f"is '{str(value)[:80]}' in the path and something else in the body"
        raise FieldsInvalid([Problem(field.pointer, why)])


def _body_binder(route: Route, decoders: Decoders) -> _BindBody:
    message = route.rpc.input_type
    whole = decoders.message(message)
    if not route.body:
        return _ignore_body
    if route.body == "*":
        return lambda target, body, content_type: whole(target, _json(body, content_type), "")
    field = message.fields_by_name[route.body]
    if _holds_json(field):
        return _raw_body_binder(field.name)
    fill = decoders.field(field)
    return lambda target, body, content_type: fill(target, _json(body, content_type), "")


def _ignore_body(_target: Message, _body: bytes, _content_type: str | None) -> None:
    """A body that a route has no place for is no error."""


def _holds_json(field: FieldDescriptor) -> bool:
    inner = field.message_type
    return inner is not None and inner.full_name == special.JSON and not field.is_repeated


def _raw_body_binder(name: str) -> _BindBody:
    def bind(target: Message, body: bytes, content_type: str | None) -> None:
        # YAML is read by the service that the document is for.
        yaml = content_type is not None and media_type(content_type)[0] in _YAML
        getattr(target, name).utf8 = body if yaml else _json(body, content_type).strip()

    return bind


def _json(body: bytes, content_type: str | None) -> bytes:
    if content_type is not None and content_type != "application/json":
        _require_json(content_type)
    json_text.check(body)
    return body


def _require_json(content_type: str) -> None:
    kind, charset = media_type(content_type)
    if kind != "application/json" and not kind.endswith("+json"):
        raise InvalidRequest(
            f"The body has to be JSON, sent with 'Content-Type: application/json', not '{kind}'",
            contentType=kind,
        )
    if charset not in _UTF8:
        raise InvalidRequest(f"The body has to be in UTF-8, not '{charset}'", charset=charset)


def media_type(content_type: str) -> tuple[str, str]:
    """Split a `Content-Type` into type and charset, both in lower case (RFC 9110 §8.3.1)."""
    kind, *parameters = content_type.lower().split(";")
    pairs = (parameter.strip().partition("=") for parameter in parameters)
    charset = next((value.strip('"') for name, _, value in pairs if name == "charset"), "")
    return kind.strip(), charset
