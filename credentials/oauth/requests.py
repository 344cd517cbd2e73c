"""The requests to an authorization server, whole: method, URL, headers, body."""

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl, quote_plus

from oauthlib.common import urlencode
from oauthlib.oauth2.rfc6749.parameters import prepare_token_request

from credentials.model import OutboundRequest
from credentials.oauth.assertions import client_assertion, grant_assertion
from credentials.oauth.names import Pairs, renamed
from credentials.oauth.profile import OAuthProfile
from credentials.oauth.reading import misconfigured

_JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
_TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - RFC 8693
_CLIENT_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FORM: Final = "application/x-www-form-urlencoded"


def code_request(
    profile: OAuthProfile, code: str, redirect_uri: str, verifier: str, now: datetime
) -> OutboundRequest:
    """Ask for the tokens of an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5)."""
    parameters = {"code": code, "redirect_uri": redirect_uri}
    if profile.pkce and verifier:
        parameters["code_verifier"] = verifier
    return _token_request(profile, "authorization_code", parameters, now)


def refresh_request(profile: OAuthProfile, refresh_token: str, now: datetime) -> OutboundRequest:
    """Ask for the next tokens (RFC 6749 §6). Without a scope: it stays what was granted."""
    parameters = {"refresh_token": refresh_token}
    return _token_request(profile, "refresh_token", parameters, now, profile.refresh_url)


def client_credentials_request(profile: OAuthProfile, now: datetime) -> OutboundRequest:
    """Ask for a token of the client itself (RFC 6749 §4.4.2)."""
    return _token_request(profile, "client_credentials", _wanted(profile), now)


def jwt_bearer_request(profile: OAuthProfile, now: datetime) -> OutboundRequest:
    """Ask for a token by a signed assertion (RFC 7523 §2.1)."""
    parameters = {"assertion": grant_assertion(profile, now), "scope": profile.scope}
    return _token_request(profile, _JWT_BEARER, parameters, now)


def exchange_request(profile: OAuthProfile, now: datetime) -> OutboundRequest:
    """Ask for a token in exchange for another (RFC 8693 §2.1)."""
    parameters = {
        "subject_token": profile.subject_token,
        "subject_token_type": profile.subject_token_type,
        **_wanted(profile),
        "requested_token_type": profile.requested_token_type,
    }
    if profile.actor_token:
        parameters["actor_token"] = profile.actor_token
        parameters["actor_token_type"] = profile.actor_token_type
    return _token_request(profile, _TOKEN_EXCHANGE, parameters, now)


def device_request(profile: OAuthProfile, now: datetime) -> OutboundRequest:
    """Ask for a code that the user types in elsewhere (RFC 8628 §3.1).

    The client is named in the body in any case: some servers look nowhere else.
    """
    url = _needed(profile.device_authorization_url, "deviceAuthorizationUrl")
    named = {"client_id": profile.client_id} if profile.auth_style == "header" else {}
    standard = renamed(profile.param_names, {**named, **_wanted(profile)}.items())
    pairs = list({**dict(standard), **profile.additional_parameters}.items())
    return _post(profile, url, _FORM, pairs, now)


def device_token_request(profile: OAuthProfile, device_code: str, now: datetime) -> OutboundRequest:
    """Ask whether the user has typed the code in, and for the tokens (RFC 8628 §3.4)."""
    return _token_request(profile, _DEVICE_CODE, {"device_code": device_code}, now)


def renewal_request(
    profile: OAuthProfile, refresh_token: str, now: datetime
) -> OutboundRequest | None:
    """Ask for the next tokens in the way of this grant; None: only its owner can get new ones.

    Client credentials and assertions are simply used again; everything else needs its refresh
    token, and a token exchange without one begins anew.
    """
    if profile.grant == "client_credentials":
        return client_credentials_request(profile, now)
    if profile.grant == "jwt_bearer":
        return jwt_bearer_request(profile, now)
    if refresh_token:
        return refresh_request(profile, refresh_token, now)
    return exchange_request(profile, now) if profile.grant == "token_exchange" else None


def revocation_request(
    profile: OAuthProfile, token: str, hint: str, now: datetime
) -> OutboundRequest:
    """Tell that a token is needed no more (RFC 7009 §2.1); `hint` names its kind."""
    url = _needed(profile.revocation_url, "revocationUrl")
    return _about_token(profile, url, token, hint, now)


def introspection_request(profile: OAuthProfile, token: str, now: datetime) -> OutboundRequest:
    """Ask how an access token stands (RFC 7662 §2.1)."""
    url = _needed(profile.introspection_url, "introspectionUrl")
    return _about_token(profile, url, token, "access_token", now)


def _about_token(
    profile: OAuthProfile, url: str, token: str, hint: str, now: datetime
) -> OutboundRequest:
    pairs = [("token", token), ("token_type_hint", hint)]
    return _post(profile, url, _FORM, renamed(profile.param_names, pairs), now)


def _wanted(profile: OAuthProfile) -> dict[str, str]:
    wanted = {"scope": profile.scope, "audience": profile.audience}
    return {name: value for name, value in wanted.items() if value}


def _needed(url: str, name: str) -> str:
    if not url:
        raise misconfigured(f"oauth2Config.{name}", "is missing; this request goes there")
    return url


def _token_request(
    profile: OAuthProfile,
    grant_type: str,
    parameters: Mapping[str, str],
    now: datetime,
    url: str = "",
) -> OutboundRequest:
    """Make a request to the token endpoint; what the definition adds comes last."""
    added = dict(profile.token_parameters)
    prepared = prepare_token_request(
        added.pop("grant_type", grant_type), include_client_id=False, **parameters
    )
    standard = renamed(profile.param_names, parse_qsl(prepared, keep_blank_values=True))
    target = url or _needed(profile.token_url, "tokenUrl")
    pairs = list({**dict(standard), **added}.items())
    return _post(profile, target, profile.token_body_format, pairs, now)


def _post(
    profile: OAuthProfile, url: str, body_format: str, pairs: Pairs, now: datetime
) -> OutboundRequest:
    authorization, own = _client_authentication(profile, now)
    whole = [*pairs, *renamed(profile.param_names, own)]
    content_type, body = _encoded(whole, body_format)
    headers = (("Accept", "application/json"), ("Content-Type", content_type), *authorization)
    return OutboundRequest("POST", url, headers, body, profile.certificate)


def _client_authentication(profile: OAuthProfile, now: datetime) -> tuple[Pairs, Pairs]:
    """Answer headers and parameters by which the client says who it is."""
    match profile.auth_style:
        case "header":
            return [("Authorization", _basic(profile.client_id, profile.client_secret))], []
        case "body":
            secret = profile.client_secret
            return [], [("client_id", profile.client_id), ("client_secret", secret)]
        case "private_key_jwt":
            return [], [
                ("client_id", profile.client_id),
                ("client_assertion_type", _CLIENT_ASSERTION),
                ("client_assertion", client_assertion(profile, now)),
            ]
        case _:
            named = profile.client_id and profile.grant != "jwt_bearer"
            return [], [("client_id", profile.client_id)] if named else []


def _basic(client_id: str, client_secret: str) -> str:
    """Both form-encoded first (RFC 6749 §2.3.1), so a colon in the id is no end of it."""
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return f"Basic {b64encode(pair.encode('ascii')).decode('ascii')}"


def _encoded(pairs: Iterable[tuple[str, str]], body_format: str) -> tuple[str, bytes]:
    if body_format == "json":
        return "application/json", json.dumps(dict(pairs)).encode("ascii")
    return _FORM, urlencode(list(pairs)).encode("ascii")
