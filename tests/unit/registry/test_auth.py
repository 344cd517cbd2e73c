"""Where credentials go: signatures, several headers, certificates, and what proves them good."""

from collections.abc import Callable
from typing import Any

import pytest

from registry.errors import InvalidDefinition
from registry.model import (
    AuthPlacement,
    AwsPlacement,
    CertificatePlacement,
    Definition,
    SigningPlacement,
    Verification,
)
from registry.parse import parse, parse_document

Write = Callable[..., bytes]
TEXT = {"type": "string"}


def schema(*names: str, **more: Any) -> dict[str, Any]:
    """Describe a config of these texts."""
    return {"type": "object", "properties": {**dict.fromkeys(("baseUrl", *names), TEXT), **more}}


def definition(text: bytes) -> Definition:
    """Read a definition that reads the same from the store."""
    read = parse(text).definition
    assert parse_document(read.document) == read
    return read


def problems(text: bytes) -> dict[str, str]:
    """Answer the message at each path of a definition that is refused."""
    with pytest.raises(InvalidDefinition) as caught:
        parse(text)
    found = caught.value.details["problems"]
    assert isinstance(found, list)
    return {item["path"]: item["message"] for item in found}


def warnings(text: bytes) -> dict[str, str]:
    """Answer the message at each path that is warned of."""
    return {item.path: item.message for item in parse(text).warnings}


def test_a_signature_says_everything(written: Write) -> None:
    """What is signed, how, and which headers tell of it, stand in one place."""
    auth = {
        "name": "CB-ACCESS-SIGN",
        "prefix": "{keyId}:",
        "field": "apiSecret",
        "headers": {"CB-ACCESS-KEY": "{keyId}"},
        "query": {"account": "{account}"},
        "signature": {
            "template": "{timestamp}{nonce}{method}{path}{header:Date}{field:account}{body}\n",
            "algorithm": "sha512",
            "encoding": "base64",
            "keyEncoding": "base64url",
            "timestampHeader": "CB-ACCESS-TIMESTAMP",
            "timestampFormat": "unix_ms",
            "nonceHeader": "CB-NONCE",
        },
    }
    config = schema("keyId", "apiSecret", "account")
    read = definition(written(authType="hmac", auth=auth, configSchema=config))
    assert read.auth == AuthPlacement(
        name="CB-ACCESS-SIGN",
        prefix="{keyId}:",
        field="apiSecret",
        headers=(("CB-ACCESS-KEY", "{keyId}"),),
        query=(("account", "{account}"),),
        signing=SigningPlacement(
            template="{timestamp}{nonce}{method}{path}{header:Date}{field:account}{body}\n",
            algorithm="sha512",
            encoding="base64",
            key_encoding="base64url",
            timestamp_header="CB-ACCESS-TIMESTAMP",
            timestamp_format="unix_ms",
            nonce_header="CB-NONCE",
        ),
    )
    assert read.secret_fields == ("keyId", "apiSecret")


def test_a_signature_has_defaults(written: Write) -> None:
    """The text alone is enough: SHA-256 in hexadecimal, in a header of its own."""
    auth = {"signature": {"template": "{method} {url} {bodyHash}"}}
    read = definition(written(authType="hmac", auth=auth, configSchema=schema("sharedSecret")))
    signing = SigningPlacement("{method} {url} {bodyHash}")
    expected = AuthPlacement(name="X-Signature", prefix="", field="sharedSecret", signing=signing)
    assert read.auth == expected


