"""One route's way from a REST request to a request message, and from the response to JSON."""

from collections.abc import Callable

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from services.gateway import json_text, special, template
from services.gateway.decode import Decoders
from services.gateway.encode import Encoders
from services.gateway.errors import FieldsInvalid, InvalidRequest, Problem
from services.gateway.query import TextField, fill_from_query, query_fields, text_field
from services.gateway.routes import Route

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
        self._variables = [
            (variable, text_field(message, variable.field_path))
            for variable in route.template.variables
        ]
        self._bind_body = _body_binder(route, decoders)
        bound = [variable.field_path for variable in route.template.variables]
        taken = [*bound, (route.body,)] if route.body else bound
        self._query = {} if route.body == "*" else query_fields(message, taken)

    def read_request(
        self, segments: list[str], query: str, body: bytes, content_type: str | None
    ) -> Message:
        """Make the request message; raises a `RequestRefused` that says what does not fit."""
        message = self._make()
        if body:
            self._bind_body(message, body, content_type)
        if query:
            fill_from_query(message, self._query, query)
        for variable, field in self._variables:
            _bind_variable(message, field, _captured(variable, segments))
        return message


def _captured(variable: template.Variable, segments: list[str]) -> str:
    try:
        return template.value_of(variable, segments)
    except UnicodeDecodeError:
        raise InvalidRequest("The path's escapes are not UTF-8") from None


def _bind_variable(message: Message, field: TextField, text: str) -> None:
    value = field.read(text)
    owner = field.owner(message)
    name = field.field.name
    given = getattr(owner, name)
    if given and given != value:
        raise FieldsInvalid(
            [Problem(field.pointer, f"is '{text[:80]}' in the path and something else in the body")]
        )
    setattr(owner, name, value)


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
