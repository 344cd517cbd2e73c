"""Path templates of `google.api.http` (google/api/http.proto, "Path template syntax").

    Template  = "/" [ Segments ] [ ":" Verb ]
    Segments  = Segment { "/" Segment }
    Segment   = "*" | "**" | Literal | Variable
    Variable  = "{" FieldPath [ "=" Segments ] "}"
    FieldPath = Ident { "." Ident }

`{x}` means `{x=*}`. `*` is one segment, `**` any number of them; `**` occurs at most once and only
literals follow it. The grammar is kept strictly: what another implementation merely tolerates
(`bar*` as a literal, an empty verb) is an `InvalidTemplate` here.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple
from urllib.parse import unquote

from services.gateway.errors import InvalidRequest, InvalidTemplate

_TOKEN = re.compile(r"\*\*|[/{}*]|[^/{}*]+")
_FIELD_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
# RFC 3986 pchar, less the star, which is a wildcard and nothing else.
_LITERAL = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()+,;=:@]|%[0-9A-Fa-f]{2})+")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# What RFC 6570 calls reserved: these escapes stay as they are in a value of several segments.
_RESERVED_ESCAPE = re.compile(r"(%(?:2[1346789ABCFabcf]|3[ABDFabdf]|40|5[BDbd]))")


class Wildcard(Enum):
    """A segment that is not spelled out."""

    ONE = "*"
    MANY = "**"


Segment = str | Wildcard


@dataclass(frozen=True, slots=True)
class Variable:
    """A field that is filled from `segments[start:stop]` of a matching path.

    Behind `**` both bounds count from the end; `many`: the value can span several segments.
    """

    field_path: tuple[str, ...]
    start: int
    stop: int | None
    many: bool


class Path(NamedTuple):
    """The segments of a request's path, as received and with every escape decoded."""

    raw: list[str]
    decoded: list[str]

    def less_verb(self, verb: str) -> "Path":
        """The same path before a verb that its last segment ends with."""
        behind = -len(verb) - 1
        return Path(
            [*self.raw[:-1], self.raw[-1][:behind]], [*self.decoded[:-1], self.decoded[-1][:behind]]
        )


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template; literals are percent-decoded, `verb` is empty when there is none."""

    text: str
    segments: tuple[Segment, ...]
    verb: str
    variables: tuple[Variable, ...]


def parse(text: str) -> Template:
    """Parse a template; raises `InvalidTemplate`."""
    path, verb = _split_verb(text)
    parser = _Parser(text, path)
    parser.template()
    if verb and not parser.segments:
        raise InvalidTemplate(f"Path template '{text}': a verb needs a segment before it")
    return Template(text, tuple(parser.segments), verb, tuple(parser.anchored_variables()))


def has_broken_escape(text: str) -> bool:
    """Tell whether a `%` is not followed by two hexadecimal digits."""
    return _BROKEN_ESCAPE.search(text) is not None


def split(path: str) -> Path:
    """Split a path, as received and without its query, into segments; raises `InvalidRequest`."""
    if not path.startswith("/"):
        raise InvalidRequest(f"The path has to begin with '/', not '{path[:1]}'")
    raw = path[1:].split("/") if path != "/" else []
    if "%" not in path:
        return Path(raw, raw)
    if has_broken_escape(path):
        raise InvalidRequest("The path holds a '%' without two hexadecimal digits behind it")
    try:
        return Path(raw, [unquote(segment, errors="strict") for segment in raw])
    except UnicodeDecodeError:
        raise InvalidRequest("The path's escapes are not UTF-8") from None


def value_of(variable: Variable, path: Path) -> str:
    """Take a variable's value from a path that matches its template.

    Every escape of a one-segment value is decoded; a value of several segments keeps those of
    reserved characters, so that `%2F` and `/` stay apart.
    """
    if not variable.many:
        return path.decoded[variable.start]
    parts = _RESERVED_ESCAPE.split("/".join(path.raw[variable.start : variable.stop]))
    parts[::2] = [unquote(part) for part in parts[::2]]
    return "".join(parts)


def _split_verb(text: str) -> tuple[str, str]:
    tail_start = max(text.rfind("/"), text.rfind("}")) + 1
    colon = text.find(":", tail_start)
    if colon < 0:
        return text, ""
    verb = text[colon + 1 :]
    if not _LITERAL.fullmatch(verb):
        raise InvalidTemplate(f"Path template '{text}': '{verb}' is not a verb")
    return text[:colon], unquote(verb)


class _Parser:
    def __init__(self, text: str, path: str) -> None:
        self.text = text
        self.tokens = _TOKEN.findall(path)
        self.position = 0
        self.segments: list[Segment] = []
        self.variables: list[Variable] = []

    def template(self) -> None:
        if self.tokens == ["/"]:
            return
        self.expect("/")
        self.segment()
        while self.peek():
            self.expect("/")
            self.segment()

    def segment(self) -> None:
        if self.peek() == "{":
            self.variable()
        else:
            self.plain_segment(self.take())

    def variable(self) -> None:
        self.expect("{")
        path, equals, first = self.take().partition("=")
        if not _FIELD_PATH.fullmatch(path):
            raise self.error(f"'{path}' is not a field path")
        start = len(self.segments)
        if equals:
            self.nested_segment(first or self.take())
            while self.peek() == "/":
                self.expect("/")
                self.nested_segment(self.take())
        else:
            self.plain_segment("*")
        self.expect("}")
        self.add_variable(tuple(path.split(".")), start)

    def nested_segment(self, token: str) -> None:
        if ":" in token:
            raise self.error("a verb stands at the end, outside of variables")
        self.plain_segment(token)

    def plain_segment(self, token: str) -> None:
        wildcard = token in ("*", "**")
        if wildcard and Wildcard.MANY in self.segments:
            raise self.error("only literals may follow '**'")
        if not wildcard and not _LITERAL.fullmatch(token):
            raise self.error(f"'{token}' cannot be a segment")
        self.segments.append(Wildcard(token) if wildcard else unquote(token))

    def add_variable(self, path: tuple[str, ...], start: int) -> None:
        if any(path == other.field_path for other in self.variables):
            raise self.error(f"'{'.'.join(path)}' is there twice")
        covered = self.segments[start:]
        many = len(covered) > 1 or covered[0] is Wildcard.MANY
        self.variables.append(Variable(path, start, len(self.segments), many))

    def anchored_variables(self) -> list[Variable]:
        """Count from the end what stands behind `**`, whose length only the path knows."""
        total = len(self.segments)
        many = self.segments.index(Wildcard.MANY) if Wildcard.MANY in self.segments else total
        anchored = []
        for variable in self.variables:
            start, stop = variable.start, variable.stop
            if start > many:
                start -= total
            if stop is not None and stop > many:
                stop = stop - total or None
            anchored.append(Variable(variable.field_path, start, stop, variable.many))
        return anchored

    def peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        if not token:
            raise self.error("it ends too early")
        self.position += 1
        return token

    def expect(self, token: str) -> None:
        if self.peek() != token:
            raise self.error(f"'{token}' expected, not {self.peek() or 'the end'}")
        self.position += 1

    def error(self, why: str) -> InvalidTemplate:
        return InvalidTemplate(f"Path template '{self.text}': {why}")
