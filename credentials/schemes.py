"""How each auth type shows credentials in a request: a table, and no I/O.

Values that end in a header are visible ASCII with blanks only inside (the safe part of RFC 9110
§5.5), so nothing that a user stores can add a header of its own.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from credentials.errors import (
    CredentialsIncomplete,
    InvalidCredentials,
    SchemeInvalid,
    SchemeNotAvailable,
)
from credentials.model import Authorization, AuthScheme

_VISIBLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_VISIBLE_WORD = re.compile(r"[\x21-\x7e]+")
_COOKIE_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")  # RFC 6265 §4.1.1
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
_PREFIX = re.compile(r"(?:[\x21-\x7e][\x20-\x7e]*)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Method:
    """One auth type: the fields it cannot do without, and what it makes of them."""

    required: Callable[[AuthScheme], tuple[str, ...]]
    authorize: Callable[[AuthScheme, _Fields], Authorization]


@lru_cache(maxsize=1_000)  # every request asks, and there are as many schemes as definitions
def required_fields(scheme: AuthScheme) -> tuple[str, ...]:
    """Name the fields that the scheme cannot do without; none: it needs no credentials at all.

    Raises `SchemeNotAvailable`.
    """
    return _method(scheme).required(scheme)


def authorize(scheme: AuthScheme, fields: Mapping[str, Any]) -> Authorization:
    """Make of an instance's fields what is to be added to a request.

    `api_key` puts `prefix` and the key in a header, or the bare key in the query or a cookie;
    `basic` is RFC 7617 in UTF-8; `bearer` is RFC 6750, in any of the three places.

    Raises `SchemeNotAvailable`, `SchemeInvalid`, `CredentialsIncomplete`, `InvalidCredentials`.
    """
    method = _method(scheme)
    missing = [name for name in method.required(scheme) if fields.get(name) is None]
    if missing:
        raise CredentialsIncomplete(
            f"Credentials lack {', '.join(map(repr, missing))}, which {scheme.type} needs",
            fields=missing,
        )
    return method.authorize(scheme, fields)


def _method(scheme: AuthScheme) -> _Method:
    method = _METHODS.get(scheme.type)
    if method is None:
        raise SchemeNotAvailable(
            f"Auth type {scheme.type!r} is not available in this release; "
            f"these are: {', '.join(_METHODS)}",
            type=scheme.type,
            available=list(_METHODS),
        )
    return method


def _text(fields: _Fields, name: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        raise InvalidCredentials(f"Credentials field {name!r} must be text", field=name)
    return value


def _matching(pattern: re.Pattern[str], value: str, name: str, rule: str) -> str:
    if pattern.fullmatch(value) is None:
        raise InvalidCredentials(f"Credentials field {name!r} must be {rule}", field=name)
    return value


def _without_controls(value: str, name: str) -> str:
    if _CONTROL.search(value) is not None:
        message = f"Credentials field {name!r} must not hold control characters"
        raise InvalidCredentials(message, field=name)
    return value


def _checked_name(scheme: AuthScheme) -> str:
    if _TOKEN.fullmatch(scheme.name) is None:
        message = f"{scheme.name!r} cannot be the name of a {scheme.location}"
        raise SchemeInvalid(message, property="name")
    return scheme.name


def _none(_scheme: AuthScheme, _fields: _Fields) -> Authorization:
    return Authorization()


def _in_header(scheme: AuthScheme, key: str) -> Authorization:
    if _PREFIX.fullmatch(scheme.prefix) is None:
        raise SchemeInvalid("The prefix must be visible ASCII", property="prefix")
    value = _matching(_VISIBLE, key, scheme.field, "visible ASCII, without blanks at its ends")
    return Authorization(headers=((_checked_name(scheme), scheme.prefix + value),))


def _in_query(scheme: AuthScheme, key: str) -> Authorization:
    if not scheme.name or _CONTROL.search(scheme.name):
        message = f"{scheme.name!r} cannot be the name of a query parameter"
        raise SchemeInvalid(message, property="name")
    if not key:
        raise InvalidCredentials(f"Credentials field {scheme.field!r} is empty", field=scheme.field)
    return Authorization(query=((scheme.name, _without_controls(key, scheme.field)),))


def _in_cookie(scheme: AuthScheme, key: str) -> Authorization:
    # Encoding is not an option: servers do not agree on how to undo it.
    rule = "visible ASCII without quotes, commas, semicolons and backslashes to fit in a cookie"
    value = _matching(_COOKIE_VALUE, key, scheme.field, rule)
    return Authorization(headers=(("Cookie", f"{_checked_name(scheme)}={value}"),))


_PLACES: Mapping[str, Callable[[AuthScheme, str], Authorization]] = {
    "header": _in_header,
    "query": _in_query,
    "cookie": _in_cookie,
}


def _placed(scheme: AuthScheme, key: str) -> Authorization:
    place = _PLACES.get(scheme.location)
    if place is None:
        raise SchemeInvalid(
            f"Credentials cannot go in {scheme.location!r}; places are {', '.join(_PLACES)}",
            property="location",
        )
    return place(scheme, key)


def _api_key(scheme: AuthScheme, fields: _Fields) -> Authorization:
    return _placed(scheme, _text(fields, scheme.field))


def _bearer(scheme: AuthScheme, fields: _Fields) -> Authorization:
    # Wider than RFC 6750's b64token: tokens with "|" and ":" are in use.
    token = _text(fields, scheme.field)
    return _placed(scheme, _matching(_VISIBLE_WORD, token, scheme.field, "ASCII without blanks"))


def _basic(scheme: AuthScheme, fields: _Fields) -> Authorization:
    user = _without_controls(_text(fields, scheme.username_field), scheme.username_field)
    password = _without_controls(_text(fields, scheme.field), scheme.field)
    if ":" in user:
        name = scheme.username_field
        message = f"Credentials field {name!r} must not hold a colon (RFC 7617 §2)"
        raise InvalidCredentials(message, field=name)
    pair = b64encode(f"{user}:{password}".encode()).decode("ascii")
    return Authorization(headers=(("Authorization", f"Basic {pair}"),))


def _one_field(scheme: AuthScheme) -> tuple[str, ...]:
    return (scheme.field,)


_METHODS: Mapping[str, _Method] = {
    "none": _Method(lambda _: (), _none),
    "api_key": _Method(_one_field, _api_key),
    "basic": _Method(lambda scheme: (scheme.username_field, scheme.field), _basic),
    "bearer": _Method(_one_field, _bearer),
}