@pytest.mark.parametrize(
    ("signature", "path", "said"),
    [
        ({}, "/template", "missing"),
        ({"template": ""}, "/template", "empty"),
        ({"template": 5}, "/template", "must be a text"),
        ({"template": "{bdy}"}, "/template", "did you mean body?"),
        ({"template": "{field:nope}"}, "/template", "no property of configSchema"),
        ({"template": "{header:a b}"}, "/template", "no name of a header"),
        ({"template": "{body"}, "/template", "brace"),
        ({"template": "}"}, "/template", "brace"),
        ({"template": "{}"}, "/template", "known"),
        ({"template": "{body}", "algorithm": "md5"}, "/algorithm", "sha256"),
        ({"template": "{body}", "encoding": "base32"}, "/encoding", "base64url"),
        ({"template": "{body}", "keyEncoding": "hexx"}, "/keyEncoding", "did you mean hex?"),
        ({"template": "{body}", "timestampFormat": "iso"}, "/timestampFormat", "rfc3339"),
        ({"template": "{body}", "timestampHeader": "Host"}, "/timestampHeader", "header"),
        ({"template": "{body}", "nonceHeader": "a\r\nb"}, "/nonceHeader", "header"),
        ({"template": "{body}", "algoritm": "sha1"}, "/algoritm", "did you mean algorithm?"),
        ("{body}", "", "an object"),
    ],
)
def test_a_signature_is_checked(written: Write, signature: Any, path: str, said: str) -> None:
    """What nobody could sign is refused where it stands, with what to do."""
    text = written(
        authType="hmac", auth={"signature": signature}, configSchema=schema("signingKey")
    )
    found = problems(text)
    assert set(found) == {f"/auth/signature{path}"}
    assert said in found[f"/auth/signature{path}"]


def test_what_is_signed_and_never_told_is_warned_of(written: Write) -> None:
    """Nobody can verify a time or a nonce that is not sent."""
    auth = {"signature": {"template": "{timestamp}{nonce}"}}
    text = written(authType="hmac", auth=auth, configSchema=schema("signingKey"))
    found = [item.message for item in parse(text).warnings]
    assert [name for name in ("timestampHeader", "nonceHeader") if name in " ".join(found)] == [
        "timestampHeader",
        "nonceHeader",
    ]


@pytest.mark.parametrize(
    ("auth_type", "auth", "path"),
    [
        ("hmac", {"field": "code", "signature": {"template": "{body}"}}, "/field"),
        ("none", {"clientCertificate": {"certificate": "pem", "key": "pem"}}, "/key"),
        ("aws_sigv4", {"service": "s3", "secretKeyField": "code"}, "/secretKeyField"),
        ("aws_sigv4", {"service": "s3", "sessionTokenField": "token"}, "/sessionTokenField"),
    ],
)
def test_a_key_that_is_not_secret_is_refused(
    written: Write, auth_type: str, auth: Any, path: str
) -> None:
    """A key that anybody could read signs nothing, and says what to do."""
    config = schema("code", "pem", "region", token={"type": "string", "x-secret": False})
    found = problems(written(authType=auth_type, auth=auth, configSchema=config))
    ((place, message),) = found.items()
    assert place.endswith(path)
    assert "x-secret: true" in message


@pytest.mark.parametrize("auth_type", ["hmac", "custom"])
def test_what_is_to_be_sent_must_be_said(written: Write, auth_type: str) -> None:
    """These schemes have no usual form; a webhook, which sends nothing, needs none."""
    config = schema("signingKey")
    missing = {"hmac": "/auth/signature", "custom": "/auth/headers"}[auth_type]
    assert set(problems(written(authType=auth_type, configSchema=config))) == {"/auth"}
    assert set(problems(written(authType=auth_type, auth={}, configSchema=config))) == {missing}
    for auth in (None, {}):
        read = parse(written(type="webhook", authType=auth_type, auth=auth, configSchema=config))
        assert read.definition.auth.signing is None


def test_custom_sends_several(written: Write) -> None:
    """Headers and query parameters are templates over the fields of the config."""
    auth = {
        "headers": {"X-Account": "{accountId}", "Authorization": "Basic {apiKey:base64}"},
        "query": {"k": "{apiKey}", "v": "2"},
    }
    config = schema("accountId", "apiKey")
    read = definition(written(authType="custom", auth=auth, configSchema=config))
    assert read.auth.headers == (
        ("X-Account", "{accountId}"),
        ("Authorization", "Basic {apiKey:base64}"),
    )
    assert read.auth.query == (("k", "{apiKey}"), ("v", "2"))
    assert read.secret_fields == ("apiKey",)


