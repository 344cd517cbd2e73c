"""Where credentials go in a request: reading `auth`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from registry.binding import HEADER_NAME
from registry.fields import Fields
from registry.model import AuthPlacement
from registry.signing import (
    check_field,
    check_secret,
    field_template_problems,
    read_aws,
    read_certificate,
    read_signing,
    read_templates,
)
from registry.templates import ConfigFields

_LOCATIONS: Final = ("header", "query", "cookie")
_FIELDS_BY_AUTH_TYPE: Final[Mapping[str, tuple[str, ...]]] = {
    "api_key": ("apiKey", "api_key", "apikey", "token"),
    "bearer": ("token", "accessToken", "bearerToken", "apiKey"),
    "basic": ("password",),
    "hmac": (
        *("signingSecret", "signingKey", "hmacSecret", "sharedSecret", "apiSecret", "secretKey"),
        *("secret", "webhookSecret"),
    ),
}
_OF_AUTH_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "signature": ("hmac",),
    **dict.fromkeys(("headers", "query"), ("custom", "hmac")),
    **dict.fromkeys(("service", "region"), ("aws_sigv4",)),
    **dict.fromkeys(("accessKeyField", "secretKeyField", "sessionTokenField"), ("aws_sigv4",)),
}
_PLACED: Final = ("in", "name", "prefix", "field", "usernameField")
_SAID_IN_AUTH: Final[Mapping[str, str]] = {
    "custom": "headers or its query",
    "hmac": "signature.template",
}
_NOT_PLACED: Final = frozenset({"custom", "aws_sigv4"})
_PREFIX: Final = re.compile(r"(?:[\x21-\x7e][\x20-\x7e]*)?")


def read_auth(top: Fields, auth_type: str, config: ConfigFields) -> AuthPlacement:
    """Read `auth`; without it credentials go into the Authorization header, as a Bearer token."""
    field = _usual_field(auth_type, config)
    auth = top.inner("auth")
    if auth is None:
        placement = _without_auth(top, auth_type, field, config)
    else:
        _check_members(auth, auth_type, calls=top.raw("type") != "webhook")
        placement = _read_placement(auth, auth_type, field, config)
        auth.rest(())
    if auth is None or config.described is not None:
        _warn_of_missing(top, auth_type, placement, config)
    return placement


def _usual_field(auth_type: str, config: ConfigFields) -> str:
    names = config.described or ()
    candidates = _FIELDS_BY_AUTH_TYPE.get(auth_type, ("apiKey",))
    return next((name for name in candidates if name in names), candidates[0])


def _without_auth(top: Fields, auth_type: str, field: str, config: ConfigFields) -> AuthPlacement:
    what = _SAID_IN_AUTH.get(auth_type)
    if top.raw("type") == "webhook":
        return AuthPlacement(field=field)
    if what:
        top.refuse("auth", f"is missing; authType {auth_type} needs its {what}")
    if auth_type == "aws_sigv4":
        nothing = Fields({}, top.at("auth"), top.findings)
        return AuthPlacement(field=field, aws=read_aws(nothing, config))
    return AuthPlacement(field=field)


def _check_members(auth: Fields, auth_type: str, *, calls: bool) -> None:
    if auth_type == "hmac" and calls:
        auth.required("signature")
    if auth_type == "custom" and calls and auth.readable and not _has_templates(auth):
        auth.refuse("headers", "is empty, and so is query; one of them says what is sent")
    for name, owners in _OF_AUTH_TYPES.items():
        if auth.has(name) and auth_type not in owners:
            auth.raw(name)
            auth.refuse(name, f"is for authType {' and '.join(owners)} only")
    for name in _PLACED:
        if auth.has(name) and auth_type in _NOT_PLACED:
            auth.raw(name)
            auth.refuse(name, f"is not for authType {auth_type}, which has places of its own")


def _has_templates(auth: Fields) -> bool:
    return bool(auth.raw("headers")) or bool(auth.raw("query"))


def _read_placement(
    auth: Fields, auth_type: str, field: str, config: ConfigFields
) -> AuthPlacement:
    default = AuthPlacement(field=field)
    read = _READERS.get(auth_type, _read_place)
    placement = read(auth, default, config)
    return replace(placement, certificate=read_certificate(auth, config))


def _read_place(auth: Fields, default: AuthPlacement, config: ConfigFields) -> AuthPlacement:
    """Read where one secret goes; for `basic` there is a user name beside it."""
    location = auth.word("in", _LOCATIONS, "header")
    name = auth.text("name", default.name)
    if not HEADER_NAME.fullmatch(name):
        auth.refuse("name", f"is no name of a {location} field")
    if location != "header" and not auth.has("name"):
        auth.refuse("name", f"is missing; it names the {location} field")
    usual = location == "header" and name.lower() == default.name.lower()
    prefix = auth.text("prefix", default.prefix if usual else "")
    if not _PREFIX.fullmatch(prefix):
        auth.refuse("prefix", "must be visible ASCII, without a blank in front")
    placement = AuthPlacement(
        location=location,
        name=name,
        prefix=prefix,
        field=auth.text("field", default.field),
        username_field=auth.text("usernameField", default.username_field),
    )
    check_field(auth, "field", placement.field, config)
    check_field(auth, "usernameField", placement.username_field, config)
    return placement


def _read_hmac(auth: Fields, default: AuthPlacement, config: ConfigFields) -> AuthPlacement:
    """Read where the signature goes, how it is made, and what is sent beside it."""
    unsigned = replace(default, name="X-Signature", prefix="")
    placement = _read_place(auth, unsigned, config)
    check_secret(auth, "field", placement.field, config)
    for problem in field_template_problems(placement.prefix, config):
        auth.refuse("prefix", problem)
    return replace(
        placement,
        headers=read_templates(auth, "headers", config),
        query=read_templates(auth, "query", config),
        signing=read_signing(auth, config),
    )


def _read_custom(auth: Fields, default: AuthPlacement, config: ConfigFields) -> AuthPlacement:
    headers = read_templates(auth, "headers", config)
    return replace(default, headers=headers, query=read_templates(auth, "query", config))


def _read_aws(auth: Fields, default: AuthPlacement, config: ConfigFields) -> AuthPlacement:
    return replace(default, aws=read_aws(auth, config))


_READERS: Final[Mapping[str, Callable[[Fields, AuthPlacement, ConfigFields], AuthPlacement]]] = {
    "hmac": _read_hmac,
    "custom": _read_custom,
    "aws_sigv4": _read_aws,
}


def _warn_of_missing(
    top: Fields, auth_type: str, placement: AuthPlacement, config: ConfigFields
) -> None:
    """Warn of credentials that are looked for where nobody can have put them."""
    needed = _needed(auth_type, placement)
    missing = [name for name in needed if name not in (config.described or ())]
    if missing:
        message = f"has no {' and no '.join(missing)}, where {auth_type} looks for its credentials"
        top.findings.warn("/configSchema", f"{message}; add it, or say where with auth")


def _needed(auth_type: str, placement: AuthPlacement) -> tuple[str, ...]:
    if placement.aws:
        return (placement.aws.access_key_field, placement.aws.secret_key_field)
    if auth_type == "basic":
        return (placement.username_field, placement.field)
    return (placement.field,) if auth_type in _FIELDS_BY_AUTH_TYPE else ()
