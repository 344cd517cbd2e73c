"""The most specific of many path templates, by a few dictionary look-ups.

Segment by segment a literal goes before `*`, `*` before `**`, and a longer tail behind `**` before
a shorter one; the order of registration plays no part. Templates with their wildcards in the same
places have one *shape* and share a dictionary, keyed by the literals in the other places. The
shapes that fit the number of segments are tried from the most specific on, which is what walking
a trie with backtracking would come to; its cost is bounded by the templates, not by the path.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Generic, TypeVar

from services.gateway.template import Path, Segment, Template, Wildcard

T = TypeVar("T")
_RANK = {Wildcard.ONE: 1, Wildcard.MANY: 2}
# Rank, and for `**` the number of literals behind it, the longer the better.
_Order = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Shape(Generic[T]):
    order: _Order
    literals: Callable[[Sequence[Any]], object]
    ones: tuple[int, ...]
    shortest: int
    longest: int | None
    verb: str
    values: dict[object, T] = field(default_factory=dict)


class Matcher(Generic[T]):
    """Values by path template; `T` is whatever hangs on a template and its verb."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[_Order, str], _Shape[T]] = {}
        self._by_length: list[dict[str, list[_Shape[T]]]] = [{}]
        self._verbs: set[str] = set()
        self._longest_verb = 0

    def setdefault(self, template: Template, value: T) -> T:
        """Answer what a template of the same form holds already, else put `value` there."""
        shape = _shape_of(template)
        shape = self._shapes.setdefault((shape.order, shape.verb), shape)
        kept = shape.values.setdefault(shape.literals(template.segments), value)
        self._verbs = {verb for _, verb in self._shapes if verb}
        self._longest_verb = max(map(len, self._verbs), default=0)
        self._by_length = self._sorted()
        return kept

    def find(self, path: Path) -> list[T]:
        """Values of all templates that match, the most specific first.

        A verb that some template has is tried before it is taken as text.
        """
        if path.raw and ":" in path.raw[-1]:
            found = self._find_with_verb(path)
            if found:
                return found
        return self._find(path, "")

    def _find_with_verb(self, path: Path) -> list[T]:
        last = path.raw[-1]
        colon = last.find(":", max(len(last) - self._longest_verb - 1, 0))
        while colon >= 0:
            verb = last[colon + 1 :]
            if verb in self._verbs:
                found = self._find(path.less_verb(verb), verb)
                if found:
                    return found
            colon = last.find(":", colon + 1)
        return []

    def _find(self, path: Path, verb: str) -> list[T]:
        raw, decoded = path
        # Paths longer than any template without `**` all meet the same shapes.
        by_verb = self._by_length[min(len(raw), len(self._by_length) - 1)]
        complete = "" not in raw
        found = []
        for shape in by_verb.get(verb, ()):
            value = shape.values.get(shape.literals(decoded))
            # An empty segment never satisfies `*`.
            if value is not None and (complete or all(raw[one] for one in shape.ones)):
                found.append(value)
        return found

    def _sorted(self) -> list[dict[str, list[_Shape[T]]]]:
        shapes = sorted(self._shapes.values(), key=lambda shape: shape.order)
        lengths = range(2 + max((shape.longest or shape.shortest) for shape in shapes))
        return [
            {
                verb: [shape for shape in shapes if shape.verb == verb and _fits(shape, length)]
                for verb in ("", *self._verbs)
            }
            for length in lengths
        ]


def _fits(shape: _Shape[T], length: int) -> bool:
    return shape.shortest <= length and (shape.longest is None or length <= shape.longest)


def _shape_of(template: Template) -> _Shape[Any]:
    segments = template.segments
    total = len(segments)
    many = segments.index(Wildcard.MANY) if Wildcard.MANY in segments else total
    # Places behind `**` are counted from the end.
    places = [index if index < many else index - total for index in range(total) if index != many]
    literals = [place for place in places if isinstance(segments[place], str)]
    return _Shape(
        tuple(_order(segment, total - index) for index, segment in enumerate(segments)),
        itemgetter(*literals) if literals else _nothing,
        tuple(place for place in places if segments[place] is Wildcard.ONE),
        total if many == total else total - 1,
        total if many == total else None,
        template.verb,
    )


def _order(segment: Segment, from_end: int) -> tuple[int, int]:
    if isinstance(segment, str):
        return 0, 0
    return _RANK[segment], -from_end if segment is Wildcard.MANY else 0


def _nothing(_segments: Sequence[str]) -> object:
    return ()
