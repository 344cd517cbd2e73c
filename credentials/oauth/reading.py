"""Reads options that people wrote: each is what it must be, or the error names it."""

import re
from collections.abc import Collection, Iterator, Mapping
from math import isfinite
from typing import Any, Final

from credentials.errors import OAuthMisconfigured

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def misconfigured(field: str, problem: str) -> OAuthMisconfigured:
    """Make the error for a field of `oauth2Config` or of the config; it never shows the value."""
    return OAuthMisconfigured(f"{field} {problem}", field=field)


def _is_text(value: Any) -> bool:
    """Tell whether it is a text that UTF-8 can write: JSON can hold half a surrogate pair."""
    return isinstance(value, str) and not _SURROGATE.search(value)


class Options:
    """The options of one object; `place` is what errors call it, `values` come from anywhere."""

    def __init__(self, values: Mapping[str, Any], place: str = "oauth2Config") -> None:
        self._values = values
        self._place = place

    def has(self, name: str) -> bool:
        """Tell whether the option is written and not null."""
        return self._values.get(name) is not None

    def is_text(self, name: str) -> bool:
        """Tell whether the option is a text, where it may be something else too."""
        return isinstance(self._values.get(name), str)

    def text(self, name: str, default: str = "") -> str:
        """Answer a text."""
        value = self._values.get(name)
        if value is None:
            return default
        if not _is_text(value):
            raise self.wrong(name, "must be a text")
        return str(value)

    def word(self, name: str, choices: Collection[str], default: str) -> str:
        """Answer one of several words."""
        value = self.text(name) or default
        if value not in choices:
            raise self.wrong(name, f"must be one of {', '.join(choices)}")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """Answer true or false."""
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(name, "must be true or false")
        return value

    def number(self, name: str) -> float | None:
        """Answer a number that is not negative, None where there is none."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(name, "must be a number")
        number = float(value) if abs(value) < 1e18 else -1.0  # noqa: PLR2004 - fits a double
        if not isfinite(number) or number < 0:
            raise self.wrong(name, "must be a number from 0")
        return number

    def texts(self, name: str) -> dict[str, str]:
        """Answer an object whose values are texts."""
        for key, value in self.members(name):
            if not _is_text(value):
                raise self.wrong(f"{name}.{key}", "must be a text")
        return dict(self.members(name))

    def words(self, name: str) -> list[str]:
        """Answer a list of texts; a lone text is a list of one."""
        value = self._values.get(name)
        if value is None:
            return []
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(map(_is_text, items)):
            raise self.wrong(name, "must be a text or a list of texts")
        return list(items)

    def inner(self, name: str) -> "Options":
        """Answer the options of an object inside; one that is not there has none."""
        return Options(dict(self.members(name)), f"{self._place}.{name}")

    def members(self, name: str) -> Iterator[tuple[str, Any]]:
        """Answer the members of an object inside."""
        value = self._values.get(name)
        if value is None:
            return iter(())
        if not isinstance(value, Mapping) or not all(map(_is_text, value)):
            raise self.wrong(name, "must be an object")
        return iter(value.items())

    def wrong(self, name: str, problem: str) -> OAuthMisconfigured:
        """Make the error for one of these options."""
        return misconfigured(f"{self._place}.{name}", problem)
