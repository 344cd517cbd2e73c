"""URI templates as RFC 6570 has them."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.json_text import TemplateValue
from executor.template import TemplateError, encode, encode_reserved, parse, split_query

VALUES: dict[str, TemplateValue] = {
    "count": ["one", "two", "three"],
    "dom": ["example", "com"],
    "dub": "me/too",
    "hello": "Hello World!",
    "half": "50%",
    "var": "value",
    "who": "fred",
    "base": "http://example.com/home/",
    "path": "/foo/bar",
    "list": ["red", "green", "blue"],
    "keys": [("semi", ";"), ("dot", "."), ("comma", ",")],
    "v": "6",
    "x": "1024",
    "y": "768",
    "empty": "",
    "empty_keys": [],
    "undef": None,
}

# The examples of RFC 6570, sections 3.2.1 to 3.2.9.
EXAMPLES = {
    "{count}": "one,two,three",
    "{count*}": "one,two,three",
    "{/count}": "/one,two,three",
    "{/count*}": "/one/two/three",
    "{;count}": ";count=one,two,three",
    "{;count*}": ";count=one;count=two;count=three",
    "{?count}": "?count=one,two,three",
    "{?count*}": "?count=one&count=two&count=three",
    "{&count*}": "&count=one&count=two&count=three",
    "{var}": "value",
    "{hello}": "Hello%20World%21",
    "{half}": "50%25",
    "O{empty}X": "OX",
    "O{undef}X": "OX",
    "{x,y}": "1024,768",
    "{x,hello,y}": "1024,Hello%20World%21,768",
    "?{x,empty}": "?1024,",
    "?{x,undef}": "?1024",
    "?{undef,y}": "?768",
    "{var:3}": "val",
    "{var:30}": "value",
    "{list}": "red,green,blue",
    "{keys}": "semi,%3B,dot,.,comma,%2C",
    "{keys*}": "semi=%3B,dot=.,comma=%2C",
    "{+var}": "value",
    "{+hello}": "Hello%20World!",
    "{+half}": "50%25",
    "{base}index": "http%3A%2F%2Fexample.com%2Fhome%2Findex",
    "{+base}index": "http://example.com/home/index",
    "O{+empty}X": "OX",
    "{+path}/here": "/foo/bar/here",
    "here?ref={+path}": "here?ref=/foo/bar",
    "up{+path}{var}/here": "up/foo/barvalue/here",
    "{+x,hello,y}": "1024,Hello%20World!,768",
    "{+path:6}/here": "/foo/b/here",
    "{+keys}": "semi,;,dot,.,comma,,",
    "{+keys*}": "semi=;,dot=.,comma=,",
    "{#var}": "#value",
    "{#path:6}here": "#/foo/bhere",
    "{.who}": ".fred",
    "{.who,who}": ".fred.fred",
    "{.half,who}": ".50%25.fred",
    "www{.dom*}": "www.example.com",
    "X{.empty}": "X.",
    "X{.undef}": "X",
    "X{.keys*}": "X.semi=%3B.dot=..comma=%2C",
    "X{.empty_keys}": "X",
    "{/who}": "/fred",
    "{/var,empty}": "/value/",
    "{/var,undef}": "/value",
    "{/var:1,var}": "/v/value",
    "{/list*,path:4}": "/red/green/blue/%2Ffoo",
    "{/keys*}": "/semi=%3B/dot=./comma=%2C",
    "{;v,empty,who}": ";v=6;empty;who=fred",
    "{;v,undef,who}": ";v=6;who=fred",
    "{;hello:5}": ";hello=Hello",
    "{;keys}": ";keys=semi,%3B,dot,.,comma,%2C",
    "{;keys*}": ";semi=%3B;dot=.;comma=%2C",
    "{?x,y,empty}": "?x=1024&y=768&empty=",
    "{?x,y,undef}": "?x=1024&y=768",
    "{?var:3}": "?var=val",
    "{?keys}": "?keys=semi,%3B,dot,.,comma,%2C",
    "{?keys*}": "?semi=%3B&dot=.&comma=%2C",
    "?fixed=yes{&x}": "?fixed=yes&x=1024",
    "{&x,y,empty}": "&x=1024&y=768&empty=",
    "{?undef}": "",
}


@pytest.mark.parametrize(("text", "expected"), EXAMPLES.items())
def test_expands_the_examples_of_the_rfc(text: str, expected: str) -> None:
    """Every operator and modifier gives what RFC 6570 prints."""
    assert parse(text).expand(VALUES) == expected


@pytest.mark.parametrize(
    "text", ["{", "}", "a{b", "{}", "{a b}", "{a,}", "{a:0}", "{a:x}", "{a**}", "{=a}", "{a{b}}"]
)
def test_refuses_what_is_no_template(text: str) -> None:
    """A text outside the grammar is refused when it is parsed."""
    with pytest.raises(TemplateError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "path", "query"),
    [
        ("/a/{x}", "/a/1024", ""),
        ("/a{?x,y}", "/a", "?x=1024&y=768"),
        ("/a?b=1{&x}", "/a", "b=1&x=1024"),
        ("/a{&x}", "/a", "&x=1024"),
        ("?b", "", "b"),
    ],
)
def test_parts_where_the_query_begins(text: str, path: str, query: str) -> None:
    """The first `?`, written or expanded, ends the path."""
    first, second = split_query(parse(text))
    assert (first.expand(VALUES), second.expand(VALUES)) == (path, query)


def test_a_config_variable_is_named_without_its_prefix() -> None:
    """A query from config says `region=`, not `config.region=`."""
    assert parse("{?config.region}").expand({"config.region": "eu"}) == "?region=eu"


def test_literals_are_encoded_once() -> None:
    """What stands outside braces keeps its triplets and loses what no URL may hold."""
    assert parse("/a b/%20/é").expand({}) == "/a%20b/%20/%C3%A9"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_encodes_as_the_standard_library_does(text: str) -> None:
    """The fast encoder agrees with `quote` on every text."""
    assert encode(text) == quote(text, safe="")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_encoding_reserved_twice_changes_nothing(text: str) -> None:
    """Triplets are never encoded again."""
    once = encode_reserved(text)
    assert encode_reserved(once) == once
    assert once.isascii()