@pytest.mark.parametrize(
    ("auth", "path"),
    [
        ({"headers": {"X-A": "{nope}"}}, "/headers/X-A"),
        ({"headers": {"X-A": "{apiKey:hex}"}}, "/headers/X-A"),
        ({"headers": {"X-A": "{}"}}, "/headers/X-A"),
        ({"headers": {"X-A": "{:base64}"}}, "/headers/X-A"),
        ({"headers": {"X-A": "{apiKey"}}, "/headers/X-A"),
        ({"headers": {"X-A": "a\r\nB: {apiKey}"}}, "/headers/X-A"),
        ({"headers": {"X-A": " {apiKey}"}}, "/headers/X-A"),
        ({"headers": {"X-A": ""}}, "/headers/X-A"),
        ({"headers": {"X-A": 5}}, "/headers/X-A"),
        ({"headers": {"X/A": "{apiKey}"}}, "/headers/X~1A"),
        ({"headers": {"Host": "{apiKey}"}}, "/headers/Host"),
        ({"headers": ["X-A"]}, "/headers"),
        ({"headers": {}}, "/headers"),
        ({"headers": {f"X-{n}": "a" for n in range(51)}}, "/headers"),
        ({"query": {"": "{apiKey}"}}, "/query/"),
        ({"query": {"a\x00": "{apiKey}"}}, "/query/a\x00"),
        ({"query": {"a": "\n{apiKey}"}}, "/query/a"),
        ({"headers": {"X-A": "{apiKey}"}, "field": "apiKey"}, "/field"),
        ({"headers": {"X-A": "{apiKey}"}, "signature": {"template": "a"}}, "/signature"),
        ({"headers": {"X-A": "{apiKey}"}, "region": "a"}, "/region"),
        ("X-A", ""),
    ],
)
def test_custom_is_checked(written: Write, auth: Any, path: str) -> None:
    """Each part that no request could carry is named."""
    text = written(authType="custom", auth=auth, configSchema=schema("apiKey"))
    assert set(problems(text)) == {f"/auth{path}"}


def test_parts_of_other_schemes_are_named(written: Write) -> None:
    """What belongs to another auth type says to which."""
    auth = {"name": "X-Key", "headers": {"A": "b"}, "signature": {}, "service": "s3"}
    found = problems(written(authType="api_key", auth=auth, configSchema=schema("apiKey")))
    assert found == {
        "/auth/headers": "is for authType custom and hmac only",
        "/auth/signature": "is for authType hmac only",
        "/auth/service": "is for authType aws_sigv4 only",
    }


def test_aws_is_scoped(written: Write) -> None:
    """Service and region stand in the definition, or in the config of each instance."""
    keys = schema("accessKeyId", "secretAccessKey", "region")
    read = definition(written(authType="aws_sigv4", auth={"service": "s3"}, configSchema=keys))
    assert read.auth == AuthPlacement(aws=AwsPlacement(service="s3"))
    own = {"service": "execute-api", "region": "eu-west-1", "accessKeyField": "id"}
    own |= {"secretKeyField": "secretKey", "sessionTokenField": "token"}
    config = schema("id", "secretKey", "token")
    read = definition(written(authType="aws_sigv4", auth=own, configSchema=config))
    assert read.auth.aws == AwsPlacement("execute-api", "eu-west-1", "id", "secretKey", "token")


@pytest.mark.parametrize(
    ("auth", "path"),
    [
        (None, "/service"),
        ({}, "/service"),
        ({"service": "s 3"}, "/service"),
        ({"service": 3}, "/service"),
        ({"service": "s3", "accessKeyField": "nope"}, "/accessKeyField"),
        ({"service": "s3", "secretKeyField": "nope"}, "/secretKeyField"),
        ({"service": "s3", "sessionTokenField": "nope"}, "/sessionTokenField"),
        ({"service": "s3", "name": "X"}, "/name"),
    ],
)
def test_aws_is_checked(written: Write, auth: Any, path: str) -> None:
    """What AWS asks for is there before anybody calls."""
    config = schema("accessKeyId", "secretAccessKey", "region")
    text = written(authType="aws_sigv4", auth=auth, configSchema=config)
    assert set(problems(text)) == {f"/auth{path}"}


