"""Where things stand in an answer, and what is taken out of it into the config.

A path is names joined by dots (`authed_user.access_token`); a whole number counts in a list.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import jsonschema_rs

from credentials.oauth.reading import Options

Paths = tuple[str, ...]

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST: Final = 1024
_SECRETS: Final = frozenset(
    {"access_token", "refresh_token", "id_token", "client_secret", "code", "device_code"}
)


class Pattern(Protocol):
    """Tells whether a value is as the definition wants it."""

    def is_valid(self, value: Any) -> bool:
        """Tell whether it is."""
        ...


@dataclass(frozen=True, slots=True)
class Capture:
    """Takes the value at `path` into the config's field `name`, if it matches `pattern` wholly."""

    name: str
    path: str
    pattern: Pattern | None = None

    def of(self, value: Any) -> str | None:
        """Answer what is to be kept of a value; None when it is none that may be kept."""
        if isinstance(value, bool) or not isinstance(value, str | int):
            return None
        text = str(value)
        if not 0 < len(text) <= _LONGEST or _CONTROL.search(text):
            return None
        return text if self.pattern is None or self.pattern.is_valid(text) else None


@dataclass(frozen=True, slots=True)
class TokenPaths:
    """Where a token answer has what: of several paths the first that leads somewhere counts."""

    access_token: Paths = ("access_token",)
    refresh_token: Paths = ("refresh_token",)
    expires_in: Paths = ("expires_in",)
    refresh_expires_in: Paths = (
        *("refresh_token_expires_in", "refresh_expires_in", "x_refresh_token_expires_in"),
    )
    scope: Paths = ("scope",)
    error: Paths = ("error",)


def read_token_paths(options: Options) -> TokenPaths:
    """Read `tokenResponse`; raises `OAuthMisconfigured`.

    A path comes before the usual places, not instead of them: Slack has the token of a user inside
    at first, and outside when it was refreshed.
    """
    inner = options.inner("tokenResponse")
    usual = TokenPaths()
    return TokenPaths(
        access_token=(*_path(inner, "accessToken"), *usual.access_token),
        refresh_token=(*_path(inner, "refreshToken"), *usual.refresh_token),
        expires_in=(*_path(inner, "expiresIn"), *usual.expires_in),
        refresh_expires_in=(*_path(inner, "refreshExpiresIn"), *usual.refresh_expires_in),
        scope=(*_path(inner, "scope"), *usual.scope),
        error=(*_path(inner, "error"), *usual.error),
    )


def _path(inner: Options, name: str) -> Paths:
    if not inner.has(name):
        return ()
    if not inner.text(name):
        raise inner.wrong(name, "must be a path")
    return (inner.text(name),)


def read_captures(options: Options, name: str, paths: TokenPaths) -> tuple[Capture, ...]:
    """Read `captureFromToken` or `captureFromCallback`; raises `OAuthMisconfigured`.

    What is captured goes into the config, which is no secret: a token can't be.
    """
    captures = options.inner(name)
    members = options.members(name)
    read = [_read_capture(captures, field, rule) for field, rule in members]
    forbidden = _SECRETS.union(paths.access_token, paths.refresh_token)
    for capture in read:
        if capture.path in forbidden or capture.path.rpartition(".")[2] in _SECRETS:
            raise captures.wrong(capture.name, "would put a secret into the config")
    return tuple(read)


def _read_capture(captures: Options, field: str, rule: Any) -> Capture:
    if isinstance(rule, str):
        path, pattern = rule, ""
    else:
        inner = captures.inner(field)
        path, pattern = inner.text("path"), inner.text("pattern")
    if not path:
        raise captures.wrong(field, "must be a path, or have one")
    return Capture(field, path, _compiled(captures, field, pattern) if pattern else None)


def _compiled(captures: Options, field: str, pattern: str) -> Pattern:
    """Compile a pattern for an engine whose time is linear: definitions come from anybody."""
    schema = {"type": "string", "pattern": rf"\A(?:{pattern})\z"}
    try:
        return jsonschema_rs.validator_for(schema, pattern_options=jsonschema_rs.RegexOptions())
    except ValueError:
        problem = "has a pattern that is no regular expression, or one with look-around"
        raise captures.wrong(field, problem) from None


def at(value: Any, path: str) -> Any:
    """Answer what stands at a path; None where nothing does."""
    for name in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and name.isascii() and len(name) < 6:  # noqa: PLR2004
            value = value[int(name)] if int(name) < len(value) else None
        else:
            return None
    return value


def without(value: Any, path: str) -> Any:
    """Answer the value without what stands at a path; what is given stays as it is."""
    name, _, rest = path.partition(".")
    if not isinstance(value, Mapping) or name not in value:
        return value
    if rest:
        return {**value, name: without(value[name], rest)}
    return {key: kept for key, kept in value.items() if key != name}
