"""The visit of a user's browser to the authorization server: its start and its end."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from credentials.errors import AuthorizationRefused
from credentials.oauth.names import renamed
from credentials.oauth.profile import OAuthProfile
from credentials.oauth.reading import misconfigured
from credentials.oauth.texts import code_text, plain_text
from credentials.oauth.urls import is_loopback, split

_VERIFIER_BYTES: Final = 48  # 64 characters of base64url
_LONGEST_CODE: Final = 8192
Parameters = Mapping[str, str | list[str]]


@dataclass(frozen=True, slots=True, repr=False)
class Callback:
    """What the browser brought back: a code, and what goes into the config. Never printed."""

    code: str
    captured: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return "Callback(***)"


def new_verifier() -> str:
    """Make a PKCE verifier of 384 random bits (RFC 7636 §4.1)."""
    return secrets.token_urlsafe(_VERIFIER_BYTES)


def challenge(verifier: str) -> str:
    """Answer the S256 challenge of a verifier (RFC 7636 §4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def authorization_url(profile: OAuthProfile, redirect_uri: str, state: str, verifier: str) -> str:
    """Answer where to send the user's browser (RFC 6749 §4.1.1, RFC 7636 §4.3).

    What the URL has in its query already stays, before everything else. Raises
    `OAuthMisconfigured`.
    """
    if not profile.authorization_url:
        raise misconfigured("oauth2Config.authorizationUrl", "is missing; the user is sent there")
    first = {
        "client_id": profile.client_id,
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "scope": profile.scope,
    }
    last = {"state": state}
    if profile.pkce:
        last |= {"code_challenge": challenge(verifier), "code_challenge_method": "S256"}
    standard = renamed(
        profile.param_names, ((name, value) for name, value in first.items() if value)
    )
    parameters = {**dict(standard), **profile.additional_parameters, **last}
    parts = urlsplit(profile.authorization_url)
    there = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, value) for name, value in there if name not in parameters]
    query = urlencode([*kept, *parameters.items()], quote_via=quote, safe="")
    return parts._replace(query=query).geturl()


def check_redirect(profile: OAuthProfile, redirect_uri: str) -> str:
    """Answer the redirect URI to use: the one given, or the only one there is.

    It must be, character for character, one of the config's (RFC 9700 §2.1), and https unless it
    leads to the user's own machine. Raises `OAuthMisconfigured`.
    """
    allowed = profile.redirect_uris
    if not allowed:
        raise misconfigured("config.redirectUri", "is missing; the user comes back there")
    chosen = redirect_uri or (allowed[0] if len(set(allowed)) == 1 else "")
    if chosen not in allowed:
        raise misconfigured("redirectUri", "must be exactly one of those in the instance's config")
    parts = split(chosen)
    if parts is None or parts.fragment:
        raise misconfigured(
            "config.redirectUri", "must be an absolute URL without user and fragment"
        )
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise misconfigured("config.redirectUri", "must be https; plain http is for loopback alone")
    return chosen


def read_callback(profile: OAuthProfile, parameters: Parameters) -> Callback:
    """Read what the browser brought back (RFC 6749 §4.1.2, RFC 9207).

    Raises `AuthorizationRefused`: for an error of the server's, for another server's answer, for a
    parameter that stands twice, and where the code or a value to capture is not usable.
    """
    single = {name: _single(name, value) for name, value in parameters.items()}
    _check_issuer(profile, single.get("iss", ""))
    if single.get("error"):
        error = code_text(single["error"])
        description = plain_text(single.get("error_description", ""), profile.secrets)
        raise AuthorizationRefused(
            f"The authorization server refused: {description or error}",
            error=error,
            description=description,
        )
    code = single.get(profile.code_param, "")
    if not 0 < len(code) <= _LONGEST_CODE or not code.isprintable():
        raise _unusable("missing_code", f"The callback has no usable {profile.code_param}")
    return Callback(code, _captured(profile, single))


def _single(name: str, value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    if len(values) != 1:
        raise _unusable("duplicate_parameter", f"{code_text(name)} must stand once in the callback")
    if not isinstance(values[0], str):
        raise _unusable("invalid_parameter", f"{code_text(name)} must be a text")
    return values[0]


def _check_issuer(profile: OAuthProfile, issuer: str) -> None:
    """Refuse the answer of another server, to whom our code would go otherwise (mix-up)."""
    if not profile.issuer or (not issuer and not profile.requires_iss):
        return
    if issuer != profile.issuer:
        raise _unusable("invalid_issuer", "The callback is not from the issuer of this definition")


def _captured(profile: OAuthProfile, parameters: Mapping[str, str]) -> Mapping[str, str]:
    captured: dict[str, str] = {}
    for capture in profile.capture_from_callback:
        found = parameters.get(capture.path)
        if found is None:
            continue
        value = capture.of(found)
        if value is None:
            raise _unusable("invalid_parameter", f"{capture.path} in the callback has a wrong form")
        captured[capture.name] = value
    return captured


def _unusable(error: str, description: str) -> AuthorizationRefused:
    return AuthorizationRefused(description, error=error, description=description)
