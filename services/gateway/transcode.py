"""One route's way from a REST request to a request message, and from the response to JSON."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from services.gateway import json_text, special
from services.gateway.decode import Decoders, Fill
from services.gateway.encode import Encoders
from services.gateway.errors import FieldsInvalid, InvalidRequest, Problem, UnsupportedField
from services.gateway.query import TextField, fill_from_query, query_fields, text_fields
from services.gateway.routes import Route
from services.gateway.template import Path, Variable, value_of

_YAML = frozenset({"application/yaml", "application/x-yaml", "text/yaml"})
_UTF8 = frozenset({"", "utf-8", "utf8", "us-ascii"})
_ReadBody = Callable[[bytes, str | None], bytes]


class _PathField:
    """A field that a path fills. `is_plain`: a text of the message itself, as nearly all are."""

    __slots__ = ("_field", "_variable", "is_plain", "name", "pointer", "start", "value_in")

    def __init__(self, variable: Variable, field: TextField) -> None:
        self._variable = variable
        self._field = field
        self.name = field.name
        self.start = variable.start
        self.pointer = field.pointer
        self.is_plain = not (variable.many or field.parents) and field.scalar.from_text is str
        self.value_in = attrgetter(".".join(variable.field_path))

    def fill(self, message: Message, path: Path) -> Any:
        """Set the field and answer its value; raises `FieldsInvalid`."""
        value = self._field.read(value_of(self._variable, path))
        setattr(self._field.owner(message), self.name, value)
        return value


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
        self._variables = [_PathField(each, _field_of(each, fields)) for each in variables]
        self._read_body, self._fill = _body_binding(route, decoders)
        bound = [(route.body,), *(variable.field_path for variable in variables)]
        self._query = {} if route.body == "*" else query_fields(fields.values(), bound)

    def read_request(
        self, path: Path, query: str, body: bytes, content_type: str | None
    ) -> Message:
        """Make the request message; raises a `RequestRefused` that says what does not fit."""
        message = self._make()
        bound = []
        for field in self._variables:
            if field.is_plain:
                value: Any = path.decoded[field.start]
                setattr(message, field.name, value)
            else:
                value = field.fill(message, path)
            bound.append((field, value))
        if body and self._fill:
            self._fill(message, self._read_body(body, content_type), "")
            for field, value in bound:
                if field.value_in(message) != value:
                    raise _contradicted(field, value)
        if query:
            fill_from_query(message, self._query, query)
        return message


def _field_of(variable: Variable, fields: Mapping[tuple[str, ...], TextField]) -> TextField:
    if variable.field_path not in fields:
        name = ".".join(variable.field_path)
        raise UnsupportedField(f"'{name}' in a path lies inside of a message that contains itself")
    return fields[variable.field_path]


def _contradicted(field: _PathField, value: object) -> FieldsInvalid:
    why = f"is '{str(value)[:80]}' in the path and something else in the body"
    return FieldsInvalid([Problem(field.pointer, why)])


def _body_binding(route: Route, decoders: Decoders) -> tuple[_ReadBody, Fill | None]:
    """How a body is read and what it fills; one that a route has no place for is no error."""
    message = route.rpc.input_type
    whole = decoders.message(message)
    if not route.body:
        return _json, None
    if route.body == "*":
        return _json, whole
    field = message.fields_by_name[route.body]
    return _json_or_yaml if _holds_json(field) else _json, decoders.field(field)


def _holds_json(field: FieldDescriptor) -> bool:
    inner = field.message_type
    return inner is not None and inner.full_name == special.JSON and not field.is_repeated


def _json_or_yaml(body: bytes, content_type: str | None) -> bytes:
    # YAML is read by the service that the document is for.
    yaml = content_type is not None and media_type(content_type)[0] in _YAML
    return body if yaml else _json(body, content_type).strip()


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
