"""JSON moved as text: every number keeps its digits."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.json_text import (
    dump,
    elements,
    extend,
    join,
    members,
    mentions,
    parsed,
    query_pairs,
    repeated_key,
    template_value,
)

NUMBERS = st.one_of(
    st.integers().map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
BLANK = st.sampled_from(["", " ", "\n", "\t ", "\r\n"])


@st.composite
def objects_of_numbers(draw: st.DrawFn) -> tuple[bytes, dict[str, bytes]]:
    """An object's text, with blanks anywhere, and the texts of its members."""
    numbers = draw(st.dictionaries(KEYS, NUMBERS, max_size=6))
    inner = [
        f"{draw(BLANK)}{json.dumps(key)}{draw(BLANK)}:{draw(BLANK)}{number}{draw(BLANK)}"
        for key, number in numbers.items()
    ]
    text = f"{draw(BLANK)}{{{','.join(inner)}{draw(BLANK)}}}{draw(BLANK)}"
    return text.encode(), {key: number.encode() for key, number in numbers.items()}


@given(objects_of_numbers())
def test_members_are_slices_of_the_text(given_object: tuple[bytes, dict[str, bytes]]) -> None:
    """Taking an object apart and joining it changes no number and no order."""
    text, numbers = given_object
    assert members(text) == numbers
    assert list(members(join(members(text)))) == list(numbers)
    assert members(join(members(text))) == numbers


@given(objects_of_numbers(), st.dictionaries(KEYS, NUMBERS, min_size=1, max_size=3))
def test_extending_keeps_the_text_in_front(
    given_object: tuple[bytes, dict[str, bytes]], more: dict[str, str]
) -> None:
    """Added members stand behind the caller's text, which stays byte for byte."""
    text, numbers = given_object
    added = {key: number.encode() for key, number in more.items() if key not in numbers}
    extended = extend(text, added) if added else text
    assert members(extended) == numbers | added
    assert extended.startswith(text.rstrip()[:-1].rstrip())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'"a\\n\\u00e9"', "a\né"),
        (b"1.0", "1.0"),
        (b"1e2", "1e2"),
        (b"9007199254740993", "9007199254740993"),
        (b"true", "true"),
        (b"null", None),
        (b'[1.0,null,"x",{"a":1.0}]', ["1.0", "x", '{"a":1.0}']),
        (b'{"a":1.0,"b":null,"c":[1]}', [("a", "1.0"), ("c", "[1]")]),
    ],
)
def test_template_values_keep_their_texts(text: bytes, expected: Any) -> None:
    """Strings are unquoted, all else is as it was written, null is undefined."""
    assert template_value(text) == expected


def test_query_pairs_repeat_arrays_and_leave_nulls_out() -> None:
    """Arrays are repeated, objects are JSON, nulls are not sent."""
    parts = members(b'{"a":[1,null,"x"],"b":{"c":1.0},"d":null,"e":[],"f":""}')
    assert query_pairs(parts) == [("a", "1"), ("a", "x"), ("b", '{"c":1.0}'), ("f", "")]


@pytest.mark.parametrize("read", [members, elements])
@pytest.mark.parametrize("text", [b"", b"1", b"{", b"[" * 200_000 + b"]" * 200_000, b'{"a":01}'])
def test_what_cannot_be_taken_apart_is_a_value_error(read: Any, text: bytes) -> None:
    """Neither another type nor endless depth escapes as another kind of error."""
    with pytest.raises(ValueError, match=r"\S"):
        read(text)


@pytest.mark.parametrize("value", [2**80, {"a": [-(2**70)]}, "é", 1.5, None, {"a": {}}])
def test_dump_writes_integers_of_any_size(value: Any) -> None:
    """Integers beyond 64 bits are written as they are."""
    assert json.loads(dump(value)) == value


def test_parsed_reads_what_scripts_may_write() -> None:
    """Lone surrogates, which JavaScript writes as escapes, can be read."""
    assert parsed(b'"\\ud800"') == "\ud800"
    assert parsed(b'{"a":1}') == {"a": 1}
    with pytest.raises(ValueError, match=r"\S"):
        parsed(b"[" * 100_000)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"a": [{"$request": 1}]}, True),
        ({"a": "x$request"}, True),
        (["$request"], True),
        ({"a": ["b", 1, None, True, 1.5]}, False),
        ({}, False),
    ],
)
def test_mentions_looks_into_keys_and_strings(value: Any, found: Any) -> None:
    """A word is found at any depth, in keys and in values."""
    assert mentions(orjson.loads(orjson.dumps(value)), "$request") is found


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b'{"a":1,"a":2}', "a"),
        (b'{"a":1, "\\u0061" : 2}', "a"),
        (b'{"x":[{"b":{}},{"c":1,"b":2,"c":3}]}', "c"),
        (b'{"a":"\\":","a":1}', "a"),
        (b'{"a":{"b":1,"b":1},"c":"\\" :"}', "b"),
        (b'{"a":1,"b":{"a":1}}', None),
        (b'{"a":"\\":\\":","b":[[],{},"x\\":"]}', None),
        (b"{}", None),
        (b'[{"a":1},{"a":1}]', None),
    ],
)
def test_a_key_that_stands_twice_is_found(text: bytes, key: str | None) -> None:
    """At any depth and in any spelling; strings that look like keys mislead nobody."""
    assert repeated_key(text, orjson.loads(text)) == key


@given(objects_of_numbers())
def test_keys_that_stand_once_are_not_taken_for_twice(
    given_object: tuple[bytes, dict[str, bytes]],
) -> None:
    """No object with different keys is refused, whatever its keys look like."""
    text, _ = given_object
    assert repeated_key(text, orjson.loads(text)) is None
