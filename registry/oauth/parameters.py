"""Parameters that a definition adds to requests, and those that its server calls otherwise."""

import re
from collections.abc import Mapping
from typing import Final

from registry.fields import Fields, did_you_mean, kind
from registry.oauth.urls import variable_problems
from registry.problems import pointer
from registry.templates import ConfigFields

_PARAMETERS: Final[Mapping[str, str]] = {
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
"""What `paramNames` may rename: its own name for each, and that of the RFCs."""

_LEFT_OUT: Final = frozenset({"responseType", "scope", "redirectUri", "clientId"})
# What binds an authorization to whoever asked for it (RFC 6749, RFC 7636).
_BINDING: Final = frozenset({"state", "code_challenge", "code_challenge_method"})
_IN_AUTHORIZATION: Final = _BINDING | {"client_id", "redirect_uri", "response_type"}
_IN_TOKEN_REQUESTS: Final = frozenset(
    {
        *("client_id", "client_secret", "client_assertion", "client_assertion_type"),
        *("code", "code_verifier", "redirect_uri", "refresh_token", "device_code"),
        *("assertion", "subject_token", "actor_token", "token"),
    }
)
_NAME: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}")


def read_parameters(oauth2: Fields, grant: str, config: ConfigFields) -> None:
    """Check `paramNames`, `additionalParameters` and `tokenParameters`."""
    names = _read_names(oauth2)
    # Some servers have a name of their own for the grant of client credentials.
    typed = set() if grant == "client_credentials" else {"grant_type"}
    for group, ours in (
        ("additionalParameters", _IN_AUTHORIZATION),
        ("tokenParameters", _IN_TOKEN_REQUESTS | typed),
    ):
        taken = ours | {names.get(name, name) for name in ours}
        for name, value in oauth2.items(group):
            at = oauth2.at(group) + pointer(name)
            if name in taken:
                oauth2.findings.refuse(at, "is set by the service itself")
            elif not isinstance(value, str):
                oauth2.findings.refuse(at, f"must be a text, not {kind(value)}")
            else:
                for problem in variable_problems(value, config):
                    oauth2.findings.refuse(at, problem)


def _read_names(oauth2: Fields) -> Mapping[str, str]:
    """Answer what parameters are called, by their names in the RFCs."""
    names: dict[str, str] = {}
    for name, called in oauth2.items("paramNames"):
        if problem := _name_problem(name, called):
            oauth2.findings.refuse(oauth2.at("paramNames") + pointer(name), problem)
        else:
            names[_PARAMETERS[name]] = called
    kept = [names.get(name, name) for name in _PARAMETERS.values()]
    twins = sorted({name for name in kept if name and kept.count(name) > 1})
    if twins:
        oauth2.refuse("paramNames", f"calls two parameters {twins[0]}")
    return names


def _name_problem(name: str, called: object) -> str:
    if name not in _PARAMETERS:
        hint = did_you_mean(name, _PARAMETERS)
        return f"is no parameter that has other names; these are {', '.join(_PARAMETERS)}{hint}"
    if not isinstance(called, str):
        return f"must be a text, not {kind(called)}"
    if not called:
        return "" if name in _LEFT_OUT else "cannot be left out"
    if not _NAME.fullmatch(called) or called in _BINDING:
        return "is called what no parameter can be called"
    return ""
