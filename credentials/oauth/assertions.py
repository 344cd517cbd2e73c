"""Signed assertions in the place of a grant or a client secret (RFC 7523), made by PyJWT."""

from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from credentials.errors import OAuthMisconfigured
from credentials.oauth.profile import OAuthProfile
from credentials.oauth.reading import misconfigured

BACKDATED: Final = 30  # seconds: a server whose clock is behind ours must not see the future
LIFETIME: Final = 180  # seconds from `iat`; Salesforce takes no more


def grant_assertion(profile: OAuthProfile, now: datetime) -> str:
    """Make the assertion that is a grant (RFC 7523 §2.1): for `subject`, by `client_id`.

    The scope is a claim of it too, as Google wants it. Raises `OAuthMisconfigured`.
    """
    claims: dict[str, Any] = {
        "iss": profile.client_id,
        "aud": profile.audience or profile.token_url,
    }
    if profile.subject:
        claims["sub"] = profile.subject
    if profile.scope:
        claims["scope"] = profile.scope
    return _signed(profile, {**profile.assertion_claims, **claims}, now)


def client_assertion(profile: OAuthProfile, now: datetime) -> str:
    """Make the assertion that says who the client is (RFC 7523 §2.2).

    It is for the issuer, where one is known, else for the token endpoint. Raises
    `OAuthMisconfigured`.
    """
    claims = {
        "iss": profile.client_id,
        "sub": profile.client_id,
        "aud": profile.issuer or profile.token_url,
    }
    return _signed(profile, claims, now)


def _signed(profile: OAuthProfile, claims: dict[str, Any], now: datetime) -> str:
    issued_at = int(now.timestamp()) - BACKDATED
    payload = {**claims, "iat": issued_at, "exp": issued_at + LIFETIME, "jti": uuid4().hex}
    headers = {"kid": profile.key_id} if profile.key_id else None
    signer = jwt.PyJWT({"enforce_minimum_key_length": True})
    try:
        key = load_pem_private_key(_pem(profile.private_key), password=None)
        if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey):
            raise _unfit(profile)
        return signer.encode(payload, key, profile.signing_algorithm, headers)
    except (jwt.PyJWTError, ValueError, TypeError, UnsupportedAlgorithm):
        raise _unfit(profile) from None


def _unfit(profile: OAuthProfile) -> OAuthMisconfigured:
    return misconfigured(
        "config.privateKey",
        "must be a private key in PEM, without a passphrase and long enough, "
        f"of the kind that {profile.signing_algorithm} needs",
    )


def _pem(key: str) -> bytes:
    r"""Read a key as people paste it: with `\n` for the ends of its lines."""
    return key.replace("\\n", "\n").strip().encode()
