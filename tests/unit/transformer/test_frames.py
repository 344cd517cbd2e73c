"""Code frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.frames import Place, code_frame, place_in, renamed
from transformer.model import Script

SCRIPT = Script("one\ntwo\nthree\nfour", "orders/request.js")


@pytest.mark.parametrize(
    ("stack", "place"),
    [
        ("    at transform (transform.js:3:7)\n    at go (transform.js:9:1)", Place(3, 7)),
        ("    at transform.js:12:1\n", Place(12, 1)),
        ("    at map (native)\n    at transform (transform.js:2:5)", Place(2, 5)),
        ("    at map (native)", None),
        ("", None),
    ],
)
def test_innermost_place(stack: str, place: Place | None):
    """The first position of the script in a stack trace is where it happened."""
    assert place_in(stack) == place


def test_frame_shows_neighbours_and_caret():
    """A frame shows the line before and after, and a caret under the column."""
    assert code_frame(SCRIPT, Place(2, 3)) == ("  1 | one\n> 2 | two\n    |   ^\n  3 | three")


@pytest.mark.parametrize(
    ("line", "shown"),
    [(1, "> 1 | one\n    | ^\n  2 | two"), (4, "  3 | three\n> 4 | four\n    | ^")],
)
def test_frame_at_the_edges(line: int, shown: str):
    """At the first and the last line there is one neighbour less."""
    assert code_frame(SCRIPT, Place(line, 1)) == shown


def test_numbers_are_aligned():
    """Line numbers of different length stand in one column."""
    script = Script("\n".join("abcdefghijkl"))
    assert code_frame(script, Place(10, 1)) == "   9 | i\n> 10 | j\n     | ^\n  11 | k"


def test_tabs_stay_under_tabs():
    """The caret is indented by what the line is indented by."""
    frame = code_frame(Script("\t\tx y"), Place(1, 5))
    assert frame == "> 1 | \t\tx y\n    | \t\t  ^"


def test_long_lines_are_cut_around_the_column():
    """Of a minified line only the part around the column is shown."""
    frame = code_frame(Script("a" * 5_000 + "HERE" + "b" * 5_000), Place(1, 5_001))
    assert frame is not None
    first, caret = frame.splitlines()
    assert len(first) < 200
    assert first[caret.index("^") :].startswith("HERE")


def test_place_outside_the_source():
    """A position the source does not have gives no frame."""
    assert code_frame(SCRIPT, Place(9, 1)) is None


@given(st.text(), st.integers(0, 40), st.integers(0, 400))
def test_any_place_in_any_source(source: str, line: int, column: int):
    """No source and no position make a frame fail; a frame marks exactly one line."""
    frame = code_frame(Script(source), Place(line, column))
    if frame is not None:
        assert sum(shown.startswith(">") for shown in frame.splitlines()) >= 1


def test_stack_with_the_scripts_name():
    """A stack trace shows the name the author knows the script by."""
    assert renamed("    at transform (transform.js:1:2)\n", SCRIPT) == (
        "    at transform (orders/request.js:1:2)"
    )
