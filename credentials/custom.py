"""Several headers and query parameters, each written by a template over the credentials."""

from base64 import b64encode
from collections.abc import Callable, Iterator

from credentials.errors import InvalidCredentials, SchemeInvalid
from credentials.model import Authorization, AuthScheme
from credentials.placing import (
    COOKIE_VALUE,
    IN_COOKIE,
    IN_HEADER,
    VISIBLE,
    VISIBLE_OR_BLANK,
    Fields,
    has_controls,
    header_name,
    matching,
    query_name,
    text,
    without_controls,
)
from credentials.templates import Placeholder, fill, parse, placeholders, unknown

_KNOWN = "{field} and {field:base64}"

Check = Callable[[str, str], str]


def field_names(scheme: AuthScheme) -> tuple[str, ...]:
    """Name the fields that the templates of `headers` and `query` use, each once.

    Raises `SchemeInvalid` when there is no template, or one that cannot be read.
    """
    names = [
        placeholder.name
        for property_, pairs in (("headers", scheme.headers), ("query", scheme.query))
        for _, template in pairs
        for placeholder in placeholders(template, property_)
    ]
    return tuple(dict.fromkeys(names))


def place_templates(scheme: AuthScheme, fields: Fields) -> Authorization:
    """Fill the templates of `headers` and `query`.

    Every value is checked for its place. Raises `SchemeInvalid`, `InvalidCredentials`.
    """
    return Authorization(
        headers=tuple(_headers(scheme, fields)), query=tuple(_query(scheme, fields))
    )


def authorize_custom(scheme: AuthScheme, fields: Fields) -> Authorization:
    """Fill the templates, of which there must be one; raises as `place_templates` does."""
    if not (scheme.headers or scheme.query):
        message = "A custom scheme says what is sent with its headers or its query"
        raise SchemeInvalid(message, property="headers")
    return place_templates(scheme, fields)


def fill_header(template: str, property_: str, fields: Fields, check: Check | None = None) -> str:
    """Fill a part of a header's value; each field in it must be visible ASCII or blank."""
    return fill(template, property_, lambda p: _value(p, property_, fields, check or _for_header))


def _headers(scheme: AuthScheme, fields: Fields) -> Iterator[tuple[str, str]]:
    for name, template in scheme.headers:
        in_cookie = header_name(name, "headers").lower() == "cookie"
        value = fill_header(template, "headers", fields, _for_cookie if in_cookie else None)
        yield name, _whole(template, value, name)


def _query(scheme: AuthScheme, fields: Fields) -> Iterator[tuple[str, str]]:
    for name, template in scheme.query:
        query_name(name, "query")
        value = fill(template, "query", lambda p: _value(p, "query", fields, without_controls))
        if has_controls(value):
            message = f"The value of {name} must not hold control characters"
            raise SchemeInvalid(message, property="query")
        yield name, value


def _value(placeholder: Placeholder, property_: str, fields: Fields, check: Check) -> str:
    name = placeholder.name
    if not name or placeholder.argument not in {"", "base64"}:
        raise unknown(placeholder, property_, _KNOWN)
    value = text(fields, name)
    if placeholder.argument:
        return b64encode(_encoded(value, name)).decode("ascii")
    return check(value, name)


def _encoded(value: str, name: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise InvalidCredentials(
            f"Credentials field {name!r} is no Unicode text", field=name
        ) from None


def _for_header(value: str, name: str) -> str:
    return matching(VISIBLE_OR_BLANK, value, name, "visible ASCII")


def _for_cookie(value: str, name: str) -> str:
    return matching(COOKIE_VALUE, value, name, IN_COOKIE)


def _whole(template: str, value: str, header: str) -> str:
    """Refuse a header that is empty or has blanks at its ends: blame a field, if there is one."""
    if VISIBLE.fullmatch(value) is not None:
        return value
    used = [part for part in parse(template, "headers") if isinstance(part, Placeholder)]
    literal = fill(template, "headers", lambda _: "x")
    if used and VISIBLE.fullmatch(literal) is not None:
        return matching(VISIBLE, value, used[0].name, IN_HEADER)
    raise SchemeInvalid(f"The header {header} must be {IN_HEADER}", property="headers")
