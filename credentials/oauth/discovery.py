"""An authorization server's description of itself (RFC 8414, OpenID Connect Discovery 1.0)."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from credentials.oauth.bodies import read_object
from credentials.oauth.reading import misconfigured

_OAUTH: Final = "/.well-known/oauth-authorization-server"
_OPENID: Final = "/.well-known/openid-configuration"
_OK: Final = 200


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """Name where an issuer's metadata may be, the likeliest first.

    RFC 8414 §3.1 puts the well-known part before the issuer's path, OpenID Connect after it.
    """
    parts = urlsplit(issuer)
    origin = f"{parts.scheme}://{parts.netloc}"
    path = parts.path.rstrip("/")
    urls = (f"{origin}{_OAUTH}{path}", f"{origin}{path}{_OPENID}", f"{origin}{_OPENID}{path}")
    return tuple(dict.fromkeys(urls))


def read_metadata(issuer: str, status: int, body: bytes) -> Mapping[str, Any]:
    """Read an answer from one of these places.

    Raises `OAuthMisconfigured` when it is none, or that of another issuer (RFC 8414 §3.3).
    """
    metadata = read_object({"content-type": "application/json"}, body)
    if status != _OK or metadata is None:
        raise misconfigured("oauth2Config.issuer", f"has no metadata there (HTTP {status})")
    if metadata.get("issuer") != issuer:
        raise misconfigured("oauth2Config.issuer", "is not the issuer that its metadata names")
    return metadata
