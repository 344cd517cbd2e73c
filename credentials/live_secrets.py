"""The secrets in use, found again by value in whatever text leaves the process.

Finding must not depend on how many secrets there are: all are indexed by the first characters of
their forms, and a text is looked up in the index at each of its octets. Before that, text and
forms are folded: upper case is lower, `-` and the blank are `+`, `_` is `/`. So base64 and
base64url are one form, as are all ways to write hexadecimal digits, `+` and `%20`, at the price of
masking now and then what is a secret but for these differences.
"""

import re
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from typing import Final

from credentials.secret import MASK
from credentials.unescaping import View, views

GRAM: Final = 8  # what is shorter is no secret worth the name, and would wreck every text
CAPACITY: Final = 20_000
# Many secrets begin alike (every JWT does). What they cost a text that begins so is bounded.
MOST_LENGTHS: Final = 32
LONGEST_PIECE: Final = 1024
_SEPARATORS: Final = re.compile(r"[\s,;]+")
FOLDED: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ-_ ", b"abcdefghijklmnopqrstuvwxyz+/+")
CONTINUATIONS: Final = bytes(range(0x80, 0xC0))  # octets of UTF-8 that begin no character


class LiveSecrets:
    """Masks the last `capacity` different secrets that were in use, in any number of threads.

    Found are secrets of at least 8 characters: as they are, in base64 and base64url (also inside of
    a longer one, such as Basic's), in hexadecimal, and each of these with the escapes of URLs,
    JSON, Python and HTML, two layers deep. Of a base64 form, the digit at either end that it shares
    with its neighbours is left: at most 4 bits.

    Of a secret it keeps hashes and the first characters of its forms.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._young = _Generation()  # the last ones used; at most `capacity`
        self._old = _Generation()  # those before

    def add(self, *values: str) -> None:
        """Remember secrets. Next to nothing is done for those that were added lately.

        Of the value of a header or cookie, what stands in it is remembered too: `Bearer abcdefgh`
        and `session="abcdefgh"` are also `abcdefgh`, and Basic's is also the password.
        """
        known = self._young.known
        for value in values:
            if hash(value) not in known and len(value) >= GRAM:
                self._learn(value)

    def mask(self, text: str) -> str:
        """Put `***` in the place of every secret; a text without any is answered as it is."""
        if len(text) < GRAM or not self._young.known:
            return text
        spans = sorted(span for view in views(text) for span in self._found(view))
        return _masked(text, spans) if spans else text

    def _learn(self, value: str) -> None:
        with self._lock:
            if len(self._young.known) >= self._capacity:
                self._old, self._young = self._young, _Generation()
            for secret in {value, *_parts(value)}:
                if len(secret) >= GRAM:
                    self._young.learn(secret)

    def _found(self, view: View) -> Iterator[tuple[int, int]]:
        text = _folded(view.text)
        for generation in (self._young, self._old):
            for start, end in generation.found(text):
                first = _characters(text[: start + 1]) - 1
                yield view.starts[first], view.starts[_characters(text[:end])]


class _Generation:
    """An index that only grows: what is no longer needed goes with all of it."""

    def __init__(self) -> None:
        self.known: set[int] = set()  # hashes of secrets
        self._pieces: set[int] = set()  # hashes of their forms
        self._lengths: dict[int, tuple[int, ...]] = {}  # of forms, by their first octets

    def learn(self, value: str) -> None:
        for form in _forms(value):
            self._index(_folded(form))
        self.known.add(hash(value))

    def found(self, text: bytes) -> Iterator[tuple[int, int]]:
        if not self._lengths:
            return
        octets = memoryview(text)
        for offset in range(min(GRAM, len(text) - GRAM + 1)):
            grams = octets[offset : len(text) - (len(text) - offset) % GRAM].cast("Q")
            if not self._lengths.keys().isdisjoint(grams):
                for place, gram in enumerate(grams):
                    yield from self._pieces_at(text, offset + place * GRAM, gram)

    def _pieces_at(self, text: bytes, start: int, gram: int) -> Iterator[tuple[int, int]]:
        for length in self._lengths.get(gram, ()):
            piece = text[start : start + length]
            if hash(piece) in self._pieces:
                yield start, start + len(piece)

    def _index(self, form: bytes) -> None:
        """Index a form whole, or piece by piece where that would be too much for one place."""
        start = 0
        while start < len(form):
            start = min(start, len(form) - GRAM)
            gram = int.from_bytes(form[start : start + GRAM], sys.byteorder)
            lengths = self._lengths.get(gram, ())
            length = _piece(lengths, len(form) - start)
            self._pieces.add(hash(form[start : start + length]))
            if length not in lengths:
                self._lengths[gram] = (*lengths, length)
            start += length


def _piece(lengths: tuple[int, ...], wanted: int) -> int:
    wanted = min(wanted, LONGEST_PIECE)
    if wanted in lengths or len(lengths) < MOST_LENGTHS:
        return wanted
    return max((length for length in lengths if length < wanted), default=GRAM)


def _folded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass").translate(FOLDED)


def _characters(text: bytes) -> int:
    return len(text.translate(None, CONTINUATIONS))


def _parts(value: str) -> Iterator[str]:
    words = _SEPARATORS.split(value)
    for word in words:
        yield word
        yield word.partition("=")[2].strip('"')
    if words[0].lower() == "basic":
        yield _decoded(words[-1]).partition(":")[2]


def _decoded(text: str) -> str:
    try:
        return b64decode(text, validate=True).decode()
    except ValueError:
        return ""


def _forms(value: str) -> Iterator[str]:
    octets = value.encode("utf-8", "surrogatepass")
    yield value
    yield octets.hex()
    for before in range(3):  # octets in front of it, which share its first digit
        digits = b64encode(bytes(before) + octets).decode()
        yield digits[(8 * before + 5) // 6 : 8 * (before + len(octets)) // 6]


def _masked(text: str, spans: Sequence[tuple[int, int]]) -> str:
    pieces: list[str] = []
    done = 0
    end = -1
    for start, stop in spans:
        if start > end:
            pieces += (text[done:start], MASK)
        end = max(end, stop)
        done = end
    pieces.append(text[done:])
    return "".join(pieces)
