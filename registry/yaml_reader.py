"""YAML to JSON values, event by event, so that nesting and aliases cannot cost anything.

Scalars are resolved by the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema),
not by YAML 1.1 as PyYAML does: `on`, `no`, `12:30` and `2024-01-01` are text.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from registry.canonical import MAX_DEPTH, Numeral, integer, members

_MOST_EVENTS: Final = 200_000
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXT_TAGS: Final = {None, "!", "tag:yaml.org,2002:str"}
_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_JSON_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)")
_JSON_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,300}|0o[0-7]{1,300}|0x[0-9a-fA-F]{1,250}")
_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BEYOND: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class UnreadableYaml(Exception):
    """Why this is no YAML that we take; line and column count from 1, 0 where unknown."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


def read_yaml(text: str) -> Any:
    """Read the one document of a YAML text. Raises `UnreadableYaml`."""
    tree = _Tree()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            tree.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise UnreadableYaml(error.problem or error.context or "", line, column) from None
    except yaml.YAMLError as error:
        raise UnreadableYaml(str(error)) from None
    return tree.root


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet; `key` waits for its value."""

    is_mapping: bool
    items: list[Any] = field(default_factory=list)
    pairs: list[tuple[str, Any]] = field(default_factory=list)
    key: str | None = None


class _Tree:
    """Takes events and grows values of them."""

    def __init__(self) -> None:
        self.root: Any = None
        self._open: list[_Open] = []
        self._documents = 0
        self._events = 0

    def take(self, event: Any) -> None:
        """Grow by one event."""
        self._events += 1
        if self._events > _MOST_EVENTS:
            raise _refusal(event, f"has more than {_MOST_EVENTS} parts; JSON may have more")
        match event:
            case yaml.AliasEvent():
                raise _refusal(event, "aliases (*name) are not taken; write the value out")
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._start(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                done = self._open.pop()
                self._put(members(done.pairs) if done.is_mapping else done.items)
            case yaml.DocumentStartEvent():
                self._document(event)

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            raise _refusal(event, "a second document starts here; a definition is one document")

    def _start(self, event: Any) -> None:
        if event.tag not in {None, "!"}:
            raise _refusal(event, f"the tag {event.tag} is not taken")
        if self._wants_key():
            raise _refusal(event, "a key must be a plain word")
        if len(self._open) > MAX_DEPTH:
            raise _refusal(event, f"is nested more than {MAX_DEPTH} levels deep")
        self._open.append(_Open(isinstance(event, yaml.MappingStartEvent)))

    def _scalar(self, event: Any) -> None:
        if event.tag not in _TEXT_TAGS:
            raise _refusal(event, f"the tag {event.tag} is not taken")
        if self._wants_key():
            self._open[-1].key = event.value
        else:
            is_plain = event.tag is None and event.implicit[0]
            self._put(_resolve(event.value) if is_plain else event.value)

    def _wants_key(self) -> bool:
        return bool(self._open) and self._open[-1].is_mapping and self._open[-1].key is None

    def _put(self, value: Any) -> None:
        if not self._open:
            self.root = value
            return
        parent = self._open[-1]
        if parent.key is None:
            parent.items.append(value)
        else:
            parent.pairs.append((parent.key, value))
            parent.key = None


def _resolve(text: str) -> Any:
    """Answer what a plain scalar stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if _JSON_INTEGER.fullmatch(text):
        return integer(text)
    if _JSON_NUMBER.fullmatch(text):
        return Numeral(text)
    if _INTEGER.fullmatch(text):
        return int(text, 0 if text[:2] in {"0o", "0x"} else 10)
    if _NUMBER.fullmatch(text):
        return Numeral(repr(float(text)))
    return Numeral(text.replace(".", "")) if _BEYOND.fullmatch(text) else text


def _refusal(event: Any, message: str) -> UnreadableYaml:
    return UnreadableYaml(message, event.start_mark.line + 1, event.start_mark.column + 1)
