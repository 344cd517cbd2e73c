"""Fields of a request message that are given as text: in the path and in the query."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from services.gateway import special, template
from services.gateway.decode import unknown_field
from services.gateway.errors import FieldsInvalid, InvalidRequest, Problem
from services.gateway.scalars import Scalar, scalar_of


@dataclass(frozen=True, slots=True)
class TextField:
    """A scalar field: its name in the contract and the messages that lead to it.

    `label` is what JSON calls it, with dots between the messages.
    """

    parents: tuple[str, ...]
    name: str
    label: str
    repeated: bool
    scalar: Scalar

    @property
    def pointer(self) -> str:
        """Its JSON Pointer."""
        return "/" + self.label.replace(".", "/")

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


def text_fields(message: Descriptor) -> Iterator[TextField]:
    """Every scalar of a message, also inside of other messages, but not of a recursive one."""
    return _scalars(message, (), "", frozenset({message.full_name}))


def query_fields(
    fields: Iterable[TextField], bound: Iterable[tuple[str, ...]]
) -> dict[str, TextField]:
    """Those fields that are not bound already, by each name that a query may call them."""
    taken = frozenset(bound)
    return {
        name: field
        for field in fields
        if not any((*field.parents, field.name)[: len(path)] == path for path in taken)
        for name in _spellings(field)
    }


def _scalars(
    message: Descriptor, parents: tuple[str, ...], prefix: str, seen: frozenset[str]
) -> Iterator[TextField]:
    for field in message.fields:
        label, inner = prefix + field.json_name, field.message_type
        if inner is None:
            yield TextField(parents, field.name, label, field.is_repeated, scalar_of(field))
        elif not (field.is_repeated or inner.full_name in seen or special.is_special(inner)):
            below = (*parents, field.name)
            yield from _scalars(inner, below, f"{label}.", seen | {inner.full_name})


def _spellings(field: TextField) -> Iterator[str]:
    """Each segment can be spelled as in JSON or as in the contract, and they can be mixed."""
    segments = zip(field.label.split("."), (*field.parents, field.name), strict=True)
    return map(".".join, itertools.product(*(dict.fromkeys(names) for names in segments)))


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
        known = {field.label for field in fields.values()}
        raise FieldsInvalid([Problem(f"/{name}", unknown_field(name, known, "query parameter"))])
    return fields[name]


def _fill(message: Message, field: TextField, values: list[str], seen: set[str]) -> None:
    if field.label in seen:
        raise FieldsInvalid([Problem(field.pointer, "is there twice, under two names")])
    seen.add(field.label)
    owner = field.owner(message)
    if field.repeated:
        getattr(owner, field.name).extend([field.read(value) for value in values])
    elif len(values) > 1:
        raise FieldsInvalid([Problem(field.pointer, f"is there {len(values)} times")])
    else:
        setattr(owner, field.name, field.read(values[0]))
