"""How an API is reached: its server, where credentials go, and its OAuth 2 endpoints."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from registry.binding import HEADER_NAME
from registry.fields import Fields, did_you_mean, kind
from registry.model import AuthPlacement
from registry.problems import pointer
from registry.templates import CONFIG, ConfigFields, MalformedTemplate, uri_variables

DEFAULT_SERVER: Final = "{+config.baseUrl}"
_LOCATIONS: Final = ("header", "query", "cookie")
_FIELDS_BY_AUTH_TYPE: Final[Mapping[str, tuple[str, ...]]] = {
    "api_key": ("apiKey", "api_key", "apikey", "token"),
    "bearer": ("token", "accessToken", "bearerToken", "apiKey"),
    "basic": ("password",),
}
_OAUTH2_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "oauth2": ("authorizationUrl", "tokenUrl"),
    "oauth2_client_credentials": ("tokenUrl",),
}
_OAUTH2_URLS: Final = (
    *("authorizationUrl", "tokenUrl", "refreshUrl"),
    *("revocationUrl", "introspectionUrl", "issuer"),
)
_AUTH_STYLES: Final = ("header", "body", "none")
_NEVER_HERE: Final = ("clientSecret", "refreshToken", "accessToken")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

Described = Collection[str] | None
"""The names of the config's fields, None where the schema lists none."""


def read_auth(top: Fields, auth_type: str, described: Described) -> AuthPlacement:
    """Read `auth`; without it credentials go into the Authorization header, as a Bearer token."""
    names = described if described is not None else ()
    candidates = _FIELDS_BY_AUTH_TYPE.get(auth_type, ("apiKey",))
    field = next((name for name in candidates if name in names), candidates[0])
    auth = top.inner("auth")
    if auth is None:
        _warn_of_missing(top, auth_type, field, described)
        return AuthPlacement(field=field)
    placement = _read_placement(auth, field)
    for name, value in (("field", placement.field), ("usernameField", placement.username_field)):
        if auth.has(name) and described is not None and value not in described:
            hint = did_you_mean(value, described)
            auth.refuse(name, f"is no property of configSchema: {value}{hint}")
    auth.rest(())
    return placement


def _read_placement(auth: Fields, field: str) -> AuthPlacement:
    location = auth.word("in", _LOCATIONS, "header")
    name = auth.text("name", "Authorization")
    if not HEADER_NAME.fullmatch(name):
        auth.refuse("name", f"is no name of a {location} field")
    if location != "header" and not auth.has("name"):
        auth.refuse("name", f"is missing; it names the {location} field")
    bearer = location == "header" and name.lower() == "authorization"
    prefix = auth.text("prefix", "Bearer " if bearer else "")
    if _CONTROL.search(prefix):
        auth.refuse("prefix", "must not have control characters")
    return AuthPlacement(
        location=location,
        name=name,
        prefix=prefix,
        field=auth.text("field", field),
        username_field=auth.text("usernameField", "username"),
    )


def _warn_of_missing(top: Fields, auth_type: str, field: str, described: Described) -> None:
    needed = {"api_key": (field,), "bearer": (field,), "basic": ("username", field)}
    missing = [name for name in needed.get(auth_type, ()) if name not in (described or ())]
    if missing:
        message = f"has no {' and no '.join(missing)}, where {auth_type} looks for its credentials"
        top.findings.warn("/configSchema", f"{message}; add it, or say where with auth.field")


def read_server(top: Fields, config: ConfigFields) -> str:
    """Read `server`; without it the config's `baseUrl` is the server."""
    server = top.text("server", DEFAULT_SERVER)
    if not top.has("server"):
        return server
    try:
        names = uri_variables(server)
    except MalformedTemplate as error:
        top.refuse("server", f"is no RFC 6570 template: {error}")
        return server
    if not server.startswith(("https://", "http://", "{+config.")):
        top.refuse("server", "must start with https://, http:// or {+config.…}")
    for name in dict.fromkeys(names):
        if problem := _server_problem(name, config):
            top.refuse("server", problem)
    return server


def _server_problem(name: str, config: ConfigFields) -> str:
    if not name.startswith(CONFIG):
        return f"uses {{{name}}}; only fields of the config can stand here, as config.{name}"
    return config.problem(name)


def read_oauth2(top: Fields, auth_type: str) -> Mapping[str, Any] | None:
    """Read `oauth2Config`; what it says is kept as written."""
    oauth2 = top.inner("oauth2Config")
    needed = _OAUTH2_NEEDS.get(auth_type, ())
    if oauth2 is None:
        if needed:
            message = f"is missing; authType {auth_type} needs its {' and '.join(needed)}"
            top.refuse("oauth2Config", message)
        return None
    oauth2.required(*needed)
    for name in _OAUTH2_URLS:
        _check_url(oauth2, name)
    for name in _NEVER_HERE:
        if oauth2.has(name):
            oauth2.raw(name)
            message = "must not stand in a definition, which others read; send it in the config"
            oauth2.refuse(name, f"{message} of each instance, under a field of configSchema")
    _read_options(oauth2)
    oauth2.rest(())
    value = top.raw("oauth2Config")
    return value if isinstance(value, Mapping) else None


def _read_options(oauth2: Fields) -> None:
    for name in ("clientId", "scope", "scopeDelimiter", "audience"):
        oauth2.text(name)
    oauth2.word("authStyle", _AUTH_STYLES)
    oauth2.flag("pkce")
    for group in ("additionalParameters", "tokenParameters"):
        for name, value in oauth2.items(group):
            if not isinstance(value, str):
                at = oauth2.at(group) + pointer(name)
                oauth2.findings.refuse(at, f"must be a text, not {kind(value)}")
    read_refresh(oauth2)


def read_refresh(holder: Fields) -> None:
    """Check `refreshTokenConfig`, which may stand in oauth2Config or beside it."""
    refresh = holder.inner("refreshTokenConfig")
    if refresh is not None:
        refresh.word("strategy", ("auto", "manual"), "auto")
        refresh.whole("timeBeforeExpiryMs", 0, 86_400_000)
        refresh.rest(())


def _check_url(oauth2: Fields, name: str) -> None:
    url = oauth2.text(name)
    if oauth2.has(name) and not _is_web_address(url):
        oauth2.refuse(name, "must be an absolute http or https URL without fragment and user")


def _is_web_address(url: str) -> bool:
    if not re.fullmatch(r"[!$-;=?-\[\]_a-z~]+", url):  # the characters of RFC 3986, but the #
        return False
    try:
        parts = urlsplit(url)
        valid_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and valid_port
        and not (parts.username or parts.password)
    )
