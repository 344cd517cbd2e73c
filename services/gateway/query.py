"""Fields of a request message that are given as text: in the path and in the query."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from services.gateway import template
from services.gateway.decode import unknown_field
from services.gateway.errors import FieldsInvalid, InvalidRequest, Problem
from services.gateway.scalars import Scalar, scalar_of


@dataclass(frozen=True, slots=True)
class TextField:
    """A scalar field, reached through the messages named by `parents`."""

    parents: tuple[str, ...]
    field: FieldDescriptor
    scalar: Scalar

    @property
    def name(self) -> str:
        """Its name in JSON, dotted."""
        return ".".join((*self.parents, self.field.json_name))

    @property
    def pointer(self) -> str:
        """Its JSON Pointer."""
        return "/" + "/".join((*self.parents, self.field.json_name))

    def read(self, text: str) -> Any:
        """Turn a text into the field's value; raises `FieldsInvalid`."""
        try:
            return self.scalar.from_text(text)
        except ValueError as error:
            raise FieldsInvalid([Problem(self.pointer, str(error))]) from None

    def owner(self, message: Message) -> Any:
        """The message that has the field, inside of `message`."""
        owner: Any = message
        for parent in self.parents:
            owner = getattr(owner, parent)
        return owner


def text_field(message: Descriptor, path: Iterable[str]) -> TextField:
    """The field at a path of proto names, which has to exist."""
    *parents, last = path
    for parent in parents:
        inner = message.fields_by_name[parent].message_type
        assert inner is not None  # noqa: S101 read_routes has made sure
        message = inner
    field = message.fields_by_name[last]
    return TextField(tuple(parents), field, scalar_of(field))


def query_fields(message: Descriptor, bound: Iterable[tuple[str, ...]]) -> dict[str, TextField]:
    """Every scalar that is not bound already, by each name that a query may call it."""
    taken = frozenset(bound)
    found = _scalars(message, (), ("",), frozenset({message.full_name}))
    return {
        name.removeprefix("."): field
        for names, field in found
        if not any((*field.parents, field.field.name)[: len(path)] == path for path in taken)
        for name in names
    }


def _scalars(
    message: Descriptor, parents: tuple[str, ...], prefixes: tuple[str, ...], seen: frozenset[str]
) -> Iterator[tuple[tuple[str, ...], TextField]]:
    for field in message.fields:
        spellings = dict.fromkeys((field.json_name, field.name))
        names = tuple(f"{prefix}.{spelling}" for prefix in prefixes for spelling in spellings)
        inner = field.message_type
        if inner is None:
            yield names, TextField(parents, field, scalar_of(field))
        elif not field.is_repeated and inner.full_name not in seen and not _is_special(inner):
            yield from _scalars(inner, (*parents, field.name), names, seen | {inner.full_name})


def _is_special(message: Descriptor) -> bool:
    return message.full_name.startswith("google.") or message.full_name == "integration.v1.Json"


def parse_query(text: str) -> dict[str, list[str]]:
    """Names and their values, `+` being a space; raises `InvalidRequest`."""
    if template.has_broken_escape(text):
        raise InvalidRequest("The query holds a '%' without two hexadecimal digits behind it")
    pairs: dict[str, list[str]] = {}
    try:
        for pair in filter(None, text.split("&")):
            name, _, value = pair.partition("=")
            values = pairs.setdefault(unquote_plus(name, errors="strict"), [])
            values.append(unquote_plus(value, errors="strict"))
    except UnicodeDecodeError:
        raise InvalidRequest("The query's escapes are not UTF-8") from None
    return pairs


def fill_from_query(message: Message, fields: Mapping[str, TextField], text: str) -> None:
    """Set the fields that a query names; raises `FieldsInvalid` with everything that is wrong."""
    problems: list[Problem] = []
    seen: set[str] = set()
    for name, values in parse_query(text).items():
        try:
            field = _known(fields, name)
            _fill(message, field, values, seen)
        except FieldsInvalid as error:
            problems.extend(error.problems)
    if problems:
        raise FieldsInvalid(problems)


def _known(fields: Mapping[str, TextField], name: str) -> TextField:
    if name not in fields:
        known = {field.name for field in fields.values()}
        raise FieldsInvalid([Problem(f"/{name}", unknown_field(name, known, "query parameter"))])
    return fields[name]


def _fill(message: Message, field: TextField, values: list[str], seen: set[str]) -> None:
    if field.name in seen:
        raise FieldsInvalid([Problem(field.pointer, "is there twice, under two names")])
    seen.add(field.name)
    owner = field.owner(message)
    if field.field.is_repeated:
        getattr(owner, field.field.name).extend([field.read(value) for value in values])
    elif len(values) > 1:
        raise FieldsInvalid([Problem(field.pointer, f"is there {len(values)} times")])
    else:
        setattr(owner, field.field.name, field.read(values[0]))
