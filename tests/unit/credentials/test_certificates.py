"""Certificates that clients show in TLS."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from credentials.errors import CredentialsIncomplete, InvalidCredentials
from credentials.model import (
    Authorization,
    AuthScheme,
    CertificateFields,
    ClientCertificate,
    OutgoingRequest,
    Signing,
)
from credentials.schemes import authorize, token_authorization, with_certificate
from tests.pki import Authority, key_pem, new_key

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
REQUEST = OutgoingRequest("GET", "https://api.example.com/contacts")
NAMES = CertificateFields("pem", "pemKey")
AUTHORITY = Authority()
PEM, KEY = AUTHORITY.issue("client")
FIELDS = {"pem": PEM, "pemKey": KEY, "apiKey": "k"}
PAIR = ClientCertificate(PEM, KEY)


@pytest.mark.parametrize(
    "scheme",
    [
        AuthScheme("none", certificate=NAMES),
        AuthScheme("api_key", certificate=NAMES),
        AuthScheme("custom", headers=(("X-Key", "{apiKey}"),), certificate=NAMES),
        AuthScheme("hmac", signing=Signing("{body}"), certificate=NAMES),
    ],
)
def test_any_scheme_may_show_a_certificate(scheme: AuthScheme) -> None:
    """The certificate comes beside what the scheme puts into the request, which stays the same."""
    made = authorize(scheme, FIELDS, REQUEST, NOW)
    assert made.certificate == PAIR
    assert bool(made.headers) is (scheme.type != "none")


def test_a_token_may_come_with_a_certificate() -> None:
    """So it is with tokens; a scheme without a certificate adds none."""
    scheme = AuthScheme("oauth2", certificate=NAMES)
    token = token_authorization(scheme, "t", "Bearer", 3, None)
    assert with_certificate(token, scheme, FIELDS) == Authorization(
        (("Authorization", "Bearer t"),), generation=3, certificate=PAIR
    )
    assert with_certificate(token, AuthScheme("oauth2"), {}) is token
    with pytest.raises(CredentialsIncomplete) as caught:
        with_certificate(token, scheme, {"pem": PEM})
    assert caught.value.details == {"fields": ["pemKey"]}


def test_a_chain_begins_with_the_client() -> None:
    """Certificates of authorities may follow; the other way round the key does not fit."""
    made = _shown(PEM + AUTHORITY.certificate, KEY)
    assert made.certificate == ClientCertificate(PEM + AUTHORITY.certificate, KEY)
    with pytest.raises(InvalidCredentials) as caught:
        _shown(AUTHORITY.certificate + PEM, KEY)
    assert caught.value.details == {"field": "pemKey"}


def _shown(pem: Any, key: Any) -> Authorization:
    scheme = AuthScheme("none", certificate=NAMES)
    return authorize(scheme, {"pem": pem, "pemKey": key}, REQUEST, NOW)


def _encrypted() -> str:
    key = new_key()
    locked = BestAvailableEncryption(b"pass")
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked).decode()


def _rsa() -> str:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _ed25519() -> str:
    key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    "key",
    [
        lambda: key_pem(new_key()),
        _encrypted,
        _rsa,
        _ed25519,
        lambda: PEM,
        lambda: KEY[: len(KEY) // 2],
        lambda: "not PEM",
        lambda: "",
        lambda: "\ud800",
        lambda: 5,
    ],
    ids=["another's", "encrypted", "rsa", "ed25519", "none", "cut", "text", "", "surrogate", "int"],
)
def test_keys_that_do_not_fit(key: Callable[[], Any]) -> None:
    """A key that is none, or somebody else's, is named by its field; nothing of it is shown."""
    text = key()
    with pytest.raises(InvalidCredentials) as caught:
        _shown(PEM, text)
    assert caught.value.details == {"field": "pemKey"}
    assert caught.value.__cause__ is None
    assert "BEGIN" not in caught.value.message


@pytest.mark.parametrize(
    "pem",
    [KEY, "", "not PEM", PEM.replace("M", "é"), PEM[: len(PEM) // 2], "\ud800", None.__class__],
)
def test_certificates_that_are_none(pem: Any) -> None:
    """What is no certificate is named by its field."""
    with pytest.raises(InvalidCredentials) as caught:
        _shown(pem, KEY)
    assert caught.value.details == {"field": "pem"}


def test_nothing_of_it_is_printed() -> None:
    """A representation shows neither the certificate nor the key."""
    made = _shown(PEM, KEY)
    assert "PRIVATE" not in repr(made) + repr(made.certificate)
    assert "CERTIFICATE" not in repr(made) + repr(made.certificate)
