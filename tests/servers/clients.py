"""The clients that are registered with the test servers: one for each way to authenticate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import RSAAlgorithm

Auth = Literal["client_secret_basic", "client_secret_post", "none", "private_key_jwt"]
CODE = "authorization_code"
REFRESH = "refresh_token"
MACHINE = "client_credentials"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
REDIRECT_URI = "https://app.example.test/oauth/callback"
KEY_ID = "test-key"


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client, with what it authenticates by."""

    id: str
    auth: Auth
    grants: tuple[str, ...]
    secret: str | None = None
    private_key: str | None = None  # PEM, RSA, for RS256 under KEY_ID


# Colons, signs and spaces: they arrive only when Basic is encoded as RFC 6749 section 2.3.1 says.
SECRET = "s3cret: 100%+more & /slashes=?"


@cache
def signing_key() -> rsa.RSAPrivateKey:
    """Answer the key of the clients that sign."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def clients() -> dict[str, Client]:
    """Answer the registered clients by name; the name is the client id too."""
    pem = signing_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    code = (CODE, REFRESH)
    registered = [
        Client("basic", "client_secret_basic", code, secret=SECRET),
        Client("post", "client_secret_post", code, secret=SECRET),
        Client("public", "none", code),
        Client("signer", "private_key_jwt", code, private_key=pem),
        Client("machine", "client_secret_basic", (MACHINE,), secret=SECRET),
        Client("machine-post", "client_secret_post", (MACHINE,), secret=SECRET),
        Client("machine-signer", "private_key_jwt", (MACHINE,), private_key=pem),
        Client("device", "none", (DEVICE, REFRESH)),
        Client("service-account", "none", (JWT_BEARER,), private_key=pem),
        Client("exchanger", "client_secret_basic", (TOKEN_EXCHANGE,), secret=SECRET),
    ]
    return {client.id: client for client in registered}


def metadata(client: Client, redirect_uris: Sequence[str]) -> Mapping[str, Any]:
    """Answer a client as RFC 7591 registers it."""
    by_code = CODE in client.grants
    registered: dict[str, Any] = {
        "client_id": client.id,
        "token_endpoint_auth_method": client.auth,
        "grant_types": list(client.grants),
        "response_types": ["code"] if by_code else [],
        "redirect_uris": list(redirect_uris) if by_code else [],
    }
    if client.secret:
        registered["client_secret"] = client.secret
    if client.private_key:
        public = RSAAlgorithm.to_jwk(signing_key().public_key(), as_dict=True)
        registered["jwks"] = {"keys": [{**public, "kid": KEY_ID, "alg": "RS256", "use": "sig"}]}
    return registered
