"""Signed assertions, checked by PyJWT and against oauthlib's."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.types import Options
from oauthlib.oauth2 import ServiceApplicationClient

from credentials.errors import OAuthMisconfigured
from credentials.oauth.profile import OAuthProfile
from credentials.oauth.requests import jwt_bearer_request, refresh_request, renewal_request
from tests.unit.credentials.oauth.profiles import SERVER, profile

NOW = datetime(2026, 3, 1, 12, 0, 0, 900_000, tzinfo=UTC)
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@cache
def key(kind: str) -> PrivateKey:
    """Make a key, once per kind."""
    match kind:
        case "EC":
            return ec.generate_private_key(ec.SECP256R1())
        case "P-384":
            return ec.generate_private_key(ec.SECP384R1())
        case "Ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case _:
            return rsa.generate_private_key(65537, 1024 if kind == "weak" else 2048)


def pem(kind: str, encryption: KeySerializationEncryption | None = None) -> str:
    """Write a private key as PEM."""
    written = key(kind).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()
    )
    return written.decode("ascii")


def public_pem(kind: str) -> str:
    """Write a public key as PEM."""
    public = key(kind).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def account(private_key: str, **oauth2: Any) -> OAuthProfile:
    """Make the profile of a service account."""
    fields = {"clientId": "robot@example.com", "privateKey": private_key}
    return profile(fields=fields, grant="jwt_bearer", **oauth2)


def claims_of(
    assertion: str, public: str, audience: str, algorithm: str = "RS256"
) -> dict[str, Any]:
    """Check an assertion as a server would, at the time it was made; answer its claims."""
    options: Options = {
        "require": ["iss", "aud", "exp", "iat", "jti"],
        "verify_exp": False,  # these are made for a day of the tests' own
        "verify_iat": False,
    }
    claims: dict[str, Any] = jwt.decode(
        assertion, public, [algorithm], options, audience=audience, issuer="robot@example.com"
    )
    return claims


def form(body: bytes) -> dict[str, str]:
    """Read a form."""
    return dict(parse_qsl(body.decode("ascii"), strict_parsing=True))


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [("RSA", "RS256"), ("RSA", "PS256"), ("EC", "ES256"), ("P-384", "ES384"), ("Ed25519", "EdDSA")],
)
def test_an_assertion_is_a_grant(kind: str, algorithm: str) -> None:
    """A service account signs for itself, and its server can check that with the public key."""
    read = account(pem(kind), signingAlgorithm=algorithm, keyId="k-1", scope="a b")
    request = jwt_bearer_request(read, NOW)
    sent = form(request.body)
    assert sent.keys() == {"grant_type", "assertion", "scope"}
    assert sent["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert "Authorization" not in dict(request.headers)
    claims = claims_of(sent["assertion"], public_pem(kind), f"{SERVER}/token", algorithm)
    assert claims["scope"] == "a b"
    assert "sub" not in claims
    header = jwt.get_unverified_header(sent["assertion"])
    assert (header["alg"], header["kid"]) == (algorithm, "k-1")


def test_its_times_allow_for_clocks_that_differ() -> None:
    """It is backdated by 30 seconds, and ends within five minutes, whoever's clock is right."""
    sent = form(jwt_bearer_request(account(pem("RSA")), NOW).body)
    claims = claims_of(sent["assertion"], public_pem("RSA"), f"{SERVER}/token")
    now = int(NOW.timestamp())
    assert claims["iat"] == now - 30
    assert now + 120 <= claims["exp"] <= claims["iat"] + 300


def test_no_assertion_is_made_twice() -> None:
    """Each has an id of its own, so that a server can refuse a replay."""
    read = account(pem("EC"), signingAlgorithm="ES256")
    ids = set()
    for _ in range(20):
        sent = form(jwt_bearer_request(read, NOW).body)
        ids.add(jwt.decode(sent["assertion"], options={"verify_signature": False})["jti"])
    assert len(ids) == 20


def test_subject_audience_and_claims_are_the_definitions() -> None:
    """Salesforce wants its login host as audience and a user; Box wants a claim of its own."""
    read = account(
        pem("RSA"),
        audience="https://login.salesforce.com",
        subject="user@example.com",
        assertionClaims={"box_sub_type": "enterprise"},
    )
    sent = form(jwt_bearer_request(read, NOW).body)
    claims = claims_of(sent["assertion"], public_pem("RSA"), "https://login.salesforce.com")
    assert (claims["sub"], claims["box_sub_type"]) == ("user@example.com", "enterprise")


