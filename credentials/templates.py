"""Texts with placeholders in braces: `Token {apiKey:base64}`."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from credentials.errors import SchemeInvalid

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """What stands between braces: `{name}` or `{name:argument}`."""

    name: str
    argument: str = ""

    def __str__(self) -> str:
        return f"{{{self.name}:{self.argument}}}" if self.argument else f"{{{self.name}}}"


@lru_cache(maxsize=1_000)  # every signed request asks, and there are as many as definitions
def parse(template: str, property_: str) -> tuple[str | Placeholder, ...]:
    """Part a template; `property_` names it in a `SchemeInvalid` about a brace without partner."""
    parts: list[str | Placeholder] = []
    for index, piece in enumerate(_PLACEHOLDER.split(template)):
        if index % 2:
            name, _, argument = piece.partition(":")
            parts.append(Placeholder(name, argument))
        elif "{" in piece or "}" in piece:
            message = f"The {property_} has a brace without its partner"
            raise SchemeInvalid(message, property=property_)
        elif piece:
            parts.append(piece)
    return tuple(parts)


def placeholders(template: str, property_: str) -> Iterable[Placeholder]:
    """Answer the placeholders of a template; raises as `parse` does."""
    return (part for part in parse(template, property_) if isinstance(part, Placeholder))


def fill(template: str, property_: str, value: Callable[[Placeholder], str]) -> str:
    """Put values in the places of a template; raises as `parse` and `value` do."""
    parts = parse(template, property_)
    return "".join([part if isinstance(part, str) else value(part) for part in parts])


def unknown(placeholder: Placeholder, property_: str, known: str) -> SchemeInvalid:
    """Answer the error for a placeholder that means nothing; `known` names those that do."""
    return SchemeInvalid(
        f"The {property_} uses {placeholder}, which is not known; known are {known}",
        property=property_,
    )
