"""RFC 6570 templates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uritemplate import URITemplate

from registry.templates import MalformedTemplate, header_variables, uri_variables


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("", ()),
        ("/a/b%20c", ()),
        ("/calendars/{calendarId}/events{?timeMin,timeMax,maxResults}", None),
        ("{+config.baseUrl}", ("config.baseUrl",)),
        ("{/a*}{;b:3}{.c}{#d}{&e}", ("a", "b", "c", "d", "e")),
        ("/it's,(fine);@:!$&*+=[x]", ()),
    ],
)
def test_variables_are_named_in_order(template: str, names: tuple[str, ...] | None) -> None:
    """Every expression of RFC 6570 is understood."""
    expected = names or tuple(URITemplate(template).variable_names)
    assert uri_variables(template) == expected


@pytest.mark.parametrize(
    "template",
    [
        *("{", "}", "{}", "{a", "a}", "{{a}}", "{a b}", "{a,}", "{,a}", "{!a}", "{=a}", "{a:0}"),
        *("{a:10000}", "{a=1}", "{a..b}", "{.a.}", "a b", "a%zz", "a%2", 'a"', "a<b", "a\n", "a^"),
    ],
)
def test_what_the_grammar_has_not_is_refused(template: str) -> None:
    """Templates that expand to something else than meant are no templates."""
    with pytest.raises(MalformedTemplate):
        uri_variables(template)


def test_headers_may_have_blanks_but_no_line_ends() -> None:
    """A header's literal text is any visible ASCII."""
    assert header_variables('W/"{etag}"; q = 1 %') == ("etag",)
    for template in ("a\r\nX: 1", "ü", "{a", "\x00"):
        with pytest.raises(MalformedTemplate):
            header_variables(template)


@given(st.text("{}ab,+?*:1%2 /.", max_size=20))
def test_whatever_is_accepted_expands(template: str) -> None:
    """A template that is accepted has the variables that the expander sees."""
    try:
        names = uri_variables(template)
    except MalformedTemplate:
        return
    assert set(URITemplate(template).variable_names) == set(names)
    URITemplate(template).expand(dict.fromkeys(names, "x"))