@pytest.mark.parametrize("auth_type", ["none", "api_key", "basic", "bearer", "custom"])
def test_a_certificate_goes_with_any_scheme(written: Write, auth_type: str) -> None:
    """Mutual TLS is beside whatever else an API asks for."""
    config = schema("clientCertificate", "clientKey", "apiKey", "token", "username", "password")
    auth: dict[str, Any] = {"clientCertificate": {}}
    if auth_type == "custom":
        auth["headers"] = {"X-A": "{apiKey}"}
    read = definition(written(authType=auth_type, auth=auth, configSchema=config))
    assert read.auth.certificate == CertificatePlacement("clientCertificate", "clientKey")
    assert "clientKey" in read.secret_fields
    named = {**auth, "clientCertificate": {"certificate": "token", "key": "password"}}
    read = definition(written(authType=auth_type, auth=named, configSchema=config))
    assert read.auth.certificate == CertificatePlacement("token", "password")


@pytest.mark.parametrize(
    ("certificate", "paths"),
    [
        ({"key": "nope", "certificate": "none"}, {"/key", "/certificate"}),
        ({"key": "baseUrl", "certificate": "baseUrl"}, {"/key"}),
        ({"key": 5, "certificate": "baseUrl"}, {"/key"}),
        ({"keys": "clientKey"}, {"/keys", "/certificate"}),
        (True, {""}),
    ],
)
def test_a_certificate_is_checked(written: Write, certificate: Any, paths: set[str]) -> None:
    """Certificate and key are in fields that exist, and the key is secret."""
    config = schema("clientKey", **({"clientCertificate": TEXT} if certificate is True else {}))
    found = problems(written(auth={"clientCertificate": certificate}, configSchema=config))
    assert set(found) == {f"/auth/clientCertificate{path}" for path in paths}


@pytest.mark.parametrize(
    ("auth_type", "auth", "names"),
    [
        ("hmac", {"signature": {"template": "{body}"}}, ["signingSecret"]),
        ("aws_sigv4", {"service": "a", "region": "b"}, ["accessKeyId", "secretAccessKey"]),
        ("api_key", None, ["apiKey"]),
    ],
)
def test_missing_fields_are_warned_of(
    written: Write, auth_type: str, auth: Any, names: list[str]
) -> None:
    """A config that has no place for the credentials is legal, and said."""
    found = warnings(written(authType=auth_type, auth=auth))["/configSchema"]
    assert [name for name in names if name in found] == names


def test_a_verification_is_a_request(written: Write) -> None:
    """The request that proves credentials good is named once, for all instances."""
    config = schema("region")
    read = definition(written(verification={"path": "/me"}, configSchema=config))
    assert read.verification == Verification("GET", "/me")
    asked = {"method": "POST", "path": "/{config.region}/me{?config.region}"}
    read = definition(written(verification=asked, configSchema=config))
    assert read.verification == Verification("POST", "/{config.region}/me{?config.region}")
    assert definition(written()).verification is None


@pytest.mark.parametrize(
    ("verification", "path"),
    [
        ({}, "/path"),
        ({"path": 5}, "/path"),
        ({"path": "me"}, "/path"),
        ({"path": "//evil.example"}, "/path"),
        ({"path": "/me#x"}, "/path"),
        ({"path": "/{"}, "/path"),
        ({"path": "/{id}"}, "/path"),
        ({"path": "/{config.nope}"}, "/path"),
        ({"path": "/{config.apiKey}"}, "/path"),
        ({"path": "/me", "method": "DELETE"}, "/method"),
        ({"path": "/me", "headers": {}}, "/headers"),
        ("/me", ""),
    ],
)
def test_a_verification_is_checked(written: Write, verification: Any, path: str) -> None:
    """It can only be what needs no parameters and changes nothing."""
    text = written(verification=verification, configSchema=schema("apiKey"))
    assert set(problems(text)) == {f"/verification{path}"}


@pytest.mark.parametrize(
    "auth_type", ["oauth2", "oauth2_client_credentials", "jwt_bearer", "hmac", "aws_sigv4"]
)
def test_every_auth_type_can_call(written: Write, auth_type: str) -> None:
    """No auth type is for later."""
    config = schema("clientId", "privateKey", "signingSecret", "accessKeyId", "secretAccessKey")
    text = written(
        authType=auth_type,
        configSchema=config,
        auth={
            "hmac": {"signature": {"template": "{body}"}},
            "aws_sigv4": {"service": "s3", "region": "eu-west-1"},
        }.get(auth_type),
        oauth2Config={"issuer": "https://login.example.com"},
    )
    assert set(warnings(text)) == {"/methods/0"}
