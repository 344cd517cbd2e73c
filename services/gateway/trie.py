"""The most specific of many path templates, in time linear in the path.

Segment by segment a literal goes before `*` and `*` before `**`; a branch that turns out to be a
dead end is left for the next one. The order of registration plays no part. A search visits each
node at most once, so its cost is bounded by the templates, not by the path.
"""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from services.gateway.template import Segment, Template, Wildcard

T = TypeVar("T")


@dataclass(slots=True)
class _Node(Generic[T]):
    literals: dict[str, "_Node[T]"] = field(default_factory=dict)
    one: "_Node[T] | None" = None
    # What follows `**`, longest first: only literals can.
    many: dict[tuple[Segment, ...], "_Node[T]"] = field(default_factory=dict)
    ends: dict[str, T] = field(default_factory=dict)


class Trie(Generic[T]):
    """Values by path template; `T` is whatever hangs on a template and its verb."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._verbs: set[str] = set()
        self._longest_verb = 0

    def setdefault(self, template: Template, value: T) -> T:
        """Answer what a template of the same shape holds already, else put `value` there."""
        self._verbs.add(template.verb)
        self._longest_verb = max(self._longest_verb, len(template.verb))
        return self._place(template.segments).ends.setdefault(template.verb, value)

    def find(self, segments: list[str], keys: list[str]) -> list[T]:
        """Values of all templates that match, the most specific first.

        `segments` are the raw ones and decide about emptiness; `keys` are the same decoded, to be
        compared with literals. A verb some template has is tried before it is taken as text.
        """
        found: list[T] = []
        last = keys[-1] if keys else ""
        if ":" in last and ":" in segments[-1]:
            self._find_with_verb(segments, keys, found)
        if not found:
            _collect(self._root, (segments, keys, ""), 0, found)
        return found

    def _find_with_verb(self, segments: list[str], keys: list[str], found: list[T]) -> None:
        raw = segments[-1]
        colon = len(raw) - self._longest_verb - 2
        while not found and (colon := raw.find(":", max(colon + 1, 0))) >= 0:
            verb = raw[colon + 1 :]
            if verb and verb in self._verbs:
                stem = raw[:colon]
                key = keys[-1][: -len(verb) - 1]
                path = ([*segments[:-1], stem], [*keys[:-1], key], verb)
                _collect(self._root, path, 0, found)

    def _place(self, segments: tuple[Segment, ...]) -> _Node[T]:
        node = self._root
        for index, segment in enumerate(segments):
            if segment is Wildcard.MANY:
                return _tail(node, segments[index + 1 :])
            if isinstance(segment, str):
                node = node.literals.setdefault(segment, _Node())
            else:
                node.one = node.one or _Node()
                node = node.one
        return node


def _tail(node: _Node[T], suffix: tuple[Segment, ...]) -> _Node[T]:
    end = node.many.setdefault(suffix, _Node())
    node.many = dict(sorted(node.many.items(), key=lambda item: -len(item[0])))
    return end


def _collect(
    node: _Node[T], path: tuple[list[str], list[str], str], index: int, found: list[T]
) -> None:
    segments, keys, verb = path
    # Most nodes have one way on; only where there are more does the search fork.
    while index < len(keys):
        literal = node.literals.get(keys[index])
        one = node.one if segments[index] else None
        if node.many or (literal and one):
            _collect_branches(node, path, index, found)
            return
        following = literal or one
        if following is None:
            return
        node = following
        index += 1
    if verb in node.ends:
        found.append(node.ends[verb])
    _collect_many(node, path, index, found)


def _collect_branches(
    node: _Node[T], path: tuple[list[str], list[str], str], index: int, found: list[T]
) -> None:
    segments, keys, _ = path
    literal = node.literals.get(keys[index])
    if literal is not None:
        _collect(literal, path, index + 1, found)
    if node.one is not None and segments[index]:
        _collect(node.one, path, index + 1, found)
    _collect_many(node, path, index, found)


def _collect_many(
    node: _Node[T], path: tuple[list[str], list[str], str], index: int, found: list[T]
) -> None:
    _, keys, verb = path
    for suffix, end in node.many.items():
        first = len(keys) - len(suffix)
        if verb in end.ends and first >= index and tuple(keys[first:]) == suffix:
            found.append(end.ends[verb])
