"""What authorization servers answer, read with patience: a token that is there is never missed.

A refresh token that rotates is spent by the time its answer arrives, so nothing in an answer but
the lack of a token makes it a refusal: neither an odd lifetime nor another scope than asked for.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeGuard

import orjson

from credentials.oauth.bodies import LARGEST, read_object
from credentials.oauth.paths import Paths, at, without
from credentials.oauth.profile import OAuthProfile
from credentials.oauth.spans import LONGEST, lifetime, number, retry_after
from credentials.oauth.texts import UNREADABLE, code_text, plain_text
from credentials.oauth.urls import split

_LONGEST_TOKEN: Final = 16 * 1024
_LARGEST_EXTRAS: Final = 64 * 1024
_DEEPEST_EXTRAS: Final = 32
_ACCESS_TOKEN: Final = re.compile(rf"[\x21-\x7e]{{1,{_LONGEST_TOKEN}}}")
_REFRESH_TOKEN: Final = re.compile(rf"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,{_LONGEST_TOKEN}}}")
_TOKEN_TYPE: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}")  # RFC 9110 §11.1
_GRANT_IS_GONE: Final = frozenset(
    {
        "invalid_grant",  # RFC 6749 §5.2
        *("bad_refresh_token", "bad_verification_code"),  # GitHub
        *("invalid_refresh_token", "token_revoked", "account_inactive"),  # Slack
        "invalid_code",  # Zoho
        *("interaction_required", "login_required", "consent_required"),  # Microsoft
        "expired_token",  # RFC 8628 §3.5
    }
)
_CLIENT_IS_WRONG: Final = frozenset(
    {
        *("invalid_client", "unauthorized_client", "invalid_request"),  # RFC 6749 §5.2
        *("unsupported_grant_type", "invalid_scope"),
        "invalid_target",  # RFC 8707 §2
        *("incorrect_client_credentials", "redirect_uri_mismatch"),  # GitHub
        *("bad_client_secret", "invalid_client_id"),  # Slack
    }
)
_NO_ERROR: Final = frozenset({"", "0", "ok", "none", "null", "false", "success"})
_CODE_NAMES: Final = ("error", "type", "status", "code")
_DESCRIPTION_NAMES: Final = ("error_description", "error_message", "message", "error_msg")
_USER_CODE: Final = re.compile(r"[\x20-\x7e]{1,64}")
_SCOPE: Final = re.compile(r"[\x20-\x7e]{0,8192}")
_OK: Final = range(200, 300)
_TOO_MANY: Final = 429
_SERVER_ERRORS: Final = 500
_INTERVAL: Final = 5.0  # seconds (RFC 8628 §3.2)
_LONGEST_INTERVAL: Final = 300.0
_DEVICE_LIFETIME: Final = 600.0


@dataclass(frozen=True, slots=True, repr=False)
class TokenAnswer:
    """New tokens. Never printed. Lifetimes are seconds from the answer; None: it says nothing.

    `refresh_token` None: the old one stays. `access_token` may be empty, where only the refresh
    token can be used: that one has to be kept all the same. `captured` goes into the config;
    `extras` is whatever else the answer had, as JSON values, at most 64 KiB.
    """

    access_token: str
    refresh_token: str | None = None
    token_type: str = "Bearer"  # noqa: S105 - RFC 6750
    scope: str = ""
    expires_in: float | None = None
    refresh_expires_in: float | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
    captured: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return "TokenAnswer(***)"


@dataclass(frozen=True, slots=True)
class TokenRefusal:
    """No token, and why.

    `error` is the server's code, or one of ours: `http_503`, `no_token`, `answer_too_large`,
    `unreadable`. `permanent`: the grant is gone, and only its owner can give another.
    `client_fault`: the client's registration or the request is wrong, and stays so until the config
    changes. Neither: it may work later, after `retry_after` seconds where the server said so.
    """

    error: str
    description: str = ""
    permanent: bool = False
    client_fault: bool = False
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, repr=False)
class DeviceAnswer:
    """The codes of a device authorization (RFC 8628 §3.2). Never printed. Spans are seconds."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: float
    interval: float

    def __repr__(self) -> str:
        return "DeviceAnswer(***)"


def read_token_answer(
    profile: OAuthProfile, status: int, headers: Mapping[str, str], body: bytes
) -> TokenAnswer | TokenRefusal:
    """Read what a token endpoint answered (RFC 6749 §5); header names in lower case. Never raises.

    A 2xx answer with a usable access or refresh token is an answer, whatever else it says.
    """
    answer = read_object(headers, body)
    if answer is not None and status in _OK:
        paths = profile.token_paths
        access = _token(answer, paths.access_token, _ACCESS_TOKEN)
        refresh = _token(answer, paths.refresh_token, _REFRESH_TOKEN)
        if access or refresh:
            return _tokens(profile, headers, answer, (access, refresh))
    return _refusal(profile, status, headers, answer, len(body))


def read_device_answer(
    profile: OAuthProfile, status: int, headers: Mapping[str, str], body: bytes
) -> DeviceAnswer | TokenRefusal:
    """Read what a device authorization endpoint answered (RFC 8628 §3.2). Never raises."""
    answer = read_object(headers, body) or {}
    device_code = _token(answer, ("device_code",), _REFRESH_TOKEN)
    user_code = _token(answer, ("user_code",), _USER_CODE)
    uri = _page(answer.get("verification_uri") or answer.get("verification_url"))
    if status not in _OK or not device_code or not user_code or not uri:
        return _refusal(profile, status, headers, answer, len(body))
    interval = number(answer.get("interval"))
    lasts = lifetime(answer.get("expires_in"), "s", headers)
    return DeviceAnswer(
        device_code=device_code,
        user_code=user_code,
        verification_uri=uri,
        verification_uri_complete=_page(answer.get("verification_uri_complete")),
        expires_in=_DEVICE_LIFETIME if lasts is None else lasts,
        interval=_INTERVAL if interval is None else min(max(interval, 1.0), _LONGEST_INTERVAL),
    )