def test_oauthlib_makes_the_same_claims() -> None:
    """Another client's assertion has the same issuer, subject, audience and scope."""
    read = account(pem("RSA"), subject="user@example.com", scope="a")
    ours = form(jwt_bearer_request(read, NOW).body)
    client = ServiceApplicationClient("robot@example.com")
    body = client.prepare_request_body(
        private_key=pem("RSA"),
        issuer="robot@example.com",
        subject="user@example.com",
        audience=f"{SERVER}/token",
        issued_at=NOW.timestamp() - 30,
        expires_at=NOW.timestamp() + 100,
        scope="a",
    )
    theirs = form(body.encode())
    assert ours["grant_type"] == theirs["grant_type"]
    assert ours["scope"] == theirs["scope"]
    unchecked: Options = {"verify_signature": False}
    mine = jwt.decode(ours["assertion"], options=unchecked)
    other = jwt.decode(theirs["assertion"], options=unchecked)
    assert all(mine[name] == other[name] for name in ("iss", "sub", "aud"))
    assert mine["iat"] == int(other["iat"])


@pytest.mark.parametrize(
    ("issuer", "audience"), [(None, f"{SERVER}/token"), ("https://as.example.com", SERVER)]
)
def test_an_assertion_says_who_the_client_is(issuer: str | None, audience: str) -> None:
    """`private_key_jwt` signs for the issuer where one is known (RFC 7523 §2.2)."""
    fields = {"clientId": "robot@example.com", "privateKey": pem("RSA")}
    request = refresh_request(profile(fields=fields, issuer=issuer), "rt", NOW)
    sent = form(request.body)
    assert sent["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert sent["client_id"] == "robot@example.com"
    claims = claims_of(sent["client_assertion"], public_pem("RSA"), audience)
    assert claims["sub"] == claims["iss"]
    assert "Authorization" not in dict(request.headers)
    assert "client_secret" not in sent


def test_an_assertion_is_made_anew_for_each_token() -> None:
    """A service account renews by signing again, even where a server gave a refresh token."""
    request = renewal_request(account(pem("RSA")), "rt", NOW + timedelta(hours=1))
    assert request is not None
    assert "assertion" in form(request.body)


@pytest.mark.parametrize(
    "paste",
    [
        pytest.param(lambda text: text.replace("\n", "\\n"), id="escaped line ends"),
        pytest.param(lambda text: text.replace("\n", "\r\n"), id="Windows line ends"),
        pytest.param(lambda text: f"\n  {text}  \n", id="blanks around"),
    ],
)
def test_keys_are_read_as_people_paste_them(paste: Any) -> None:
    """A key out of a JSON file or an editor works."""
    assert jwt_bearer_request(account(paste(pem("RSA"))), NOW).body


@pytest.mark.parametrize(
    ("private_key", "algorithm"),
    [
        pytest.param(lambda: "not-a-key-but-secret", "RS256", id="no key"),
        pytest.param(lambda: pem("RSA")[:300], "RS256", id="half a key"),
        pytest.param(lambda: public_pem("RSA"), "RS256", id="public key"),
        pytest.param(lambda: public_pem("EC"), "ES256", id="public EC key"),
        pytest.param(lambda: pem("RSA", BestAvailableEncryption(b"x")), "RS256", id="passphrase"),
        pytest.param(lambda: pem("weak"), "RS256", id="1024 bits"),
        pytest.param(lambda: pem("EC"), "RS256", id="EC for RSA"),
        pytest.param(lambda: pem("RSA"), "ES256", id="RSA for EC"),
        pytest.param(lambda: pem("P-384"), "ES256", id="another curve"),
        pytest.param(lambda: pem("Ed25519"), "RS256", id="Ed25519 for RSA"),
        pytest.param(lambda: pem("RSA"), "EdDSA", id="RSA for Ed25519"),
        pytest.param(lambda: "\u00e9" * 50, "RS256", id="no ASCII"),
        pytest.param(lambda: "\x00", "RS256", id="NUL"),
    ],
)
def test_a_key_that_cannot_sign_is_refused_unquoted(private_key: Any, algorithm: str) -> None:
    """The error names the config's field, and no part of the key is in it or behind it."""
    written = private_key()
    with pytest.raises(OAuthMisconfigured) as refused:
        jwt_bearer_request(account(written, signingAlgorithm=algorithm), NOW)
    assert refused.value.details == {"field": "config.privateKey"}
    assert refused.value.__cause__ is None
    assert not any(line in str(refused.value) for line in written.split("\n") if len(line) > 8)
