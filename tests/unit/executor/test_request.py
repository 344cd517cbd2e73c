"""How parameters are bound to a request."""

import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.model import Authorization
from executor.arguments import Arguments, prepare
from executor.configuration import configure
from executor.errors import InvalidParameters, MethodNotCallable, RequestTooLarge
from executor.model import HttpRequest
from executor.plan import make_plan
from executor.request import authorized, bind
from registry.model import Method, Target
from tests.unit.executor.world import AGENT, call, definition, instance, method

LIMIT = 10_000
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NASTY = st.text(st.sampled_from(list("./\\%2eEfF?#;:@&= a\r\n\0é")), max_size=12)
NUMBERS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?", fullmatch=True
)


def bound(
    of: Method,
    parameters: bytes,
    transformed: bytes | None = None,
    config: dict[str, Any] | None = None,
    **more: Any,
) -> HttpRequest:
    """Answer the request that these parameters become."""
    target = Target(instance(config), definition(of, **more))
    plan = make_plan(target.definition, of, AGENT)
    configuration = configure(target, plan.server)
    return bind(plan, configuration, prepared(of, parameters), transformed)


def prepared(of: Method, parameters: bytes, metadata: bytes = b"") -> Arguments:
    """Answer the parameters, completed and checked."""
    whole = definition(of)
    return prepare(make_plan(whole, of, AGENT), call(of.name, parameters, metadata=metadata), LIMIT)


# --- What the caller sends ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [b"[]", b"1", b"null", b'"a"', b"{", b"\xff", b"NaN", b"\xef\xbb\xbf{}"]
)
def test_parameters_must_be_a_json_object(text: bytes) -> None:
    """Anything but a JSON object is refused at `/parameters`, or at `/metadata`."""
    for sent, path in (((text, b""), "/parameters"), ((b"{}", text), "/metadata")):
        with pytest.raises(InvalidParameters) as caught:
            prepared(method(), *sent)
        (problem,) = caught.value.details["problems"]  # type: ignore[misc,has-type]
        assert problem["path"] == path


def test_absent_parameters_are_an_empty_object() -> None:
    """No text at all means `{}`."""
    assert bound(method(), b"").body == b"{}"


def test_every_problem_is_named() -> None:
    """A refusal lists all problems with their paths."""
    schema = {
        "properties": {"email": {"format": "email"}, "n": {"type": "integer"}},
        "required": ["id"],
    }
    with pytest.raises(InvalidParameters) as caught:
        prepared(method(param_schema=schema), b'{"email":"x","n":"1"}')
    problems: Any = caught.value.details["problems"]
    assert {problem["path"] for problem in problems} == {
        "/parameters",
        "/parameters/email",
        "/parameters/n",
    }
    json.dumps(caught.value.details)


def test_a_request_over_its_limit_is_refused() -> None:
    """Size is looked at before anything is parsed."""
    with pytest.raises(RequestTooLarge) as caught:
        prepared(method(), b"{" * (LIMIT + 1))
    assert caught.value.details == {"limit": LIMIT, "size": LIMIT + 1}


def test_endless_depth_is_refused() -> None:
    """Nesting beyond what can be parsed is a problem of the parameters, in a body and a query."""
    for depth in (990, 3000):
        deep = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
        with pytest.raises(InvalidParameters):
            bound(method(verb="GET"), deep)


@pytest.mark.parametrize(
    "schema",
    [{}, {"properties": {"a": {"properties": {"x": {"default": 1}}}}}],
    ids=["", "default"],
)
def test_endless_depth_is_refused_in_a_body(schema: Any) -> None:
    """What cannot be looked through is not sent: where keys may stand twice, or defaults miss."""
    deep = b'{"a":{"b":' + b"[" * 990 + b'":"' + b"]" * 990 + b"}}"
    deep = deep.replace(b'":"', b'"\\":"')
    with pytest.raises(InvalidParameters):
        bound(method(param_schema=schema), deep)


# --- Byte for byte ------------------------------------------------------------------------------


@given(st.dictionaries(TEXT, NUMBERS, max_size=5))
def test_numbers_reach_a_body_as_written(numbers: dict[str, str]) -> None:
    """The caller's very bytes are the body."""
    text = ("{ " + ", ".join(f"{json.dumps(k)} : {n}" for k, n in numbers.items()) + " }").encode()
    assert bound(method(), text).body == text


