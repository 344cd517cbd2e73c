"""Parameters that a definition adds, and those that its server calls by other names."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from credentials.oauth.reading import Options
from credentials.oauth.urls import fill

_WIRE_NAMES: Final[Mapping[str, str]] = {
    "clientId": "client_id",
    "clientSecret": "client_secret",
    "redirectUri": "redirect_uri",
    "responseType": "response_type",
    "scope": "scope",
    "grantType": "grant_type",
    "code": "code",
    "codeVerifier": "code_verifier",
    "refreshToken": "refresh_token",
    "deviceCode": "device_code",
    "assertion": "assertion",
    "subjectToken": "subject_token",
    "audience": "audience",
    "token": "token",
}
_MAY_BE_LEFT_OUT: Final = frozenset({"responseType", "scope", "redirectUri", "clientId"})
_FIXED: Final = frozenset({"state", "code_challenge", "code_challenge_method"})
_NAME: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}")

OURS_IN_AUTHORIZATION: Final = _FIXED | {"client_id", "redirect_uri", "response_type"}
OURS_IN_TOKEN_REQUESTS: Final = frozenset(
    {
        *("client_id", "client_secret", "client_assertion", "client_assertion_type"),
        *("code", "code_verifier", "redirect_uri", "refresh_token", "device_code"),
        *("assertion", "subject_token", "actor_token", "token"),
    }
)

Pairs = list[tuple[str, str]]


def read_names(options: Options) -> Mapping[str, str]:
    """Read `paramNames`: what to call a parameter of the RFCs; empty leaves it out.

    Raises `OAuthMisconfigured`: a parameter that keeps the exchange safe stays what it is.
    """
    written = options.texts("paramNames")
    names: dict[str, str] = {}
    for name, other in written.items():
        if name not in _WIRE_NAMES:
            raise options.wrong(f"paramNames.{name}", f"is none of {', '.join(_WIRE_NAMES)}")
        if not other and name not in _MAY_BE_LEFT_OUT:
            raise options.wrong(f"paramNames.{name}", "can't be left out")
        if other and (not _NAME.fullmatch(other) or other in _FIXED):
            raise options.wrong(f"paramNames.{name}", "is no name that a parameter can have")
        names[_WIRE_NAMES[name]] = other
    _refuse_twins(options, names)
    return names


def _refuse_twins(options: Options, names: Mapping[str, str]) -> None:
    kept = [names.get(name, name) for name in _WIRE_NAMES.values()]
    twin = next((name for name in kept if name and kept.count(name) > 1), None)
    if twin is not None:
        raise options.wrong("paramNames", f"calls two parameters {twin}")


def read_additions(
    options: Options, name: str, ours: Iterable[str], config: Mapping[str, Any]
) -> Mapping[str, str]:
    """Read parameters that the definition adds; `{config.name}` in a value is filled in.

    Raises `OAuthMisconfigured` for one of `ours`, which nobody may replace.
    """
    additions = options.texts(name)
    for parameter in additions:
        if parameter in ours:
            raise options.wrong(
                f"{name}.{parameter}", "is set by the service and can't be replaced"
            )
    return {parameter: fill(value, config) for parameter, value in additions.items()}


def renamed(names: Mapping[str, str], pairs: Iterable[tuple[str, str]]) -> Pairs:
    """Call the parameters what their server calls them."""
    called = ((names.get(name, name), value) for name, value in pairs)
    return [(name, value) for name, value in called if name]
