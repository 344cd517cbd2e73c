"""Path templates: properties that hold for all of them."""

import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.errors import InvalidRequest, InvalidTemplate
from services.gateway.matcher import Matcher
from services.gateway.template import Wildcard, parse, split, value_of

LITERALS = st.text("abcxyz019-_.~=&;@", min_size=1, max_size=6)
VALUES = st.text(min_size=1, max_size=8).filter(lambda text: text.isprintable())


@st.composite
def templates_and_values(draw: st.DrawFn) -> tuple[str, dict[str, str], str]:
    """A template with one-segment variables, their values, and the path they make."""
    count = draw(st.integers(1, 6))
    template, path, values = "", "", {}
    for index in range(count):
        literal = draw(LITERALS)
        if draw(st.booleans()):
            name, value = f"v{index}", draw(VALUES)
            template += f"/{{{name}}}"
            path += "/" + quote(value, safe="")
            values[name] = value
        else:
            template += f"/{literal}"
            path += f"/{literal}"
    return template, values, path


@given(templates_and_values())
def test_matching_undoes_expanding(case: tuple[str, dict[str, str], str]):
    """Values that are put into a template come out of the path again, whatever they hold."""
    text, values, path = case
    template = parse(text)
    matcher: Matcher[str] = Matcher()
    matcher.setdefault(template, text)
    segments = split(path)
    assert matcher.find(segments) == [text]
    found = {each.field_path[0]: value_of(each, segments) for each in template.variables}
    assert found == values


@given(st.lists(st.text("abc/%!", min_size=1), min_size=1).filter(lambda x: "%" not in "".join(x)))
def test_a_slash_stays_apart_from_an_escaped_one(parts: list[str]):
    """In a value of several segments an escaped slash keeps its escape."""
    template = parse("/{x=**}")
    path = split("/" + "/".join(quote(part, safe="") for part in parts))
    value = value_of(template.variables[0], path)
    assert value == "/".join(part.replace("/", "%2F").replace("!", "%21") for part in parts)


@given(st.text("/{}*:ab.=%1 ", max_size=14))
def test_parsing_answers_or_refuses(text: str):
    """Any text is a template or an `InvalidTemplate`; one that is read keeps its promises."""
    try:
        template = parse(text)
    except InvalidTemplate:
        return
    assert text.startswith("/")
    assert template.segments.count(Wildcard.MANY) <= 1


@pytest.mark.parametrize("template", ["/**", "/a/**/z", "/{x}/{y}", "/*/*/*/*", "/a/{x=**}:go"])
def test_many_slashes_take_linear_time(template: str):
    """64,000 slashes neither exhaust the stack nor keep anybody waiting."""
    matcher: Matcher[str] = Matcher()
    matcher.setdefault(parse(template), template)
    started = time.monotonic()
    matcher.find(split("/" * 64_000))
    matcher.find(split("/a:" * 64_000))
    matcher.find(split("/a" + ":go" * 20_000))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("path", ["a", "", "*", "/%", "/%2", "/%zz", "/a%ff", "/%c3%28"])
def test_refuses_a_path_that_is_not_well_formed(path: str):
    """A path without its slash, with half an escape or with bytes that are not UTF-8 is refused."""
    with pytest.raises(InvalidRequest):
        split(path)
