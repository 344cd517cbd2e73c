"""The grammar and the matching of path templates, as tables.

The cases re-state what the tests of the known transcoders agree on; where they differ, the strict
reading is taken.
"""

import pytest

from services.gateway.errors import InvalidTemplate
from services.gateway.matcher import Matcher
from services.gateway.template import Wildcard, parse, split, value_of

ONE, MANY = Wildcard.ONE, Wildcard.MANY

REJECTED = [
    "",
    "//",
    "/{}",
    "/a/",
    "/a//b",
    ":verb",
    "/:verb",
    "/a/:verb",
    "/*:",
    "/{var}:",
    "/a/{",
    "/a/{var",
    "/a/{var.",
    "/a/{var.}",
    "/a/{x=var:verb}",
    "/{x=a:b/c}",
    "a/b",
    "{x=/a}",
    "/{x=/a}",
    "/{x=a/}",
    "/{var=a/{nested=b}}",
    "/a{x}",
    "/{x}a",
    "/{x}{y}",
    "/**/*",
    "/**/{x}",
    "/a/**/foo/**",
    "/{x=}",
    "/foo/***",
    "/foo/bar*",
    "/foo/*bar",
    "/a?b",
    "/a b",
    "/a%1",
    "/a%zz",
    "/{1}",
    "/{field-}",
    "/{a..b}",
    "/{.a}",
    "/a}",
    "/}",
    "/{x}/{x}",
    "/{x=*}/{x}",
    "/é",
    "/a:b*",
    "/v1:",
    "/a/b:/c/",
]

ACCEPTED = {
    "/": ((), "", {}),
    "/*": ((ONE,), "", {}),
    "/**": ((MANY,), "", {}),
    "/*/**": ((ONE, MANY), "", {}),
    "/a": (("a",), "", {}),
    "/a/{x}": (("a", ONE), "", {"x": (1, 2)}),
    "/a/{x=*}": (("a", ONE), "", {"x": (1, 2)}),
    "/a/{x=b}": (("a", "b"), "", {"x": (1, 2)}),
    "/a/{b=c/**/d}/e:verb": (("a", "c", MANY, "d", "e"), "verb", {"b": (1, -1)}),
    "/{x.y.z=a/**/b}/c/d": (("a", MANY, "b", "c", "d"), "", {"x.y.z": (0, -2)}),
    "/{a}/{b=**}/c": ((ONE, MANY, "c"), "", {"a": (0, 1), "b": (1, -1)}),
    "/{b=**}/c/{d=e}": ((MANY, "c", "e"), "", {"b": (0, -2), "d": (-1, None)}),
    "/{all=**}": ((MANY,), "", {"all": (0, None)}),
    "/v1:watch": (("v1",), "watch", {}),
    "/*:watch": ((ONE,), "watch", {}),
    "/{name}:bla:baa": ((ONE,), "bla:baa", {"name": (0, 1)}),
    "/a/**:verb": (("a", MANY), "verb", {}),
    "/%e7%ac%ac": (("第",), "", {}),
    "/v1/a=b&c=d;e=f:g/endpoint.rdf": (("v1", "a=b&c=d;e=f:g", "endpoint.rdf"), "", {}),
    "/~a-b._c!d$e'f(g)h,i@j": (("~a-b._c!d$e'f(g)h,i@j",), "", {}),
    "/{_x1=shelves/*/books/*}": (("shelves", ONE, "books", ONE), "", {"_x1": (0, 4)}),
}

