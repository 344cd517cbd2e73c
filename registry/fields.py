"""Reading a JSON object field by field; every problem is gathered, not only the first."""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from registry.model import Problem
from registry.problems import MOST_SHOWN, pointer

_LONGEST_SHOWN: Final = 80


class Findings:
    """Problems and warnings, as they were found, and no more than can be shown."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    @property
    def enough(self) -> bool:
        """Tell whether there are more problems than can be shown."""
        return len(self.problems) >= MOST_SHOWN

    def refuse(self, path: str, message: str) -> None:
        """Note something that is wrong."""
        self.add([Problem(path, message)])

    def add(self, problems: Iterable[Problem]) -> None:
        """Note several problems."""
        self.problems += islice(problems, MOST_SHOWN - len(self.problems))

    def warn(self, path: str, message: str) -> None:
        """Note something that is legal but worth knowing."""
        if len(self.warnings) < MOST_SHOWN:
            self.warnings.append(Problem(path, message))


class Fields:
    """One object. Reading a field of the wrong type notes a problem and answers the default."""

    def __init__(self, value: Any, path: str, findings: Findings) -> None:
        self.path = path
        self.findings = findings
        self._known: list[str] = []
        if not isinstance(value, dict):
            findings.refuse(path, f"must be an object, not {kind(value)}")
        self._members: Mapping[str, Any] = value if isinstance(value, dict) else {}
        self.readable = isinstance(value, dict)

    def at(self, name: str) -> str:
        """Answer the path of a field."""
        return self.path + pointer(name)

    def warn_of_later(self, *names: str) -> None:
        """Warn of fields that only a later release acts on."""
        for name in names:
            if self.has(name):
                self.findings.warn(self.at(name), "is kept, but this release does not act on it")

    def refuse(self, name: str, message: str) -> None:
        """Note a problem with a field."""
        self.findings.refuse(self.at(name), message)

    def has(self, name: str) -> bool:
        """Tell whether the field is there."""
        return name in self._members

    def raw(self, name: str, default: Any = None) -> Any:
        """Answer a field as it is."""
        self._known.append(name)
        return self._members.get(name, default)

    def required(self, *names: str) -> None:
        """Note those that are missing."""
        for name in names:
            if self.readable and name not in self._members:
                self.refuse(name, "is missing")

    def text(self, name: str, default: str = "") -> str:
        """Answer a text."""
        value = self.raw(name, default)
        if isinstance(value, str):
            return value
        advice = "; put it in quotes" if isinstance(value, int | float) else ""
        self.refuse(name, f"must be a text, not {kind(value)}{advice}")
        return default

    def word(self, name: str, choices: Collection[str], default: str = "") -> str:
        """Answer one of the choices."""
        value = self.text(name, default)
        if value in choices or (value == default and not self.has(name)):
            return value
        if isinstance(self._members.get(name), str):
            hint = did_you_mean(value, choices)
            self.refuse(name, f"must be one of {', '.join(choices)}{hint}")
        return default

    def whole(self, name: str, least: int, most: int) -> int | None:
        """Answer a whole number from `least` to `most`."""
        value = self.raw(name)
        if name not in self._members:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.refuse(name, f"must be a whole number from {least} to {most}")
        return None

    def number(self, name: str, least: float, most: float) -> float | None:
        """Answer a number from `least` to `most`."""
        value = self.raw(name)
        if name not in self._members:
            return None
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and least <= value <= most
        ):
            return float(value)
        self.refuse(name, f"must be a number from {least:g} to {most:g}")
        return None

    def flag(self, name: str) -> bool | None:
        """Answer true or false."""
        value = self.raw(name)
        if name in self._members and not isinstance(value, bool):
            self.refuse(name, f"must be true or false, not {kind(value)}")
        return value if isinstance(value, bool) else None

    def texts(self, name: str) -> tuple[str, ...]:
        """Answer a list of texts."""
        value = self.raw(name, [])
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        self.refuse(name, "must be a list of texts")
        return ()

    def items(self, name: str) -> Iterator[tuple[str, Any]]:
        """Answer the members of an object, each with its path."""
        value = self.raw(name, {})
        if not isinstance(value, dict):
            self.refuse(name, f"must be an object, not {kind(value)}")
            return
        yield from value.items()

    def inner(self, name: str) -> "Fields | None":
        """Answer the object in a field, None when the field is missing."""
        value = self.raw(name)
        return Fields(value, self.at(name), self.findings) if name in self._members else None

    def rest(self, accepted: Collection[str]) -> dict[str, Any]:
        """Answer the members nobody asked for; those not accepted, or named `x-…`, are refused."""
        rest = {name: item for name, item in self._members.items() if name not in self._known}
        known = [*self._known, *accepted]
        for name in rest:
            if self.findings.enough:
                break
            if name not in accepted and not name.startswith("x-"):
                self.refuse(name, f"is not a known field{did_you_mean(name, known)}")
        return {name: self._members[name] for name in rest}


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Answer a hint at the known word that looks most like this one, or nothing."""
    by_letters = {name.lower().replace("_", ""): name for name in known}
    folded = word[:_LONGEST_SHOWN].lower().replace("_", "").replace("-", "")
    close = difflib.get_close_matches(folded, by_letters, n=1)
    return f"; did you mean {by_letters[close[0]]}?" if close else ""


def kind(value: Any) -> str:
    """Answer what JSON calls this value."""
    names = {
        type(None): "null",
        bool: "true or false",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), "a number")
