"""Where a token answer has what, and what is taken out of answers into the config."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import jsonschema_rs

from registry.fields import Fields
from registry.problems import pointer
from registry.templates import ConfigFields

_GROUPS: Final = ("captureFromToken", "captureFromCallback")
_ANSWERED: Final = (
    *("accessToken", "refreshToken", "expiresIn", "refreshExpiresIn", "scope", "error"),
)
_SECRETS: Final = frozenset(
    {"access_token", "refresh_token", "id_token", "client_secret", "code", "device_code"}
)
_GIVEN: Final = frozenset({"clientId", "redirectUri", "redirectUris", "scope", "audience"})
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_PATH: Final = re.compile(r"[^.\x00-\x20\x7f]+(?:\.[^.\x00-\x20\x7f]+)*")
_LONGEST_PATTERN: Final = 500


def captured_fields(oauth2: Any) -> tuple[str, ...]:
    """Answer the fields of the config that the API tells when somebody connects."""
    groups = _GROUPS if isinstance(oauth2, Mapping) else ()
    found = [oauth2[group] for group in groups if isinstance(oauth2.get(group), Mapping)]
    return tuple(dict.fromkeys(name for group in found for name in group))


def read_answer(oauth2: Fields, config: ConfigFields) -> None:
    """Check `tokenResponse`, and the captures: what is captured is no secret."""
    answer = oauth2.inner("tokenResponse")
    tokens = set(_SECRETS)
    for name in _ANSWERED if answer else ():
        path = _read_path(answer, name) if answer else ""
        if name in {"accessToken", "refreshToken"}:
            tokens.add(path)
    if answer:
        answer.rest(())
    for group in _GROUPS:
        for name, where in oauth2.items(group):
            at = oauth2.at(group) + pointer(name)
            problems = (*_field_problems(name, config), *_place_problems(where, tokens))
            for problem in problems:
                oauth2.findings.refuse(at, problem)


def _read_path(answer: Fields, name: str) -> str:
    path = answer.text(name)
    if answer.has(name) and isinstance(answer.raw(name), str) and not _PATH.fullmatch(path):
        answer.refuse(name, "must be the path of a member, such as authed_user.access_token")
    return path


def _field_problems(name: str, config: ConfigFields) -> Iterator[str]:
    if not _FIELD.fullmatch(name):
        yield "is no name of a field: letters, digits and underscores, no digit first"
    elif config.hides(name):
        yield "is secret, and what is captured is not; give the field another name"
    elif name in _GIVEN:
        yield "is given by whoever makes the instance, and by nobody else"


def _place_problems(where: Any, tokens: Collection[str]) -> Iterator[str]:
    path = where.get("path") if isinstance(where, Mapping) else where
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        yield "must be the path of a value, or an object with path and pattern"
    elif path in tokens or path.rpartition(".")[2] in _SECRETS:
        yield "would put a secret into the config, which is none"
    if isinstance(where, Mapping):
        yield from _pattern_problems(where)


def _pattern_problems(where: Mapping[str, Any]) -> Iterator[str]:
    unknown = sorted(set(where) - {"path", "pattern"})
    if unknown:
        yield f"has fields that are not known: {', '.join(unknown)[:80]}"
    pattern = where.get("pattern", "")
    if not isinstance(pattern, str) or len(pattern) > _LONGEST_PATTERN:
        yield f"needs a pattern that is a text of at most {_LONGEST_PATTERN} characters"
    elif not _compiles(pattern):
        yield "has a pattern that is no regular expression, or one with look-around"


def _compiles(pattern: str) -> bool:
    """Ask an engine whose time is linear: definitions come from anybody."""
    schema = {"type": "string", "pattern": rf"\A(?:{pattern})\z"}
    try:
        jsonschema_rs.validator_for(schema, pattern_options=jsonschema_rs.RegexOptions())
    except ValueError:
        return False
    return True