# Template, path, and what its variables hold, or None where the path does not match.
MATCHES = [
    ("/", "/", {}),
    ("/", "/a", None),
    ("/a", "/a", {}),
    ("/a", "/a/", None),
    ("/a", "/a/b", None),
    ("/a", "/A", None),
    ("/a/{x}", "/a/b", {"x": "b"}),
    ("/a/{x}", "/a", None),
    ("/a/{x}", "/a/", None),
    ("/a/{x}", "/a//", None),
    ("/a/{x}/c", "/a//c", None),
    ("/a/*", "/a/", None),
    ("/a/{x}", "/a/b/", None),
    ("/**", "/", {}),
    ("/**", "/a", {}),
    ("/**", "/a/", {}),
    ("/{x=**}", "/", {"x": ""}),
    ("/{x=**}", "/a/b/c", {"x": "a/b/c"}),
    ("/a/{x=**}", "/a", {"x": ""}),
    ("/a/{x=**}", "/a/b/c", {"x": "b/c"}),
    ("/a/{x=b/*/**/y/z}/foo", "/a/b/c/y/z/foo", {"x": "b/c/y/z"}),
    ("/a/{x=b/*/**/y/z}/foo", "/a/b/c/d/e/y/z/foo", {"x": "b/c/d/e/y/z"}),
    ("/a/{x=b/*/**/y/z}/foo", "/a/b/y/z/foo", None),
    ("/a/{x=b/*/**/y/z}/foo", "/a/b/c/y/z", None),
    ("/{a=x/*}/{b=**}/{c=end}", "/x/1/2/3/end", {"a": "x/1", "b": "2/3", "c": "end"}),
    ("/{a=x/*}/{b=**}/{c=end}", "/x/1/end", {"a": "x/1", "b": "", "c": "end"}),
    # Escapes: all of them in one segment, all but the reserved in several.
    ("/a/{x}", "/a/b%2Fc%25d%3F", {"x": "b/c%d?"}),
    ("/a/{x}", "/a/%e7%ac%ac", {"x": "第"}),
    ("/a/{x}", "/a/b+c", {"x": "b+c"}),
    ("/a/{x=**}", "/a/b%2Fc/d%20e%21", {"x": "b%2Fc/d e%21"}),
    ("/a/{x=b/*}", "/a/b/%7E%3A", {"x": "b/~%3A"}),
    ("/%e7%ac%ac", "/%E7%AC%AC", {}),
    ("/a~b", "/%61%7eb", {}),
    ("/a/b", "/a%2Fb", None),
    # Dots are ours to read: nothing is resolved.
    ("/a/{x}", "/a/..", {"x": ".."}),
    ("/a/b", "/a/../a/b", None),
    # Verbs.
    ("/person/{id}:verb", "/person/jason:verb", {"id": "jason"}),
    ("/person/{id}:verb", "/person/a:b:verb", {"id": "a:b"}),
    ("/person/{id}:verb", "/person/jason:other", None),
    ("/person/{id}:verb", "/person/jason", None),
    ("/person/{id}:verb", "/person/:verb", None),
    ("/person/{id}:verb", "/person/jason%3Averb", None),
    ("/person/{id}", "/person/jason:other", {"id": "jason:other"}),
    ("/{name}:bla:baa", "/n:bla:baa", {"name": "n"}),
    ("/{name}:bla:baa", "/n:baa", None),
    ("/person/{id}/name", "/person/jason:verb/name", {"id": "jason:verb"}),
    ("/person/{id}", "/person/jason:", {"id": "jason:"}),
    ("/a", "/a:", None),
    ("/some/other:verb", "/some/other:verb", {}),
    ("/some/other:verb", "/some/other:verb/", None),
    ("/a/{x=**}:verb", "/a/b/c:verb", {"x": "b/c"}),
]


@pytest.mark.parametrize("text", REJECTED)
def test_refuses_what_the_grammar_does_not_allow(text: str):
    """A template outside of the grammar is an error that quotes it."""
    with pytest.raises(InvalidTemplate, match="Path template"):
        parse(text)


@pytest.mark.parametrize("text", ACCEPTED)
def test_reads_what_the_grammar_allows(text: str):
    """A template is read into its segments, its verb and the places of its variables."""
    template = parse(text)
    variables = {
        ".".join(variable.field_path): (variable.start, variable.stop)
        for variable in template.variables
    }
    assert (template.segments, template.verb, variables) == ACCEPTED[text]


@pytest.mark.parametrize(("text", "path", "expected"), MATCHES)
def test_matches_paths(text: str, path: str, expected: dict[str, str] | None):
    """A path matches or not, and gives its variables their values."""
    template = parse(text)
    matcher: Matcher[str] = Matcher()
    matcher.setdefault(template, text)
    segments = split(path)
    found = matcher.find(segments)
    assert bool(found) is (expected is not None)
    if expected is not None:
        if template.verb:
            segments = segments.less_verb(template.verb)
        values = {
            ".".join(variable.field_path): value_of(variable, segments)
            for variable in template.variables
        }
        assert values == expected
