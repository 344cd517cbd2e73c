"""JSON into messages, by functions that are put together once per message type.

Differs from protobuf's own reader where that would hide a caller's mistake: unknown fields and
fields that are there twice (also as `fooBar` and `foo_bar`) are refused, all of them at once, each
with its JSON Pointer. `Json` fields take their value as it is written.
"""

import difflib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from services.gateway import json_text, special
from services.gateway.errors import FieldsInvalid, Problem
from services.gateway.scalars import scalar_of

# Fills a message from a raw JSON value; the text is the value's JSON Pointer.
Fill = Callable[[Any, bytes, str], None]
_MOST_PROBLEMS = 20
_LONGEST_GUESS = 64


class Decoders:
    """Makes and keeps the decoder of each message type."""

    def __init__(self) -> None:
        self._made: dict[str, Fill] = {
            special.JSON: lambda target, raw, _path: special.read_json(target, raw),
            special.TIMESTAMP: _reported(special.read_timestamp),
        }

    def message(self, message: Descriptor) -> Fill:
        """The decoder of a message type; raises `UnsupportedField`."""
        if message.full_name not in self._made:
            special.refuse_unsupported(message)
            fields: dict[str, tuple[FieldDescriptor, Fill]] = {}
            # Known before its fields are: a message may contain itself.
            self._made[message.full_name] = partial(_read_object, fields)
            for field in message.fields:
                fields[field.name] = fields[field.json_name] = field, self.field(field)
        return self._made[message.full_name]

    def field(self, field: FieldDescriptor) -> Fill:
        """The decoder of one field: it fills the message that has the field."""
        fill = self._repeated(field) if field.is_repeated else self._single(field)
        oneof = field.containing_oneof
        if oneof is not None and len(oneof.fields) > 1:
            return partial(_read_exclusive, oneof.name, fill)
        return fill

    def _single(self, field: FieldDescriptor) -> Fill:
        if field.message_type is None:
            return partial(_read_scalar, field.name, scalar_of(field).from_json)
        fill = self.message(field.message_type)
        if field.message_type.full_name == special.JSON:
            return partial(_read_raw, field.name)
        return partial(_read_message, field.name, fill)

    def _repeated(self, field: FieldDescriptor) -> Fill:
        if field.message_type is None:
            return partial(_read_scalars, field.name, scalar_of(field).from_json)
        return partial(_read_messages, field.name, self.message(field.message_type))


def unknown_field(name: str, known: Iterable[str], what: str = "field") -> str:
    """Say that a name is not known, what was perhaps meant and what there is."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1) if len(name) <= _LONGEST_GUESS else []
    hint = f"did you mean '{near[0]}'? " if near else ""
    there = f"There is {', '.join(names)}" if names else "There is none at all"
    return f"is not a {what} here; {hint}{there}"


def _read_object(
    fields: dict[str, tuple[FieldDescriptor, Fill]], target: Message, raw: bytes, path: str
) -> None:
    problems: list[Problem] = []
    seen: set[int] = set()
    values = json_text.members(raw, path)
    for name, value in values.items():
        field, fill = fields.get(name, (None, None))
        if field is None or fill is None:
            known = {known.json_name for known, _ in fields.values()}
            problems.append(Problem(pointer(path, name), unknown_field(name, known)))
        elif field.number in seen:
            problems.append(Problem(pointer(path, name), "is there twice, under two names"))
        else:
            seen.add(field.number)
            try:
                fill(target, bytes(value), f"{path}/{name}")
            except FieldsInvalid as error:
                problems.extend(error.problems)
        if len(problems) >= _MOST_PROBLEMS:
            break
    if problems:
        raise FieldsInvalid(problems)
    # Last, when the names are known to be few.
    json_text.require_unique(raw, values, path)


def pointer(path: str, name: str) -> str:
    """The JSON Pointer of a member (RFC 6901 §3)."""
    return f"{path}/{name.replace('~', '~0').replace('/', '~1')}"


def _read_exclusive(oneof: str, fill: Fill, target: Message, raw: bytes, path: str) -> None:
    other = target.WhichOneof(oneof)
    if other is not None and raw != b"null":
        raise FieldsInvalid([Problem(path, f"excludes '{other}', which is there too")])
    fill(target, raw, path)


def _read_raw(name: str, target: Message, raw: bytes, _path: str) -> None:
    getattr(target, name).utf8 = raw


def _read_scalar(
    name: str, read: Callable[[bytes], Any], target: Message, raw: bytes, path: str
) -> None:
    if raw == b"null":
        return
    try:
        setattr(target, name, read(raw))
    except ValueError as error:
        raise FieldsInvalid([Problem(path, str(error))]) from None


def _read_message(name: str, fill: Fill, target: Message, raw: bytes, path: str) -> None:
    if raw != b"null":
        value = getattr(target, name)
        value.SetInParent()
        fill(value, raw, path)


def _read_scalars(
    name: str, read: Callable[[bytes], Any], target: Message, raw: bytes, path: str
) -> None:
    if raw == b"null":
        return
    values = getattr(target, name)
    for index, item in enumerate(json_text.items(raw, path)):
        try:
            values.append(read(item))
        except ValueError as error:
            raise FieldsInvalid([Problem(f"{path}/{index}", str(error))]) from None


def _read_messages(name: str, fill: Fill, target: Message, raw: bytes, path: str) -> None:
    if raw == b"null":
        return
    values = getattr(target, name)
    for index, item in enumerate(json_text.items(raw, path)):
        fill(values.add(), item, f"{path}/{index}")


def _reported(read: Callable[[Any, bytes], None]) -> Fill:
    def fill(target: Any, raw: bytes, path: str) -> None:
        try:
            read(target, raw)
        except ValueError as error:
            raise FieldsInvalid([Problem(path, str(error))]) from None

    return fill
