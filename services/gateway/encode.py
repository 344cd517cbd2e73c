"""Messages into JSON, by functions that are put together once per message type.

Unset fields are left out, which proto3 cannot tell from zero. Where that would hide a fact, zero
is shown all the same: booleans, the `items` of a list and the numbers of a `Pagination`. `Json`
fields are spliced in as they are.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from services.gateway import special
from services.gateway.scalars import scalar_of

Write = Callable[[Any], bytes]
_NUMBERS = frozenset({FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64})


class Encoders:
    """Makes and keeps the encoder of each message type."""

    def __init__(self) -> None:
        self._made: dict[str, Write] = {
            special.JSON: special.write_json,
            special.TIMESTAMP: special.write_timestamp,
        }

    def message(self, message: Descriptor) -> Write:
        """The encoder of a message type; raises `UnsupportedField`."""
        if message.full_name not in self._made:
            special.refuse_unsupported(message)
            encoder = _MessageEncoder()
            # Known before its fields are: a message may contain itself.
            self._made[message.full_name] = encoder
            for field in message.fields:
                encoder.add(field, self._field(field))
        return self._made[message.full_name]

    def _field(self, field: FieldDescriptor) -> Write:
        inner = field.message_type
        write = scalar_of(field).to_json if inner is None else self.message(inner)
        if field.is_repeated:
            return lambda values: b"[%b]" % b",".join([write(value) for value in values])
        if inner is not None and inner.full_name == special.JSON:
            return attrgetter("utf8")
        return write


class _MessageEncoder:
    def __init__(self) -> None:
        self._fields: dict[int, tuple[bytes, Write]] = {}
        self._zeros: dict[int, bytes] = {}

    def add(self, field: FieldDescriptor, write: Write) -> None:
        name = orjson.dumps(field.json_name) + b":"
        self._fields[field.number] = name, write
        if shows_zero(field):
            zero = b"[]" if field.is_repeated else write(field.default_value)
            self._zeros[field.number] = name + zero

    def __call__(self, message: Message) -> bytes:
        fields = self._fields
        if self._zeros:
            return self._with_zeros(message)
        texts = []
        for field, value in message.ListFields():
            name, write = fields[field.number]
            text = write(value)
            # Only a `Json` without a value is no text at all.
            if text:
                texts.append(name + text)
        return b"{%b}" % b",".join(texts)

    def _with_zeros(self, message: Message) -> bytes:
        members = dict(self._zeros)
        for field, value in message.ListFields():
            name, write = self._fields[field.number]
            text = write(value)
            if text:
                members[field.number] = name + text
        return b"{%b}" % b",".join([members[number] for number in sorted(members)])


def shows_zero(field: FieldDescriptor) -> bool:
    """Tell whether a field is shown also when it is empty."""
    if field.is_repeated:
        return field.name == "items"
    if field.has_presence:
        return False
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return True
    owner = field.containing_type
    return owner is not None and owner.name == "Pagination" and field.cpp_type in _NUMBERS
