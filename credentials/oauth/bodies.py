"""Reads the body of an answer into an object, whatever it says it is."""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

LARGEST: Final = 256 * 1024
_MOST_FORM_FIELDS: Final = 256
_LONGEST_INTEGER: Final = 400  # digits; more are beyond a double anyway


def read_object(headers: Mapping[str, str], body: bytes) -> Mapping[str, Any] | None:
    """Answer the object that a body is, None when it is none; never raises.

    JSON where the content type says so or it begins like it, then a form, as servers send it that
    take no notice of `Accept`. What is no UTF-8 is read as Latin-1.
    """
    if not 0 < len(body) <= LARGEST:
        return None
    text = _decoded(body).strip()
    content_type = headers.get("content-type", "").lower()
    form_first = "form-urlencoded" in content_type and not text.startswith("{")
    readers = (_form, _json) if form_first else (_json, _form)
    return next((found for read in readers if (found := read(text)) is not None), None)


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def _json(text: str) -> Mapping[str, Any] | None:
    try:
        value = json.loads(text, object_pairs_hook=_members, parse_int=_integer)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a name that stands twice the last counts, unless it says nothing."""
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name not in members or (value is not None and value != ""):
            members[name] = value
    return members


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < _LONGEST_INTEGER else float(digits)


def _form(text: str) -> Mapping[str, Any] | None:
    """Read a form; a page that happens to have a link with a token in it is none."""
    if "=" not in text or any(letter in text for letter in '<>{}"\n\r\t '):
        return None
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FORM_FIELDS)
    except ValueError:
        return None
    return _members(list(pairs)) or None