def read_introspection(status: int, body: bytes, now: datetime) -> float | None:
    """Answer the seconds that a token still has (RFC 7662 §2.2). Never raises.

    0: it has none, or is not active. None: the answer doesn't say.
    """
    answer = read_object({"content-type": "application/json"}, body)
    if status not in _OK or answer is None or "active" not in answer:
        return None
    if answer["active"] is not True:
        return 0.0
    end = number(answer.get("exp"))
    return None if end is None else min(max(end - now.timestamp(), 0.0), LONGEST)


def _token(answer: Mapping[str, Any], paths: Paths, form: re.Pattern[str]) -> str:
    found = (at(answer, path) for path in paths)
    usable = (value for value in found if isinstance(value, str) and form.fullmatch(value))
    return next(usable, "")


def _first(answer: Mapping[str, Any], paths: Paths) -> Any:
    found = (at(answer, path) for path in paths)
    return next((value for value in found if value is not None), None)


def _tokens(
    profile: OAuthProfile,
    headers: Mapping[str, str],
    answer: Mapping[str, Any],
    tokens: tuple[str, str],
) -> TokenAnswer:
    paths = profile.token_paths
    unit = profile.expires_in_unit
    expires_in = lifetime(_first(answer, paths.expires_in), unit, headers)
    refresh_unit = "s" if unit == "absolute" else unit
    refresh_expires_in = lifetime(_first(answer, paths.refresh_expires_in), refresh_unit, headers)
    token_type = answer.get("token_type")
    found = ((rule.name, rule.of(at(answer, rule.path))) for rule in profile.capture_from_token)
    return TokenAnswer(
        access_token=tokens[0],
        refresh_token=tokens[1] or None,
        token_type=token_type if _is_token_type(token_type) else "Bearer",
        scope=_scope(_first(answer, paths.scope)),
        expires_in=profile.default_expires_in if expires_in is None else expires_in,
        refresh_expires_in=refresh_expires_in or None,  # 0: for ever (Keycloak's offline tokens)
        extras=_extras(profile, answer),
        captured={  # not a token, by whatever path: the config is no secret
            name: value for name, value in found if value is not None and value not in tokens
        },
    )


def _is_token_type(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and _TOKEN_TYPE.fullmatch(value) is not None


def _scope(value: Any) -> str:
    if isinstance(value, list):
        value = " ".join(scope for scope in value if isinstance(scope, str))
    return value if isinstance(value, str) and _SCOPE.fullmatch(value) else ""


def _extras(profile: OAuthProfile, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Keep what else there is, so far as every store can keep it."""
    rest: Any = answer
    paths = profile.token_paths
    for path in (*paths.access_token, *paths.refresh_token, *paths.expires_in, "token_type"):
        rest = without(rest, path)
    extras: dict[str, Any] = {}
    room = _LARGEST_EXTRAS
    for name, value in rest.items():
        data = _portable({name: value})
        if data is not None and len(data) <= room:
            extras |= orjson.loads(data)
            room -= len(data)
    return extras


def _portable(value: Any) -> bytes | None:
    """Write JSON that every store can keep; None for a lone surrogate, or beyond 64 bits."""
    try:
        return orjson.dumps(value) if _is_shallow(value, _DEEPEST_EXTRAS) else None
    except TypeError:
        return None


def _is_shallow(value: Any, levels: int) -> bool:
    children = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        return True
    return levels > 0 and all(_is_shallow(child, levels - 1) for child in children)


def _refusal(
    profile: OAuthProfile,
    status: int,
    headers: Mapping[str, str],
    answer: Mapping[str, Any] | None,
    size: int,
) -> TokenRefusal:
    error, description = _reason(profile, answer or {})
    if not error:
        error = "answer_too_large" if size > LARGEST else _own_code(status)
    known = error.lower()
    decided = status < _SERVER_ERRORS and status != _TOO_MANY
    return TokenRefusal(
        error=error,
        description=description,
        permanent=decided and known in _GRANT_IS_GONE,
        client_fault=decided and (known in _CLIENT_IS_WRONG or error == "http_401"),
        retry_after=retry_after(headers),
    )


def _own_code(status: int) -> str:
    return "no_token" if status in _OK else f"http_{status}"


def _reason(profile: OAuthProfile, answer: Mapping[str, Any]) -> tuple[str, str]:
    """Find the error's code and its description: flat as in RFC 6749 §5.2, or an object."""
    paths = profile.token_paths
    told = (at(answer, path) for path in paths.error)
    error = next((value for value in told if _says_something(value)), None)
    inner = error if isinstance(error, Mapping) else answer
    if inner is error:
        error = next((inner[name] for name in _CODE_NAMES if inner.get(name)), UNREADABLE)
    code = code_text(error) if _says_something(error) else ""
    described = next((inner[name] for name in _DESCRIPTION_NAMES if inner.get(name)), "")
    if code == UNREADABLE and not described:
        described = error
    tokens = [
        _token(answer, where, _REFRESH_TOKEN) for where in (paths.access_token, paths.refresh_token)
    ]
    return code, plain_text(described, (*profile.secrets, *tokens))


def _says_something(error: Any) -> bool:
    if error is None or isinstance(error, list):
        return False
    return isinstance(error, Mapping) or str(error).lower() not in _NO_ERROR


def _page(value: Any) -> str:
    """Answer a URL that a user can be sent to; nothing for a script or a file."""
    return value if isinstance(value, str) and split(value) is not None else ""
