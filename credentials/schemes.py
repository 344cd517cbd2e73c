"""How each auth type shows credentials in a request: a table, and no I/O."""

import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from credentials.certificates import client_certificate
from credentials.custom import authorize_custom, field_names
from credentials.errors import CredentialsIncomplete, InvalidCredentials, SchemeNotAvailable
from credentials.model import Authorization, AuthScheme, OutgoingRequest
from credentials.placing import VISIBLE_WORD, Fields, matching, place, text, without_controls
from credentials.signing import sign, signing_fields
from credentials.sigv4 import aws_fields, sign_aws

TOKEN_TYPES = frozenset({"oauth2", "oauth2_client_credentials", "jwt_bearer"})
"""The auth types whose secret is an access token that an authorization server gives."""

_TOKEN = "accessToken"  # noqa: S105 - what an error calls it
# Tokens that are shown with a proof made with a key: as a bearer token they are refused.
_PROOF_TYPES = frozenset({"dpop", "mac", "pop"})


def random_nonce() -> str:
    """Answer 128 random bits in hexadecimal."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class _Moment:
    """What a signature rests on beside the credentials."""

    request: OutgoingRequest
    now: datetime
    nonce: Callable[[], str]


@dataclass(frozen=True, slots=True)
class _Method:
    """One auth type: the fields it cannot do without, and what it makes of them."""

    required: Callable[[AuthScheme], tuple[str, ...]]
    authorize: Callable[[AuthScheme, Fields, _Moment], Authorization]


@lru_cache(maxsize=1_000)  # every request asks, and there are as many schemes as definitions
def required_fields(scheme: AuthScheme) -> tuple[str, ...]:
    """Name the fields that the scheme cannot do without.

    Those of a token are of its grant, which is none of the scheme's business. Raises
    `SchemeNotAvailable`, `SchemeInvalid`.
    """
    certificate = scheme.certificate
    shown = () if certificate is None else (certificate.certificate, certificate.key)
    if scheme.type in TOKEN_TYPES:
        return shown
    return (*_method(scheme).required(scheme), *shown)


def needs_credentials(scheme: AuthScheme) -> bool:
    """Tell whether there must be a record: a scheme of type `none` needs one for a certificate.

    Raises `SchemeNotAvailable`, `SchemeInvalid`.
    """
    return scheme.type in TOKEN_TYPES or bool(required_fields(scheme))


def authorize(
    scheme: AuthScheme,
    fields: Mapping[str, Any],
    request: OutgoingRequest,
    now: datetime,
    nonce: Callable[[], str] = random_nonce,
) -> Authorization:
    """Make of an instance's fields what is to be added to a request.

    `api_key` puts `prefix` and the key in a header, or the bare key in the query or a cookie;
    `basic` is RFC 7617 in UTF-8; `bearer` is RFC 6750, in any of the three places; `custom` fills
    templates. `request`, `now` and `nonce` matter to schemes that sign only: what others answer
    depends on the fields alone. Types of `TOKEN_TYPES` are for `token_authorization`.

    Raises `SchemeNotAvailable`, `SchemeInvalid`, `CredentialsIncomplete`, `InvalidCredentials`.
    """
    method = _method(scheme)
    _check_complete(scheme, fields)
    made = method.authorize(scheme, fields, _Moment(request, now, nonce))
    return made if scheme.certificate is None else with_certificate(made, scheme, fields)


def token_authorization(
    scheme: AuthScheme, token: str, token_type: str, generation: int, expires_at: datetime | None
) -> Authorization:
    """Put an access token where the scheme says, behind its prefix.

    The prefix is the scheme's and not the token's type: servers answer `bearer`, `bot` or nothing
    at all, and want to see `Bearer`. Raises `SchemeNotAvailable` for a type that needs a proof
    (DPoP), `SchemeInvalid`, and `InvalidCredentials` for a token that no header can carry.
    """
    if token_type.lower() in _PROOF_TYPES:
        raise SchemeNotAvailable(
            f"Access tokens of type {token_type} need a proof of possession, which is not "
            "available in this release",
            type=token_type,
            available=["Bearer"],
        )
    placed = place(scheme, matching(VISIBLE_WORD, token, _TOKEN, "ASCII without blanks"), _TOKEN)
    return replace(placed, generation=generation, expires_at=expires_at)


def with_certificate(
    authorization: Authorization, scheme: AuthScheme, fields: Mapping[str, Any]
) -> Authorization:
    """Add the client certificate, if the scheme has one.

    Raises `CredentialsIncomplete`, `InvalidCredentials`.
    """
    if scheme.certificate is None:
        return authorization
    _check_complete(scheme, fields)
    return replace(authorization, certificate=client_certificate(scheme.certificate, fields))


def _check_complete(scheme: AuthScheme, fields: Fields) -> None:
    missing = [name for name in required_fields(scheme) if fields.get(name) is None]
    if missing:
        raise CredentialsIncomplete(
            f"Credentials lack {', '.join(map(repr, missing))}, which {scheme.type} needs",
            fields=missing,
        )


def _method(scheme: AuthScheme) -> _Method:
    method = _METHODS.get(scheme.type)
    if method is None:
        available = [*_METHODS, *sorted(TOKEN_TYPES)]
        raise SchemeNotAvailable(
            f"Auth type {scheme.type!r} is not available in this release; "
            f"these are: {', '.join(available)}",
            type=scheme.type,
            available=available,
        )
    return method


def _none(_scheme: AuthScheme, _fields: Fields, _moment: _Moment) -> Authorization:
    return Authorization()


def _api_key(scheme: AuthScheme, fields: Fields, _moment: _Moment) -> Authorization:
    return place(scheme, text(fields, scheme.field), scheme.field)


def _bearer(scheme: AuthScheme, fields: Fields, _moment: _Moment) -> Authorization:
    # Wider than RFC 6750's b64token: tokens with "|" and ":" are in use.
    token = text(fields, scheme.field)
    word = matching(VISIBLE_WORD, token, scheme.field, "ASCII without blanks")
    return place(scheme, word, scheme.field)


def _basic(scheme: AuthScheme, fields: Fields, _moment: _Moment) -> Authorization:
    user = without_controls(text(fields, scheme.username_field), scheme.username_field)
    password = without_controls(text(fields, scheme.field), scheme.field)
    if ":" in user:
        name = scheme.username_field
        message = f"Credentials field {name!r} must not hold a colon (RFC 7617 §2)"
        raise InvalidCredentials(message, field=name)
    pair = b64encode(f"{user}:{password}".encode()).decode("ascii")
    return Authorization(headers=(("Authorization", f"Basic {pair}"),))


def _custom(scheme: AuthScheme, fields: Fields, _moment: _Moment) -> Authorization:
    return authorize_custom(scheme, fields)


def _hmac(scheme: AuthScheme, fields: Fields, moment: _Moment) -> Authorization:
    return sign(scheme, fields, moment.request, moment.now, moment.nonce())


def _aws_sigv4(scheme: AuthScheme, fields: Fields, moment: _Moment) -> Authorization:
    return sign_aws(scheme, fields, moment.request, moment.now)


def _one_field(scheme: AuthScheme) -> tuple[str, ...]:
    return (scheme.field,)


_METHODS: Mapping[str, _Method] = {
    "none": _Method(lambda _: (), _none),
    "api_key": _Method(_one_field, _api_key),
    "basic": _Method(lambda scheme: (scheme.username_field, scheme.field), _basic),
    "bearer": _Method(_one_field, _bearer),
    "custom": _Method(field_names, _custom),
    "hmac": _Method(signing_fields, _hmac),
    "aws_sigv4": _Method(aws_fields, _aws_sigv4),
}
