"""Profiles for the tests of OAuth 2."""

from collections.abc import Mapping
from typing import Any

from credentials.model import AuthScheme, Connection
from credentials.oauth.profile import OAuthProfile, read_profile

SERVER = "https://as.example.com"
ENDPOINTS = {
    "authorizationUrl": f"{SERVER}/authorize",
    "tokenUrl": f"{SERVER}/token",
    "revocationUrl": f"{SERVER}/revoke",
    "introspectionUrl": f"{SERVER}/introspect",
    "deviceAuthorizationUrl": f"{SERVER}/device",
}
CLIENT = {"clientId": "client-1", "clientSecret": "hush-hush-secret"}
REDIRECT = "https://app.example.com/callback"


def connection(
    oauth2: Mapping[str, Any], config: Mapping[str, Any] | None = None, auth_type: str = "oauth2"
) -> Connection:
    """Make a connection whose definition has this oauth2Config."""
    return Connection(AuthScheme(auth_type), oauth2, config or {}, 1, "PENDING_AUTHENTICATION")


def profile(
    *,
    fields: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    **oauth2: Any,
) -> OAuthProfile:
    """Read a profile: usual endpoints and a client with a secret, unless told otherwise."""
    given = {**CLIENT, "redirectUri": REDIRECT} if fields is None else fields
    return read_profile(connection({**ENDPOINTS, **oauth2}, config), given)
