"""What a place in a request can carry, and putting a secret there.

Values that end in a header are visible ASCII with blanks only inside (the safe part of RFC 9110
§5.5), so nothing that a user stores can add a header of its own.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from credentials.errors import InvalidCredentials, SchemeInvalid
from credentials.model import Authorization, AuthScheme

Fields = Mapping[str, Any]

VISIBLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
VISIBLE_OR_BLANK = re.compile(r"[\x20-\x7e]*")
VISIBLE_WORD = re.compile(r"[\x21-\x7e]+")
COOKIE_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")  # RFC 6265 §4.1.1
IN_HEADER = "visible ASCII, without blanks at its ends"
IN_COOKIE = "visible ASCII without quotes, commas, semicolons and backslashes to fit in a cookie"

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
_PREFIX = re.compile(r"(?:[\x21-\x7e][\x20-\x7e]*)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def text(fields: Fields, name: str) -> str:
    """Answer a field; raises `InvalidCredentials` when it is no text."""
    value = fields[name]
    if not isinstance(value, str):
        raise InvalidCredentials(f"Credentials field {name!r} must be text", field=name)
    return value


def matching(pattern: re.Pattern[str], value: str, name: str, rule: str) -> str:
    """Answer the value of a field; raises `InvalidCredentials` when it breaks the rule."""
    if pattern.fullmatch(value) is None:
        raise InvalidCredentials(f"Credentials field {name!r} must be {rule}", field=name)
    return value


def without_controls(value: str, name: str) -> str:
    """Answer the value of a field; raises `InvalidCredentials` for control characters in it."""
    if _CONTROL.search(value) is not None:
        message = f"Credentials field {name!r} must not hold control characters"
        raise InvalidCredentials(message, field=name)
    return value


def has_controls(value: str) -> bool:
    """Tell whether a text holds what no URL, header or cookie can carry, in any encoding."""
    return _CONTROL.search(value) is not None


def header_name(name: str, property_: str = "name", place: str = "header") -> str:
    """Answer the name of a header or cookie; raises `SchemeInvalid` when it cannot be one."""
    if _TOKEN.fullmatch(name) is None:
        raise SchemeInvalid(f"{name!r} cannot be the name of a {place}", property=property_)
    return name


def query_name(name: str, property_: str = "name") -> str:
    """Answer the name of a query parameter; raises `SchemeInvalid` when it cannot be one."""
    if not name or has_controls(name):
        message = f"{name!r} cannot be the name of a query parameter"
        raise SchemeInvalid(message, property=property_)
    return name


def place(scheme: AuthScheme, key: str, name: str) -> Authorization:
    """Put a secret where the scheme says; `name` is the field it comes from.

    Behind `prefix` in a header, bare in the query or in a cookie. Raises `SchemeInvalid`,
    `InvalidCredentials`.
    """
    put = _PLACES.get(scheme.location)
    if put is None:
        raise SchemeInvalid(
            f"Credentials cannot go in {scheme.location!r}; places are {', '.join(_PLACES)}",
            property="location",
        )
    return put(scheme, key, name)


def _in_header(scheme: AuthScheme, key: str, name: str) -> Authorization:
    if _PREFIX.fullmatch(scheme.prefix) is None:
        raise SchemeInvalid("The prefix must be visible ASCII", property="prefix")
    value = matching(VISIBLE, key, name, IN_HEADER)
    return Authorization(headers=((header_name(scheme.name), scheme.prefix + value),))


def _in_query(scheme: AuthScheme, key: str, name: str) -> Authorization:
    query_name(scheme.name)
    if not key:
        raise InvalidCredentials(f"Credentials field {name!r} is empty", field=name)
    return Authorization(query=((scheme.name, without_controls(key, name)),))


def _in_cookie(scheme: AuthScheme, key: str, name: str) -> Authorization:
    # Encoding is not an option: servers do not agree on how to undo it.
    value = matching(COOKIE_VALUE, key, name, IN_COOKIE)
    cookie = header_name(scheme.name, place="cookie")
    return Authorization(headers=(("Cookie", f"{cookie}={value}"),))


_PLACES: Mapping[str, Callable[[AuthScheme, str, str], Authorization]] = {
    "header": _in_header,
    "query": _in_query,
    "cookie": _in_cookie,
}