@given(st.dictionaries(TEXT, NUMBERS, max_size=5))
def test_numbers_reach_a_query_as_written(numbers: dict[str, str]) -> None:
    """Every number of a query has the digits that the caller wrote, in the caller's order."""
    text = ("{" + ",".join(f"{json.dumps(k)}:{n}" for k, n in numbers.items()) + "}").encode()
    query = urlsplit(bound(method(verb="GET"), text).url).query
    assert parse_qsl(query, keep_blank_values=True) == list(numbers.items())


@given(TEXT, NUMBERS)
def test_what_the_path_takes_leaves_the_rest_as_written(identifier: str, number: str) -> None:
    """Without its path variable a body keeps the order and digits of the rest."""
    text = f'{{"z":{number},"id":{json.dumps("i" + identifier.replace(".", ""))},"a":{number}}}'
    if {"\\", "/"}.isdisjoint(identifier):
        body = bound(method(path="/x/{id}"), text.encode()).body
        assert body == f'{{"z":{number},"a":{number}}}'.encode()


@pytest.mark.parametrize("text", [b'{"n":1,"n":2}', b'{"a":[{"n":1,"n":2}],"id":"x"}'])
@pytest.mark.parametrize("path", ["/x", "/x{?id}"])
def test_a_key_that_stands_twice_is_refused(text: bytes, path: str) -> None:
    """What we checked and what the upstream reads must be the same; a transform writes anew."""
    with pytest.raises(InvalidParameters, match="'n' twice"):
        bound(method(path=path), text)
    assert bound(method(path=path), text, b'{"n":2}').body == b'{"n":2}'


# --- Paths --------------------------------------------------------------------------------------


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


# --- Bodies and queries -------------------------------------------------------------------------


def test_a_body_kind_of_none_sends_the_rest_in_the_query() -> None:
    """POST without a body is possible."""
    request = bound(method(body="none"), b'{"a":1}')
    assert (request.body, request.url) == (None, "https://crm.example/createContact?a=1")
    assert "Content-Type" not in dict(request.headers)


@pytest.mark.parametrize("result", [b"[1]", b"1", b'"a"', b"null"])
def test_a_transform_may_answer_any_json_for_a_body(result: bytes) -> None:
    """The result of a transform is the body, whatever it is, also beside path variables."""
    assert bound(method(path="/x/{id}"), b'{"id":1}', result).body == result
    assert bound(method(), b"{}", result).body == result


def test_a_transform_of_a_query_may_answer_null() -> None:
    """Null binds nothing."""
    assert bound(method(verb="GET"), b'{"a":1}', b"null").url == "https://crm.example/createContact"


@pytest.mark.parametrize("result", [b"[1]", b"1", b'"a"', b'{"a":"\\ud800"}'])
def test_a_transform_of_a_query_must_answer_an_object(result: bytes) -> None:
    """What cannot be spread over a query is a fault of the definition."""
    with pytest.raises(MethodNotCallable, match="requestTransform"):
        bound(method(verb="GET"), b"{}", result)


def test_the_path_may_take_its_value_from_the_transform() -> None:
    """What the parameters do not have, the transform may provide; the parameters come first."""
    of = method(path="/x/{id}/{more}")
    assert bound(of, b'{"id":1}', b'{"id":2,"more":3}').url == "https://crm.example/x/1/3"


# --- Headers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b", "é", "a\tb", "\x7f"])
def test_a_header_value_cannot_break_out(value: str) -> None:
    """Control characters and what is no visible ASCII are refused, naming the parameter."""
    with pytest.raises(InvalidParameters) as caught:
        bound(method(headers={"X-A": "v={a}"}), orjson.dumps({"a": value}))
    problems: Any = caught.value.details["problems"]
    assert problems[0]["path"] == "/parameters/a"
    with pytest.raises(MethodNotCallable, match=r"config\.a"):
        bound(
            method(headers={"X-A": "{config.a}"}),
            b"{}",
            config={"baseUrl": "https://a.example", "a": value},
        )


