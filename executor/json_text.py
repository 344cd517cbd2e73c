"""JSON as text: whole values are moved as slices, so that every number keeps its digits."""

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

_KEY = re.compile(rb'"\s*:')

TemplateValue = str | list[str] | list[tuple[str, str]] | None

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


def members(text: bytes) -> dict[str, bytes]:
    """Answer the members of an object as slices of its text, in their order.

    Raises ValueError when the text is no object or is nested too deeply.
    """
    try:
        return {key: bytes(value) for key, value in _members(text).items()}
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def elements(text: bytes) -> list[bytes]:
    """Answer the elements of an array as slices of its text; raises ValueError as `members`."""
    try:
        return [bytes(value) for value in _elements(text)]
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def join(parts: Mapping[str, bytes]) -> bytes:
    """Write an object of members that are JSON texts already."""
    return b"{%b}" % b",".join([orjson.dumps(key) + b":" + text for key, text in parts.items()])


def extend(text: bytes, parts: Mapping[str, bytes]) -> bytes:
    """Write members behind those of an object whose text stays as it is.

    The object must not have any of these members.
    """
    head = text.rstrip()[:-1].rstrip()
    separator = b"" if head.endswith(b"{") else b","
    return head + separator + join(parts)[1:]


def parsed(text: bytes) -> Any:
    """Parse what a script wrote, lone surrogates and all.

    Raises ValueError when it is no JSON or is nested too deeply.
    """
    try:
        return orjson.loads(text)
    except ValueError:
        try:
            return json.loads(text)
        except RecursionError as error:
            raise ValueError(str(error)) from None


def dump(value: Any) -> bytes:
    """Write a JSON value; integers may have any number of digits."""
    try:
        return orjson.dumps(value)
    except TypeError:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode()


def scalar(text: bytes) -> str:
    """Answer what a JSON text is in a URL: a string without its quotes, all else as written."""
    return str(orjson.loads(text)) if text.startswith(b'"') else text.decode()


def template_value(text: bytes) -> TemplateValue:
    """Answer a JSON text as RFC 6570 sees values: a string, a list, pairs, or None if undefined.

    Raises ValueError when a string in it is no valid Unicode.
    """
    match text[:1]:
        case b"[":
            return [scalar(item) for item in elements(text) if item != b"null"]
        case b"{":
            return [(key, scalar(item)) for key, item in members(text).items() if item != b"null"]
        case b"n":
            return None
        case _:
            return scalar(text)


def query_pairs(parts: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Spread an object over a query or a form.

    Arrays are repeated, nulls left out, objects written as JSON. Raises ValueError when a string
    in it is no valid Unicode.
    """
    pairs = []
    for key, text in parts.items():
        items = elements(text) if text.startswith(b"[") else (text,)
        pairs += [(key, scalar(item)) for item in items if item != b"null"]
    return pairs


def mentions(value: Any, word: str) -> bool:
    """Tell whether a word stands in any string or key of a JSON value."""
    if isinstance(value, str):
        return word in value
    if isinstance(value, dict):
        return any(word in key or mentions(item, word) for key, item in value.items())
    return isinstance(value, list) and any(mentions(item, word) for item in value)


def repeated_key(text: bytes, value: Any) -> str | None:
    """Answer a key that stands twice in one object of a text, `value` being what it parses to.

    Parsers differ in which of the two they see, so one that checks and one that acts may not agree.
    Raises ValueError when the text is nested too deeply to tell.
    """
    if len(_KEY.findall(text)) == _count_keys(value):
        return None
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                found.append(key)
            seen.add(key)

    try:
        json.loads(text, object_pairs_hook=look)
    except RecursionError as error:
        raise ValueError(str(error)) from None
    return found[0] if found else None


def _count_keys(value: Any) -> int:
    count, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            count += len(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return count
