"""Which of several matching templates answers, as tables."""

import itertools

import pytest

from services.gateway.matcher import Matcher
from services.gateway.template import parse, split

# Templates, then paths with the template that has to answer.
PRIORITY = [
    (
        ["/a/b", "/a/{x}", "/a/**", "/**"],
        {"/a/b": "/a/b", "/a/c": "/a/{x}", "/a/b/c": "/a/**", "/a": "/a/**", "/b": "/**"},
    ),
    (
        ["/c/f/d/e", "/c/*/d/e", "/c/*/d/**", "/c/**"],
        {
            "/c/f/d/e": "/c/f/d/e",
            "/c/g/d/e": "/c/*/d/e",
            "/c/f/d/x": "/c/*/d/**",
            "/c/f/x": "/c/**",
        },
    ),
    # A more specific beginning that leads nowhere is left again.
    (
        ["/a/b/c", "/a/*/d", "/*/b/e", "/**/f"],
        {"/a/b/c": "/a/b/c", "/a/b/d": "/a/*/d", "/a/b/e": "/*/b/e", "/a/b/f": "/**/f"},
    ),
    # The longer tail behind `**` is the more specific one.
    (["/**/y/z", "/**/z", "/**"], {"/x/y/z": "/**/y/z", "/x/z": "/**/z", "/x": "/**"}),
    (
        ["/a/{x}:go", "/a/{x}", "/a/b:go"],
        {"/a/b:go": "/a/b:go", "/a/c:go": "/a/{x}:go", "/a/c:stay": "/a/{x}", "/a/c": "/a/{x}"},
    ),
    # The longest verb that is known is taken first, and left when no path goes with it.
    (
        ["/a/{x}:p:q", "/a/{x}:q", "/b/{y}", "/c/d:q"],
        {"/a/1:p:q": "/a/{x}:p:q", "/a/1:r:q": "/a/{x}:q", "/b/1:q": "/b/{y}"},
    ),
]


@pytest.mark.parametrize(("templates", "paths"), PRIORITY)
def test_the_most_specific_template_answers(templates: list[str], paths: dict[str, str]):
    """Specificity decides, whatever the order of registration."""
    for order in itertools.permutations(templates):
        matcher: Matcher[str] = Matcher()
        for text in order:
            matcher.setdefault(parse(text), text)
        assert {path: matcher.find(split(path))[0] for path in paths} == paths