def test_parameters_in_headers_are_not_sent_twice() -> None:
    """A header takes its parameter away from the body."""
    request = bound(method(headers={"If-Match": "{etag}"}), b'{"etag":"x y","a":1.0}')
    assert dict(request.headers)["If-Match"] == "x y"
    assert request.body == b'{"a":1.0}'


def test_credentials_win_and_must_be_sendable() -> None:
    """Headers of credentials replace the binding's; a value that no header can carry is refused."""
    request = bound(method(headers={"Authorization": "mine"}), b"{}")
    with_key = authorized(request, Authorization((("AUTHORIZATION", "Bearer k"),)))
    assert [value for name, value in with_key.headers if name.lower() == "authorization"] == [
        "Bearer k"
    ]
    with pytest.raises(MethodNotCallable) as caught:
        authorized(request, Authorization((("X-Key", "k\r\nX: 1"),)))
    assert "k\r" not in caught.value.message + repr(caught.value.details)


def test_a_request_does_not_print_its_secrets() -> None:
    """Neither headers nor the query are in the representation."""
    request = authorized(
        bound(method(), b"{}"), Authorization((("X-Key", "hidden"),), (("key", "hidden"),))
    )
    assert "key=hidden" in request.url
    assert "hidden" not in repr(request)


# --- Takeovers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "result",
    [
        {"$request": 1},
        {"$request": None},
        {"$request": {}, "more": 1},
        {"$request": {"url": "https://evil.example"}},
        {"$request": {"method": "TRACE"}},
        {"$request": {"method": 1}},
        {"$request": {"path": "no-slash"}},
        {"$request": {"path": "/a/../b"}},
        {"$request": {"path": "/a/%2e%2e/b"}},
        {"$request": {"path": "/a\\..\\b"}},
        {"$request": {"path": "/a?b=1"}},
        {"$request": {"path": "/a#b"}},
        {"$request": {"path": ["a"]}},
        {"$request": {"query": []}},
        {"$request": {"headers": {"Host": "evil.example"}}},
        {"$request": {"headers": {"X": "a\r\nb"}}},
        {"$request": {"headers": {"X": ["a"]}}},
        {"$request": {"headers": []}},
    ],
)
def test_a_takeover_that_is_not_understood_is_refused(result: Any) -> None:
    """Scripts take over as described, or the call fails before it is sent."""
    with pytest.raises(MethodNotCallable):
        bound(method(), b"{}", orjson.dumps(result))


@pytest.mark.parametrize(
    ("parameters", "metadata"),
    [
        (b'{"$request":{"path":"/admin"}}', b""),
        (b'{"\\u0024request":{}}', b""),
        (b'{"a":[{"$request":{}}]}', b""),
        (b'{"key":"$request","value":{}}', b""),
        (b"{}", b'{"a":{"$request":{}}}'),
    ],
)
def test_a_caller_cannot_take_over_through_a_script(parameters: bytes, metadata: bytes) -> None:
    """A script that hands its input through does not let callers choose another request."""
    of = method()
    target = Target(instance(), definition(of))
    plan = make_plan(target.definition, of, AGENT)
    arguments = prepared(of, parameters, metadata)
    with pytest.raises(InvalidParameters, match="reserved"):
        bind(plan, configure(target, plan.server), arguments, b'{"$request":{"path":"/admin"}}')


@pytest.mark.parametrize("result", [b'["$request"]', b'{"a":{"$request":1}}', b'"$request"'])
def test_only_a_result_that_is_a_takeover_is_one(result: bytes) -> None:
    """The word elsewhere in a result means nothing."""
    assert bound(method(), b"{}", result).body == result


def test_a_takeover_may_send_a_body_where_the_binding_has_none() -> None:
    """GET with a body is possible, and says that it is JSON."""
    request = bound(method(verb="GET"), b"{}", b'{"$request":{"body":{"q":1.0}}}')
    assert request.body == b'{"q":1.0}'
    assert dict(request.headers)["Content-Type"] == "application/json"


def test_a_takeover_of_a_form_writes_a_form() -> None:
    """The body's kind stays the binding's."""
    request = bound(method(body="form"), b"{}", b'{"$request":{"body":{"q":"a b"}}}')
    assert request.body == b"q=a+b"
    with pytest.raises(MethodNotCallable):
        bound(method(body="form"), b"{}", b'{"$request":{"body":[1]}}')
