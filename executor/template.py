"""URI templates (RFC 6570, level 4), parsed once and expanded often.

Two liberties: names may hold `-` and `$`, which parameters of real APIs do, and a variable
`config.region` is called `region` where its name is written into a query.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from executor.json_text import TemplateValue

CONFIG_PREFIX = "config."

_RESERVED = ":/?#[]@!$&'()*+,;="
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]*")
_ESCAPES = {code: f"%{code:02X}" for code in range(128) if not _UNRESERVED.fullmatch(chr(code))}
_EXPRESSION = re.compile(r"\{([^{}]*)\}")
_VARIABLE = re.compile(
    r"(?P<name>[A-Za-z0-9_.$%-]+)(?::(?P<prefix>[1-9][0-9]{0,3})|(?P<explode>\*))?"
)
_TRIPLET = re.compile(r"(%[0-9A-Fa-f]{2})")


class TemplateError(ValueError):
    """The text is no URI template."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One row of the table in RFC 6570, appendix A."""

    sign: str
    first: str
    separator: str
    named: bool = False
    if_empty: str = ""
    reserved: bool = False


SIMPLE = Operator("", "", ",")
OPERATORS = {
    operator.sign: operator
    for operator in (
        Operator("+", "", ",", reserved=True),
        Operator("#", "#", ",", reserved=True),
        Operator(".", ".", "."),
        Operator("/", "/", "/"),
        Operator(";", ";", ";", named=True),
        Operator("?", "?", "&", named=True, if_empty="="),
        Operator("&", "&", "&", named=True, if_empty="="),
    )
}


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of an expression."""

    name: str
    prefix: int | None = None
    explode: bool = False

    @property
    def label(self) -> str:
        """How the variable is called where its name is written out."""
        return self.name.removeprefix(CONFIG_PREFIX)


@dataclass(frozen=True, slots=True)
class Expression:
    """What stands between braces."""

    operator: Operator
    variables: tuple[Variable, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template: literals, percent-encoded already, and expressions."""

    parts: tuple[str | Expression, ...]
    names: frozenset[str]

    @property
    def literal(self) -> str | None:
        """The whole text when there is nothing to expand, else None."""
        return None if self.names else "".join(str(part) for part in self.parts)

    def expressions(self) -> Iterable[Expression]:
        """Answer the expressions in their order."""
        return (part for part in self.parts if isinstance(part, Expression))

    def expand(self, values: Mapping[str, TemplateValue]) -> str:
        """Put the values in, percent-encoded."""
        return self._write(values, encode, encode_reserved)

    def expand_trusted(self, values: Mapping[str, TemplateValue]) -> str:
        """Put the values in, percent-encoded, but those of `{+…}` as they are."""
        return self._write(values, encode, str)

    def fill(self, values: Mapping[str, TemplateValue]) -> str:
        """Put the values in as they are, for places outside URLs."""
        return self._write(values, str, str)

    def _write(
        self,
        values: Mapping[str, TemplateValue],
        simple: Callable[[str], str],
        reserved: Callable[[str], str],
    ) -> str:
        return "".join(
            [
                part
                if isinstance(part, str)
                else _expand(part, values, reserved if part.operator.reserved else simple)
                for part in self.parts
            ]
        )


def encode(text: str) -> str:
    """Percent-encode all but unreserved characters."""
    # Five times as fast as `quote`, which escapes byte by byte.
    return text.translate(_ESCAPES) if text.isascii() else quote(text, safe="")


def encode_reserved(text: str) -> str:
    """Percent-encode all but unreserved and reserved characters and triplets."""
    if _UNRESERVED.fullmatch(text):
        return text
    pieces = _TRIPLET.split(text)
    return "".join(
        piece if index % 2 else quote(piece, safe=_RESERVED) for index, piece in enumerate(pieces)
    )


def parse(text: str, *, literal: Callable[[str], str] = encode_reserved) -> Template:
    """Parse a template; raises `TemplateError`. `literal` encodes what stands outside braces."""
    parts: list[str | Expression] = []
    for index, piece in enumerate(_EXPRESSION.split(text)):
        if index % 2:
            parts.append(_expression(piece))
        elif "{" in piece or "}" in piece:
            raise TemplateError(f"a brace without its partner in {text!r}")
        elif piece:
            parts.append(literal(piece))
    return _template(parts)


def split_query(template: Template) -> tuple[Template, Template]:
    """Part a template where its query begins; neither part holds the `?`."""
    for index, part in enumerate(template.parts):
        head, tail = template.parts[:index], template.parts[index + 1 :]
        if isinstance(part, Expression):
            if part.operator.sign in {"?", "&"}:
                return _template(head), _template((part, *tail))
        elif "?" in part:
            before, _, after = part.partition("?")
            return _template((*head, before)), _template((after, *tail))
    return template, _template(())


def _template(parts: Iterable[str | Expression]) -> Template:
    kept = tuple(part for part in parts if part)
    return Template(
        kept,
        frozenset(
            variable.name
            for part in kept
            if isinstance(part, Expression)
            for variable in part.variables
        ),
    )


def _expression(text: str) -> Expression:
    operator = OPERATORS.get(text[:1], SIMPLE)
    return Expression(
        operator, tuple(_variable(name) for name in text[len(operator.sign) :].split(","))
    )


def _variable(text: str) -> Variable:
    match = _VARIABLE.fullmatch(text)
    if match is None:
        raise TemplateError(f"{text!r} is no variable of a URI template")
    prefix = match["prefix"]
    return Variable(match["name"], int(prefix) if prefix else None, match["explode"] is not None)


def _expand(
    expression: Expression, values: Mapping[str, TemplateValue], escape: Callable[[str], str]
) -> str:
    operator = expression.operator
    pieces: list[str] = []
    for variable in expression.variables:
        value = values.get(variable.name)
        if isinstance(value, str):
            pieces.append(_named(operator, variable, escape(value[: variable.prefix])))
        elif value and variable.explode:
            pieces += _exploded(operator, variable, value, escape)
        elif value:
            pieces.append(_named(operator, variable, _joined(value, escape)))
    return operator.first + operator.separator.join(pieces) if pieces else ""


def _named(operator: Operator, variable: Variable, text: str) -> str:
    if not operator.named:
        return text
    return f"{variable.label}={text}" if text else variable.label + operator.if_empty


def _joined(value: list[str] | list[tuple[str, str]], escape: Callable[[str], str]) -> str:
    return ",".join(
        escape(item) if isinstance(item, str) else f"{escape(item[0])},{escape(item[1])}"
        for item in value
    )


def _exploded(
    operator: Operator,
    variable: Variable,
    value: list[str] | list[tuple[str, str]],
    escape: Callable[[str], str],
) -> list[str]:
    return [
        _named(operator, variable, escape(item))
        if isinstance(item, str)
        else f"{escape(item[0])}={escape(item[1])}"
        for item in value
    ]
