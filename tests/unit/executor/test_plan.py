"""What is worked out before a call, and what is refused then."""

from typing import Any

import pytest

from credentials.model import AuthScheme, AwsSigning, CertificateFields, Signing
from executor.errors import MethodNotCallable
from executor.plan import Plans, make_plan, takes_context
from executor.schemes import scheme_of
from registry.model import (
    AuthPlacement,
    AwsPlacement,
    CertificatePlacement,
    Definition,
    SigningPlacement,
)
from tests.unit.executor.world import AGENT, definition, method


@pytest.mark.parametrize(
    "source",
    [
        "function transform(input) { return input }",
        "// Transform from ours to theirs\nfunction transform (input) { return {a: input.a} }",
        "const f = x => x;\nfunction transform($a) { return f($a) }",
    ],
)
def test_a_script_of_one_argument_gets_no_context(source: str) -> None:
    """The plain function of the specification cannot see its context, so none is written."""
    assert not takes_context(source)


@pytest.mark.parametrize(
    "source",
    [
        "function transform(input, context) { return context }",
        "function transform(input, c = 1) { return c }",
        "function transform(...all) { return all }",
        "function transform({a}) { return a }",
        "function transform() { return 1 }",
        "function transform(input) { return arguments[1] }",
        "const transform = (input, context) => context",
        "export default function (input, context) { return context }",
        "function transform(input) {}\ntransform = (a, b) => b",
        "function other(input) {}",
        "async function transformed(input) {}",
        "",
    ],
)
def test_any_other_script_gets_its_context(source: str) -> None:
    """In doubt the context is there."""
    assert takes_context(source)


def callable_definition(**more: Any) -> Definition:
    """Answer a definition with one method; facts of the definition by their names."""
    return definition(method(), **more)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (callable_definition(type="webhook"), "webhooks is not available yet"),
        (callable_definition(type="graphql"), "GraphQL is not available yet"),
        (callable_definition(type="carrier-pigeon"), "carrier-pigeon is not known"),
        (callable_definition(server="{"), "server"),
        (callable_definition(server="https://a.example/#x"), "fragment"),
        (definition(method(verb="TRACE")), "TRACE"),
        (definition(method(body="multipart")), "multipart bodies are not available yet"),
        (definition(method(body="text")), "text bodies are not available yet"),
        (definition(method(path="/a/{")), "path"),
        (definition(method(path="/a{#b}")), "fragment"),
        (definition(method(path="/a/../b")), r"\. or \.\."),
        (definition(method(path="/a/%2e%2E/b{x}")), r"\. or \.\."),
        (definition(method(headers={"Host": "a"})), "Host"),
        (definition(method(headers={"content-length": "1"})), "content-length"),
        (definition(method(headers={"Transfer-Encoding": "chunked"})), "Transfer-Encoding"),
        (definition(method(headers={"CONNECTION": "close"})), "CONNECTION"),
        (definition(method(headers={"a b": "1"})), "no name of a header"),
        (definition(method(headers={"X": "{"})), "header X"),
        (definition(method(param_schema={"type": 1})), "/parameters"),
        (definition(method(result_schema={"type": 1})), "/data"),
        (
            definition(method(), auth_type="api_key", auth=AuthPlacement(name="Host")),
            "cannot set the header Host",
        ),
        (
            definition(
                method(),
                auth_type="custom",
                auth=AuthPlacement(headers=(("Content-Length", "{n}"),)),
            ),
            "cannot set the header Content-Length",
        ),
        (
            definition(
                method(),
                auth_type="hmac",
                auth=AuthPlacement(signing=SigningPlacement("x", nonce_header="Host")),
            ),
            "cannot set the header Host",
        ),
    ],
)
def test_what_cannot_be_called_is_named(broken: Definition, words: str) -> None:
    """The error names the part of the definition that is in the way."""
    with pytest.raises(MethodNotCallable, match=words):
        make_plan(broken, broken.methods[0], AGENT)


def test_plans_are_kept_per_content_and_method() -> None:
    """A plan is made once per content of a definition; the least used one goes first."""
    plans = Plans(2, AGENT)
    first, second = method("a"), method("b")
    whole = definition(first, second)
    plan = plans.make(whole, first)
    assert plans.known(whole.digest, "a") is plan
    assert plans.known(whole.digest, "b") is None
    assert plans.known("other", "a") is None
    plans.make(whole, second)
    assert plans.known(whole.digest, "a") is plan
    plans.make(definition(first), first)
    assert plans.known(whole.digest, "b") is None
    assert plans.known(whole.digest, "a") is plan


def test_a_result_that_is_not_checked_needs_no_schema() -> None:
    """`off` compiles nothing for results, not even a broken schema."""
    whole = definition(method(result_schema={"type": 1}), result_validation="off")
    assert make_plan(whole, whole.methods[0], AGENT).result is None


def test_a_scheme_says_all_that_the_definition_does() -> None:
    """Credentials are told where they go, how they sign, and which certificate is shown."""
    auth = AuthPlacement(
        *("query", "sig", "v1=", "key", "user"),
        headers=(("X-Key", "{id}"),),
        query=(("k", "{id}"),),
        signing=SigningPlacement("{body}", "sha1", "base64", "hex", "X-Time", "unix_ms", "X-Once"),
        aws=AwsPlacement("s3", "eu", "a", "b", "c"),
        certificate=CertificatePlacement("pem", "pemKey"),
    )
    assert scheme_of(definition(method(), auth_type="hmac", auth=auth)) == AuthScheme(
        *("hmac", "query", "sig", "v1=", "key", "user"),
        headers=(("X-Key", "{id}"),),
        query=(("k", "{id}"),),
        signing=Signing("{body}", "sha1", "base64", "hex", "X-Time", "unix_ms", "X-Once"),
        aws=AwsSigning("s3", "eu", "a", "b", "c"),
        certificate=CertificateFields("pem", "pemKey"),
    )


def test_no_authentication_may_come_with_a_certificate() -> None:
    """Without a certificate there is nothing to ask credentials for; with one there is."""
    assert scheme_of(definition(method())) is None
    shown = AuthPlacement(name="Host", certificate=CertificatePlacement())
    assert scheme_of(definition(method(), auth=shown)) == AuthScheme(
        "none", name="Host", certificate=CertificateFields()
    )
