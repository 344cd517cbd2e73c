"""Reading the text of a definition, and that of a config."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.canonical import write
from registry.errors import InvalidDefinition, InvalidInstance
from registry.text import MAX_BYTES, code_frame, read, read_config


def json_values(characters: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Make JSON values with texts of these characters."""
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(characters),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~ü:"), inner, max_size=3)
        ),
        max_leaves=12,
    )


JSON = json_values(st.characters(exclude_categories=["Cs"]))
# YAML has no escapes in pairs, and takes no raw DEL.
JSON_IN_YAML = json_values(
    st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF, exclude_characters="\x7f")
)


def problems(text: str | bytes) -> list[dict[str, Any]]:
    """Answer what is wrong with a text that cannot be read."""
    raw = text.encode() if isinstance(text, str) else text
    with pytest.raises(InvalidDefinition) as caught:
        read(raw)
    found = caught.value.details["problems"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(
    "text",
    [
        '{"a":9007199254740993,"b":1.0,"c":1e2,"d":-0,"e":0.10,"f":1E+400.0}',
        '{"z":1,"a":{"y":[],"b":{}},"m":"ü\\u2028\\"\\\\"}',
    ],
)
def test_the_canonical_form_keeps_order_and_digits(text: str) -> None:
    """Compact JSON comes back as it was written."""
    text = text.replace(',"f":1E+400.0', "")
    expected = text.replace("\\u2028", "\u2028")
    assert write(read(text.encode())) == expected


def test_blanks_are_no_content() -> None:
    """Layout does not change the canonical form, and neither does a byte order mark."""
    spread = b'\xef\xbb\xbf\n { "a" : [ 1.50 , true ] }\n'
    assert write(read(spread)) == '{"a":[1.50,true]}'


@given(st.dictionaries(st.text("ab/~ü"), JSON, max_size=4))
def test_json_reads_as_python_reads_it(value: dict[str, Any]) -> None:
    """What JSON says is what comes back, and the canonical form says the same."""
    tree = read(json.dumps(value).encode())
    assert tree == value
    assert json.loads(write(tree)) == value


@given(JSON_IN_YAML)
def test_json_is_yaml(value: Any) -> None:
    """A JSON value that is no object is read by the YAML reader, alike."""
    text = json.dumps([value], ensure_ascii=True)
    assert read(text.encode()) == [value]


def test_yaml_is_read_by_its_core_schema() -> None:
    """Only null, booleans and numbers are not text; block scalars keep their lines."""
    text = """
    words: [on, off, yes, no, 12:30, 2024-01-01, 1.0.0, '5', "6", !!str 7]
    numbers: [5, -3, 1.50, 1e3, .5, +7, 0x1F, 0o17, 007]
    nothing: [null, ~, Null]
    empty:
    truths: [true, False]
    script: |
      function transform(input) {
        return input;
      }
    """
    tree = read(text.encode())
    assert tree["words"] == [
        *("on", "off", "yes", "no", "12:30", "2024-01-01", "1.0.0", "5", "6", "7")
    ]
    assert write(tree["numbers"]) == "[5,-3,1.50,1e3,0.5,7,31,15,7]"
    assert tree["nothing"] == [None, None, None]
    assert tree["empty"] is None
    assert tree["truths"] == [True, False]
    assert tree["script"] == "function transform(input) {\n  return input;\n}\n"


def test_yaml_and_json_of_the_same_content_have_the_same_canonical_form() -> None:
    """How a definition was written does not matter."""
    assert write(read(b"a: 1.0\nb: [x, true]\n")) == write(read(b'{"a": 1.0, "b": ["x", true]}'))


@pytest.mark.parametrize(
    ("text", "path", "part"),
    [
        ('{"a":1,"a":2}', "/a", "more than once"),
        ('{"x":[{"a/b":1,"a/b":2}]}', "/x/0/a~1b", "more than once"),
        ("x:\n  a: 1\n  a: 2\n", "/x/a", "more than once"),
        ('{"a":"\\ud800"}', "/a", "surrogate"),
        ('{"\\ud800":1}', "", "surrogate"),
        ('{"a":1e999}', "/a", "1.79e308"),
        ('{"a":' + "9" * 5000 + "}", "/a", "1.79e308"),
        ("a: .inf", "/a", "1.79e308"),
        ("a: .nan", "/a", "1.79e308"),
        ('{"a":NaN}', "", "NaN is no number"),
        ('{"a":-Infinity}', "", "-Infinity is no number"),
        ('{"a":' + "[" * 70 + "]" * 70 + "}", "/a" + "/0" * 63, "64 levels"),
        ("[" * 100_000, "", "64 levels"),
        ("- " * 70 + "x", "", "64 levels"),
        ('{"a":' * 100_000, "", "deep"),
        ("a: &x [1]\nb: *x\n", "", "aliases"),
        ("a: !!python/object:os.system {}", "", "tag"),
        ("a: !!binary aGVsbG8=", "", "tag"),
        ("? [a]\n: 1\n", "", "key"),
        ("a: 1\n---\nb: 2\n", "", "second document"),
        ("a: [1\n", "", "not YAML"),
        ("a: \x07", "", "not YAML"),
        ("{", "", "not JSON"),
        ('{"a": 1,}', "", "not JSON"),
        (b"\xff\xfe", "", "UTF-8"),
        (b"a" * (MAX_BYTES + 1), "", str(MAX_BYTES)),
    ],
)
def test_what_readers_would_read_differently_is_refused(
    text: str | bytes, path: str, part: str
) -> None:
    """Each flaw is named at its place."""
    found = problems(text)
    assert [item["path"] for item in found] == [path]
    assert part in found[0]["message"]


def test_all_flaws_are_named_at_once() -> None:
    """Reading does not stop at the first flaw."""
    found = problems('{"a":1,"a":2,"b":1e999,"c":["\\ud800"]}')
    assert [item["path"] for item in found] == ["/a", "/b", "/c/0"]


def test_an_alias_bomb_costs_nothing() -> None:
    """A text that would grow to billions of items is refused at its first alias."""
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (found,) = problems("\n".join(lines))
    assert (found["line"], found["column"]) == (2, 10)


def test_a_syntax_error_is_shown_in_its_lines() -> None:
    """A problem of the text has line, column and a frame with a mark."""
    (found,) = problems('{\n  "a": 1\n  "b": 2\n}')
    assert (found["line"], found["column"]) == (3, 3)
    assert found["codeFrame"] == '    2 |   "a": 1\n    3 |   "b": 2\n      |   ^'


def test_a_backtick_is_answered_with_advice() -> None:
    """Who copies a script in backticks learns how to write it."""
    (found,) = problems('{"requestTransform": `\nfunction transform() {}\n`}')
    assert "YAML" in found["message"]
    assert (found["line"], found["column"]) == (1, 22)


def test_a_frame_of_a_long_line_shows_the_place() -> None:
    """The mark stays below its character."""
    frame = code_frame("x" * 500 + "!" + "y" * 500, 1, 501).split("\n")
    assert frame[0][frame[1].index("^")] == "!"


@given(JSON)
def test_a_config_is_read_as_python_reads_it(value: Any) -> None:
    """Every JSON value without flaws comes back equal, its numbers plain ones."""
    assert read_config(json.dumps(value).encode()) == value
    assert type(read_config(b"-0")) is int
    assert type(read_config(b"1.5")) is float


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        (b"", "/config", "is not JSON"),
        (b"{", "/config", "is not JSON"),
        (b"baseUrl: planted", "/config", "is not JSON"),
        (b'{"a": "planted', "/config", "is not JSON"),
        (b'{"a": "planted\xff"}', "/config", "is not UTF-8"),
        (b"[" * 200_000, "/config", "nested too deep"),
        (b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}", "/config/a" + "/0" * 63, "64 levels"),
        (b'{"a": "planted", "a": "planted-2"}', "/config/a", "more than once"),
        (b'{"a": ' + b"9" * 5000 + b"}", "/config/a", "beyond 1.79e308"),
        (b'{"a": -' + b"9" * 309 + b"}", "/config/a", "beyond 1.79e308"),
        (b'{"a": 1e999}', "/config/a", "beyond 1.79e308"),
        (b'{"a": NaN}', "/config", "NaN is no number"),
        (b'{"a": "\\ud800"}', "/config/a", "surrogate"),
        (b'"' + b"x" * MAX_BYTES + b'"', "/config", "a config has at most"),
    ],
)
def test_a_config_that_cannot_be_read(text: bytes, path: str, words: str) -> None:
    """What is wrong is named with its place; nothing of the text, which holds secrets, is shown."""
    with pytest.raises(InvalidInstance) as caught:
        read_config(text)
    [problem] = problems_of(caught.value)
    assert problem["path"] == path
    assert words in problem["message"]
    assert "codeFrame" not in problem
    assert "planted" not in f"{caught.value} {caught.value.details}"


def problems_of(error: InvalidInstance) -> list[dict[str, Any]]:
    """Answer what is wrong, as callers see it."""
    found = error.details["problems"]
    assert isinstance(found, list)
    return found
