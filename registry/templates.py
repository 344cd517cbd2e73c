"""RFC 6570 URI templates, as strictly as the grammar of its section 2 has them.

Libraries that expand them forgive nearly everything when they read: so they are read here.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from registry.fields import did_you_mean
from registry.secrecy import says_so

CONFIG: Final = "config."

_VARIABLE: Final = r"(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})+(?:\.(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})+)*"
_SPEC: Final = rf"({_VARIABLE})(?:\*|:[1-9][0-9]{{0,3}})?"
_EXPRESSION: Final = re.compile(rf"\{{([+#./;?&]?)({_SPEC}(?:,{_SPEC})*)\}}")
_NAME: Final = re.compile(_SPEC)
_URI_LITERAL: Final = re.compile(r"""(?:[^\x00-\x20"'<>\\^`{|}\x7f%]|%[0-9A-Fa-f]{2}|')*""")
_HEADER_LITERAL: Final = re.compile(r"[\x20-\x7e]*")


class MalformedTemplate(Exception):
    """Why this is no URI template."""


@dataclass(frozen=True, slots=True)
class ConfigFields:
    """The config's fields as templates may name them: `config.region`.

    `described` are the properties of the configSchema, None where it lists none; `captured` those
    that the API tells when somebody connects.
    """

    described: Collection[str] | None
    secret: Collection[str]
    captured: Collection[str] = ()

    def problem(self, variable: str) -> str:
        """Answer what is wrong with a variable of the config; nothing when it can stand there."""
        field = variable.split(".")[1]
        if field not in self.captured and (problem := self.absence(field)):
            return f"uses {variable}, which {problem}"
        if field in self.secret:
            return f"uses {variable}, which is secret; secrets go through auth only"
        return ""

    def absence(self, field: str) -> str:
        """Answer that a field is none that callers send, where that is known; else nothing."""
        if self.described is None or field in self.described:
            return ""
        return f"is no property of configSchema{did_you_mean(field, self.described)}"

    def hides(self, field: str) -> bool:
        """Tell whether text in a field is kept secret; what nobody described goes by its name."""
        if self.described is not None and field in self.described:
            return field in self.secret
        return says_so(field)


def uri_variables(template: str) -> tuple[str, ...]:
    """Answer the names of a URI template's variables. Raises `MalformedTemplate`."""
    return _variables(template, _URI_LITERAL)


def header_variables(template: str) -> tuple[str, ...]:
    """Answer the names of the variables of a header's template. Raises `MalformedTemplate`."""
    return _variables(template, _HEADER_LITERAL)


def _variables(template: str, literal: re.Pattern[str]) -> tuple[str, ...]:
    names: list[str] = []
    at = 0
    for match in _EXPRESSION.finditer(template):
        _check_literal(template, at, match.start(), literal)
        names += [spec.group(1) for spec in _NAME.finditer(match.group(2))]
        at = match.end()
    _check_literal(template, at, len(template), literal)
    return tuple(names)


def _check_literal(template: str, start: int, end: int, literal: re.Pattern[str]) -> None:
    text = template[start:end]
    matched = literal.match(text)
    good = matched.end() if matched else 0
    brace = re.search(r"[{}]", text)
    if brace:
        raise MalformedTemplate(
            f"the brace at character {start + brace.start() + 1} belongs to no expression"
        )
    if good < len(text):
        raise MalformedTemplate(f"character {start + good + 1} must be percent-encoded")
