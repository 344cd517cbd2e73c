"""The grants of OAuth 2, and what each cannot do without."""

from collections.abc import Mapping
from typing import Any, Final

GRANTS: Final = (
    *("authorization_code", "device_code", "token_exchange", "client_credentials", "jwt_bearer"),
)
GRANTS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "oauth2": GRANTS,
    "oauth2_client_credentials": ("client_credentials",),
    "jwt_bearer": ("jwt_bearer",),
}
"""The grants of each auth type, the usual one first."""

_CONSENTED: Final = frozenset({"authorization_code", "device_code"})
_ENDPOINTS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "authorization_code": ("authorizationUrl", "tokenUrl"),
    "device_code": ("deviceAuthorizationUrl", "tokenUrl"),
}


def usual_grant(auth_type: str) -> str:
    """Answer the grant of an auth type where none is named, nothing where it has none."""
    return GRANTS_OF.get(auth_type, ("",))[0]


def endpoints(grant: str) -> tuple[str, ...]:
    """Answer the endpoints that a grant cannot do without."""
    return _ENDPOINTS_OF.get(grant, ("tokenUrl",))


def awaits_consent(auth_type: str, oauth2: Mapping[str, Any] | None) -> bool:
    """Tell whether somebody has to give consent before an instance can be used."""
    usual = usual_grant(auth_type)
    return bool(usual) and (oauth2 or {}).get("grant", usual) in _CONSENTED
