"""JSON as text: validity, depth and members, held against Python's own reader."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway import json_text
from services.gateway.errors import FieldsInvalid, MalformedJson

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)
# A member list may repeat names, which a dict cannot; few names, so that it does.
NAMES = st.sampled_from(["a", "b", "", ",", ":1,", 'q"', "\\", "é"])
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=5)
SPACE = st.text(" \t\r\n", max_size=2)


@st.composite
def objects(draw: st.DrawFn) -> tuple[list[tuple[str, str]], str]:
    """Names with the text of their values, and the text of the object with odd spacing."""
    members = []
    text = draw(SPACE) + "{"
    for index, (name, value) in enumerate(draw(PAIRS)):
        written = json.dumps(value, ensure_ascii=draw(st.booleans()))
        key = json.dumps(name, ensure_ascii=draw(st.booleans()))
        before = ("," if index else "") + draw(SPACE)
        text += f"{before}{key}{draw(SPACE)}:{draw(SPACE)}{written}{draw(SPACE)}"
        members.append((name, written))
    return members, text + "}" + draw(SPACE)


def unique_members(text: bytes, path: str) -> dict[str, msgspec.Raw]:
    """The members of an object whose names have to differ."""
    values = json_text.members(text, path)
    json_text.require_unique(text, values, path)
    return values


def deep(value: Any) -> int:
    """How deep a value is nested, counted the plain way."""
    if isinstance(value, dict):
        return 1 + max(map(deep, value.values()), default=0)
    return 1 + max(map(deep, value), default=0) if isinstance(value, list) else 0


@given(objects())
def test_members_are_slices_of_the_text(case: tuple[list[tuple[str, str]], str]):
    """Values come out as the bytes they were written as; a name twice is refused."""
    members, text = case
    names = [name for name, _ in members]
    if len(set(names)) == len(names):
        found = unique_members(text.encode(), "").items()
        assert [(name, bytes(raw).decode()) for name, raw in found] == members
    else:
        with pytest.raises(FieldsInvalid, match="is there twice"):
            unique_members(text.encode(), "")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"a":1,"a":1}', "/p/a"),
        ('{"a":12,"a":1}', "/p/a"),
        ('{"a":1,"a":12}', "/p/a"),
        ('{"a":1,"b":2,"\\u0061":1}', "/p/a"),
        ('{"a":1,"b":{"a":1},"b":{"a":1} }', "/p/b"),
        ('{"x":"a","a":",","x":"a"}', "/p/x"),
        ('{"":1,"":1}', "/p/"),
        ('{"k":1,":1,":1,":1,":1}', "/p/:1,"),
        ('{"k":"v",",":1,",":2}', "/p/,"),
    ],
)
def test_names_what_is_there_twice(text: str, name: str):
    """The refusal points to the name, also when it is spelled with escapes or values are equal."""
    with pytest.raises(FieldsInvalid) as caught:
        unique_members(text.encode(), "/p")
    assert caught.value.problems[0].path == name


@given(VALUES)
def test_depth_is_what_counting_gives(value: Any):
    """The fast way to the depth agrees with the plain one, brackets and quotes in strings too."""
    assert json_text.depth(json.dumps(value).encode()) == deep(value)
    assert json_text.depth(json.dumps(value, ensure_ascii=False).encode()) == deep(value)


@given(st.text('{}[]",:\\ \tnulltrue0123.e-u00d', max_size=12) | VALUES.map(json.dumps))
def test_validity_is_what_python_says(text: str):
    """A text passes exactly when Python's reader takes it, half surrogate pairs and NaN apart."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    try:
        value = json.loads(text, parse_constant=refuse)
        json.dumps(value, ensure_ascii=False).encode()
        valid = True
    except ValueError:
        valid = False
    try:
        json_text.check(text.encode())
        passed = True
    except MalformedJson:
        passed = False
    assert passed is valid


@pytest.mark.parametrize(
    ("text", "line", "column", "why"),
    [
        (b'{"a":1,}', 1, 8, "trailing comma"),
        (b'{\n  "a": tru\n}', 2, 9, "invalid character"),
        (b'{"a":01}', 1, 7, "invalid number"),
        (b'{"a":NaN}', 1, 6, "invalid character"),
        (b'{"a":1} x', 1, 10, "trailing"),
        (b'{"a":', 1, 6, "ends too early"),
        (b"   ", 1, 4, "ends too early"),
        (b'\xef\xbb\xbf{"a":1}', 1, 1, "invalid character"),
        (b'{"a":\n"\xff"}', 2, 2, "not UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', 1, 7, "not UTF-8"),
        (b'{"a":"\\ud800"}', 1, 7, "half of a surrogate pair"),
        (b"{'a':1}", 1, 2, ""),
        (b'{"a":"\x01"}', 1, 7, "invalid character"),
    ],
)
def test_says_where_a_text_breaks_off(text: bytes, line: int, column: int, why: str):
    """What is not JSON is refused with its line, column and offset."""
    with pytest.raises(MalformedJson) as caught:
        json_text.check(text)
    details = caught.value.details
    assert (details["line"], details["column"]) == (line, column)
    assert why in caught.value.message


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_nesting_has_a_limit(opening: bytes):
    """128 levels pass, 129 do not, and a million neither crash nor pass."""
    closing = b"]" if opening == b"[" else b"}"

    def nested(levels: int) -> bytes:
        return opening * levels + b"1" + closing * levels

    json_text.check(nested(128))
    for levels in (129, 5_000, 1_000_000):
        with pytest.raises(MalformedJson, match="more than 128 deep"):
            json_text.check(nested(levels))


def test_width_is_no_depth():
    """Many brackets side by side, and brackets inside of strings, are no nesting."""
    json_text.check(b"[" + b",".join([b"[[]]"] * 1000) + b"]")
    json_text.check(b"[" + b",".join([b'"[","]x"'] * 1000) + b"]")
    json_text.check(b'["' + b"[{" * 1000 + rb"\"[[\\" + b'"]')


@pytest.mark.parametrize("text", [b"1e400", b"9007199254740993", b"-0", b"1.0", b'"\\u0000"'])
def test_values_that_readers_trip_over_pass(text: bytes):
    """What is valid by the grammar passes, whatever a reader makes of it."""
    json_text.check(text)
