"""Errors are cut to what every client takes."""

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.runtime import trimming
from services.runtime.errors import from_status, to_status
from transformer.errors import ScriptThrew

TEXTS = st.text(st.characters(codec="utf-8"), max_size=100)
VALUES = st.recursive(
    TEXTS | st.integers(-99, 99) | st.none(),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(TEXTS, inner, max_size=25),
    max_leaves=30,
)
LINES = [{"level": "log", "text": "y" * 200}] * 400


@example({str(number): "ü" * 3000 for number in range(25)})
@example({"ü" * 3000: [["ü" * 3000] * 30] * 30})
@settings(max_examples=30)
@given(st.dictionaries(TEXTS, VALUES, max_size=25))
def test_details_are_whole_or_say_that_they_are_not(facts: dict[str, Any]) -> None:
    """Whatever there is to tell becomes JSON of a bounded size."""
    text = trimming.details(facts)
    assert len(text) <= trimming.DETAILS_BYTES
    assert json.loads(text) == facts or json.loads(text)["truncated"] is True


@given(st.text(st.characters(codec="utf-8"), max_size=2000))
def test_messages_are_whole_or_end_with_an_ellipsis(text: str) -> None:
    """A message has a bounded size in UTF-8, of which no character is torn."""
    cut = trimming.message(text)
    assert len(cut.encode()) <= trimming.MESSAGE_BYTES
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]))


def test_the_small_facts_survive_the_large_ones() -> None:
    """Long lists and texts are cut, and what stands beside them is still there."""
    facts = {"phase": "run", "line": 3, "console": LINES, "stack": "s" * 9000}
    told = json.loads(trimming.details(facts))
    assert (told["phase"], told["line"], told["truncated"]) == ("run", 3, True)
    assert len(told["console"]) >= 5
    assert told["console"][0] == LINES[0]
    assert told["stack"].startswith("ss")


def test_an_error_is_cut_once() -> None:
    """An error that came from another service goes on as it came."""
    status = to_status(ScriptThrew("z" * 900, console=LINES))
    assert status.ByteSize() < 6000
    assert to_status(from_status(status)) == status
