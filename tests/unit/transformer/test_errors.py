"""The tree of errors."""

import json
import re
from collections.abc import Iterator

from transformer import errors
from transformer.errors import TransformerError, TransformFailed


def leaves(cls: type[TransformerError]) -> Iterator[type[TransformerError]]:
    """The errors without descendants."""
    for below in cls.__subclasses__():
        yield from leaves(below) if below.__subclasses__() else [below]


def test_every_failure_has_a_code_of_its_own():
    """No two ways for a transform to fail share a code."""
    codes = [leaf.code for leaf in leaves(TransformFailed)]
    assert len(codes) == len(set(codes)) == 14


def test_details_carry_the_code_and_json_able_facts():
    """An error's details hold its code beside whatever it was given, ready for JSON."""
    error = errors.TicksExceeded("too long", line=3, codeFrame="> 3 | x", used=2, allowed=1)
    assert json.loads(json.dumps(error.details)) == {
        "code": "TICKS_EXCEEDED",
        "line": 3,
        "codeFrame": "> 3 | x",
        "used": 2,
        "allowed": 1,
    }
    assert str(error) == error.message == "too long"


def test_the_tree_is_drawn():
    """The module's docstring names every error with its code."""
    drawn = dict(re.findall(r"[├└]── (\w+)\s+([A-Z_]+)$", errors.__doc__ or "", re.MULTILINE))
    assert drawn == {leaf.__name__: leaf.code for leaf in leaves(TransformFailed)}
