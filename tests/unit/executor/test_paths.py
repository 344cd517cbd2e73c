"""Values in a path stay in their place."""

import json
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import InvalidParameters, MethodNotCallable
from tests.unit.executor.binding import NASTY, TEXT, bound
from tests.unit.executor.world import method


@given(st.one_of(TEXT, NASTY), st.one_of(TEXT, NASTY))
def test_a_path_value_never_breaks_out(first: str, second: str) -> None:
    """Whatever stands in a path variable, the path keeps its segments, and the URL its parts."""
    parameters = json.dumps({"a": first, "b": second}).encode()
    try:
        url = bound(method(verb="GET", path="/v1/{a}/x{b}/end"), parameters).url
    except InvalidParameters:
        return
    parts = urlsplit(url)
    assert url.isascii()
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == (
        "https",
        "crm.example",
        "",
        "",
    )
    segments = parts.path.split("/")
    assert len(segments) == 5
    assert [unquote(segment) for segment in segments] == ["", "v1", first, "x" + second, "end"]
    assert not {".", ".."}.intersection(unquote(parts.path).replace("\\", "/").split("/"))


@given(st.one_of(TEXT, NASTY))
def test_a_reserved_value_stays_below_its_place(value: str) -> None:
    """`{+path}` keeps slashes, but leads neither up nor into a query or a fragment."""
    try:
        url = bound(
            method(verb="GET", path="/files/{+path}"), json.dumps({"path": value}).encode()
        ).url
    except InvalidParameters:
        return
    parts = urlsplit(url)
    assert (parts.netloc, parts.query, parts.fragment) == ("crm.example", "", "")
    assert parts.path.startswith("/files/")
    below = unquote(parts.path.removeprefix("/files/")).replace("\\", "/").split("/")
    assert {".", ".."}.isdisjoint(below)


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "..",
        "../x",
        "a/..",
        "a\\..\\b",
        "%2e%2e",
        "..%2fx",
        "%2E",
        "a/./b",
        [".."],
        [""],
        {"a": ".."},
    ],
)
def test_dot_segments_and_empty_values_are_refused(value: Any) -> None:
    """Values that a lenient server could take for a way up are refused, naming the parameter."""
    with pytest.raises(InvalidParameters) as caught:
        bound(method(path="/x/{id}"), orjson.dumps({"id": value}))
    problems: Any = caught.value.details["problems"]
    assert problems[0]["path"] == "/parameters/id"


def test_values_that_make_a_dot_segment_together_are_refused() -> None:
    """Values side by side are looked at together, and all are named."""
    with pytest.raises(InvalidParameters) as caught:
        bound(method(path="/x/{a:1}{b:1}/y"), b'{"a":".a","b":".b"}')
    problems: Any = caught.value.details["problems"]
    assert [problem["path"] for problem in problems] == ["/parameters/a", "/parameters/b"]
    with pytest.raises(InvalidParameters):
        bound(method(path="/x/.{a:1}"), b'{"a":".a"}')


def test_dots_around_values_are_no_dot_segments() -> None:
    """A file's name with its extension, and a name that begins with a dot, are ordinary."""
    of = method(verb="GET", path="/{name}.{ext}/.{hidden}")
    url = bound(of, b'{"name":"a","ext":"txt","hidden":"git"}').url
    assert url == "https://crm.example/a.txt/.git"


@pytest.mark.parametrize("parameters", [b"{}", b'{"id":null}'])
def test_a_path_needs_its_values(parameters: bytes) -> None:
    """A missing path variable is a problem of the parameters."""
    with pytest.raises(InvalidParameters, match="id"):
        bound(method(path="/x/{id}"), parameters)


def test_a_path_needs_its_config() -> None:
    """A missing variable from config is not the caller's fault."""
    with pytest.raises(MethodNotCallable, match=r"config\.account"):
        bound(method(path="/x/{config.account}"), b"{}")


def test_optional_segments_vanish() -> None:
    """`{/a,b}` is only there when its values are."""
    of = method(verb="GET", path="/x{/a,b}")
    assert bound(of, b'{"b":2}').url == "https://crm.example/x/2"
    assert bound(of, b"{}").url == "https://crm.example/x"


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("users", "https://crm.example/v1/users"),
        ("/users/", "https://crm.example/v1/users/"),
        ("?a=b", "https://crm.example/v1?a=b"),
        ("{?x}", "https://crm.example/v1?x=1"),
    ],
)
def test_paths_join_the_base(path: str, url: str) -> None:
    """A path is put behind the base's own with one slash."""
    config = {"baseUrl": "https://crm.example/v1/"}
    assert bound(method(path=path), b'{"x":1}', config=config).url == url
