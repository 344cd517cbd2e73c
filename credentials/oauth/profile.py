"""How an instance talks to its authorization server: what definition and config say, read once."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from credentials.errors import CredentialsIncomplete
from credentials.model import ClientCertificate, Connection
from credentials.oauth.given import read_certificate, read_pkce, read_scope
from credentials.oauth.names import (
    OURS_IN_AUTHORIZATION,
    OURS_IN_TOKEN_REQUESTS,
    read_additions,
    read_names,
)
from credentials.oauth.paths import Capture, TokenPaths, read_captures, read_token_paths
from credentials.oauth.reading import Options, misconfigured
from credentials.oauth.urls import checked, expand, fill

GRANTS: Final = (
    *("authorization_code", "device_code", "token_exchange"),
    *("client_credentials", "jwt_bearer"),
)
AUTH_STYLES: Final = ("header", "body", "none", "private_key_jwt")
ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
_GRANT_OF_AUTH_TYPE: Final[Mapping[str, str]] = {
    "oauth2_client_credentials": "client_credentials",
    "jwt_bearer": "jwt_bearer",
}
_ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - RFC 8693 §3
_OWN_CLAIMS: Final = frozenset({"iss", "sub", "aud", "exp", "iat", "nbf", "jti"})
_NEEDED_URLS: Final[Mapping[str, tuple[str, ...]]] = {
    "authorization_code": ("authorizationUrl", "tokenUrl"),
    "device_code": ("deviceAuthorizationUrl", "tokenUrl"),
}
_OF_METADATA: Final[Mapping[str, tuple[str, str]]] = {  # RFC 8414 §2, RFC 8628 §4
    "authorizationUrl": ("authorization_url", "authorization_endpoint"),
    "tokenUrl": ("token_url", "token_endpoint"),
    "revocationUrl": ("revocation_url", "revocation_endpoint"),
    "introspectionUrl": ("introspection_url", "introspection_endpoint"),
    "deviceAuthorizationUrl": ("device_authorization_url", "device_authorization_endpoint"),
}
_STYLE_OF_METHOD: Final[Mapping[str, str]] = {  # RFC 7591 §2; the order is ours
    "client_secret_basic": "header",
    "client_secret_post": "body",
}


@dataclass(frozen=True, slots=True, repr=False)
class OAuthProfile:
    """All that the protocol needs to know of an instance. Never printed: secrets are in it.

    Texts that nobody gave are empty. Times are seconds. `refresh_url` is the token URL unless the
    definition has another; `scope` is as it is sent. `auth_style` is header (RFC 6749 §2.3.1),
    body, none or private_key_jwt (RFC 7523 §2.2). `refresh_margin` None: no word on it.
    `requires_iss`: the server promises `iss` in every answer of the user's browser (RFC 9207).
    """

    grant: str = "authorization_code"
    client_id: str = ""
    client_secret: str = ""
    authorization_url: str = ""
    token_url: str = ""
    refresh_url: str = ""
    revocation_url: str = ""
    introspection_url: str = ""
    device_authorization_url: str = ""
    issuer: str = ""
    scope: str = ""
    auth_style: str = "none"
    auth_style_chosen: bool = True
    pkce: bool = True
    token_body_format: str = "form"  # noqa: S105 - form or json
    additional_parameters: Mapping[str, str] = field(default_factory=dict)
    token_parameters: Mapping[str, str] = field(default_factory=dict)
    param_names: Mapping[str, str] = field(default_factory=dict)
    code_param: str = "code"
    token_paths: TokenPaths = field(default_factory=TokenPaths)
    expires_in_unit: str = "s"
    default_expires_in: float | None = None
    capture_from_token: tuple[Capture, ...] = ()
    capture_from_callback: tuple[Capture, ...] = ()
    refresh_rotation: str = "sometimes"
    grace_seconds: float = 0.0
    refresh_retry_safe: bool = False
    refresh_margin: float | None = None
    refresh_strategy: str = "auto"
    redirect_uris: tuple[str, ...] = ()
    audience: str = ""
    subject: str = ""
    private_key: str = ""
    key_id: str = ""
    signing_algorithm: str = "RS256"
    assertion_claims: Mapping[str, Any] = field(default_factory=dict)
    subject_token: str = ""
    subject_token_type: str = _ACCESS_TOKEN
    actor_token: str = ""
    actor_token_type: str = _ACCESS_TOKEN
    requested_token_type: str = ""
    certificate: ClientCertificate | None = None
    requires_iss: bool = False

    @property
    def spends(self) -> bool:
        """Tell whether a refresh token may be used up by a refresh whose answer is lost."""
        return self.refresh_rotation != "never" and not self.refresh_retry_safe

    def __repr__(self) -> str:
        return f"OAuthProfile({self.grant}: ***)"

    @property
    def secrets(self) -> tuple[str, ...]:
        """All secrets in it."""
        held = (self.client_secret, self.private_key, self.subject_token, self.actor_token)
        return tuple(secret for secret in held if secret)


def read_profile(connection: Connection, fields: Mapping[str, Any]) -> OAuthProfile:
    """Read how an instance talks to its authorization server.

    `fields` are all fields of its config, secrets included; what the config says wins over what the
    definition says. With an `issuer`, URLs may be missing: `with_metadata` fills them in.

    Raises `OAuthMisconfigured` and `CredentialsIncomplete`, both naming the field.
    """
    options = Options(connection.oauth2)
    config = connection.config
    given = Options({**config, **fields}, "config")
    usual = _GRANT_OF_AUTH_TYPE.get(connection.scheme.type, "authorization_code")
    profile = OAuthProfile(
        grant=options.word("grant", GRANTS, usual),
        client_id=given.text("clientId") or options.text("clientId"),
        client_secret=given.text("clientSecret"),
        issuer=_url(options, "issuer", config),
        scope=read_scope(options, given),
        pkce=read_pkce(options),
        token_body_format=options.word("tokenBodyFormat", ("form", "json"), "form"),
        param_names=read_names(options),
        code_param=options.text("codeParam") or "code",
        redirect_uris=(
            *given.words("redirectUri"),
            *given.words("redirectUris"),
            *options.words("redirectUris"),
        ),
        audience=given.text("audience") or fill(options.text("audience"), config),
        subject=given.text("subject") or fill(options.text("subject"), config),
        certificate=read_certificate(connection.scheme, given),
    )
    profile = _with_endpoints(profile, options, config)
    profile = _with_additions(profile, options, config)
    profile = _with_client_keys(profile, options, given)
    profile = _with_token_rules(profile, options)
    _refuse_incomplete(profile, given)
    return profile


def with_metadata(profile: OAuthProfile, metadata: Mapping[str, Any]) -> OAuthProfile:
    """Fill in, from the server's description of itself (RFC 8414), what nobody has said.

    Raises `OAuthMisconfigured` where a URL in it is none, or one is still missing.
    """
    found: dict[str, Any] = {
        attribute: checked(f"issuer's {name}", metadata[name])
        for attribute, name in _OF_METADATA.values()
        if not getattr(profile, attribute) and isinstance(metadata.get(name), str)
    }
    filled = replace(profile, **found)
    filled = replace(
        filled,
        refresh_url=filled.refresh_url or filled.token_url,
        auth_style=_known_style(profile, metadata.get("token_endpoint_auth_methods_supported")),
        requires_iss=metadata.get("authorization_response_iss_parameter_supported") is True,
    )
    _refuse_missing_urls(filled)
    return filled


def _url(options: Options, name: str, config: Mapping[str, Any]) -> str:
    return expand(f"oauth2Config.{name}", options.text(name), config)


def _with_endpoints(
    profile: OAuthProfile, options: Options, config: Mapping[str, Any]
) -> OAuthProfile:
    urls: dict[str, Any] = {
        attribute: _url(options, name, config) for name, (attribute, _) in _OF_METADATA.items()
    }
    return replace(
        profile, **urls, refresh_url=_url(options, "refreshUrl", config) or urls["token_url"]
    )


def _with_additions(
    profile: OAuthProfile, options: Options, config: Mapping[str, Any]
) -> OAuthProfile:
    names = profile.param_names
    in_url = OURS_IN_AUTHORIZATION | {names.get(name, name) for name in OURS_IN_AUTHORIZATION}
    in_body = OURS_IN_TOKEN_REQUESTS | {names.get(name, name) for name in OURS_IN_TOKEN_REQUESTS}
    if profile.grant != "client_credentials":  # whose type some servers call by a name of their own
        in_body |= {"grant_type"}
    return replace(
        profile,
        additional_parameters=read_additions(options, "additionalParameters", in_url, config),
        token_parameters=read_additions(options, "tokenParameters", in_body, config),
    )


def _with_client_keys(profile: OAuthProfile, options: Options, given: Options) -> OAuthProfile:
    style = "none"
    if profile.client_secret:
        style = "header"
    elif given.text("privateKey") and profile.grant != "jwt_bearer":
        style = "private_key_jwt"
    claims = dict(options.members("assertionClaims"))
    for claim in _OWN_CLAIMS & claims.keys():
        raise options.wrong(f"assertionClaims.{claim}", "is set by the service")
    return replace(
        profile,
        auth_style=options.word("authStyle", AUTH_STYLES, style),
        auth_style_chosen=options.has("authStyle"),
        private_key=given.text("privateKey"),
        key_id=given.text("keyId") or options.text("keyId"),
        signing_algorithm=options.word("signingAlgorithm", ALGORITHMS, "RS256"),
        assertion_claims=claims,
        subject_token=given.text(options.text("subjectTokenField") or "subjectToken"),
        subject_token_type=options.text("subjectTokenType") or _ACCESS_TOKEN,
        actor_token=given.text(options.text("actorTokenField") or "actorToken"),
        actor_token_type=options.text("actorTokenType") or _ACCESS_TOKEN,
        requested_token_type=options.text("requestedTokenType"),
    )


def _with_token_rules(profile: OAuthProfile, options: Options) -> OAuthProfile:
    paths = read_token_paths(options)
    refresh = options.inner("refreshTokenConfig")
    before_expiry = refresh.number("timeBeforeExpiryMs")
    margin = options.number("refreshMargin")
    if margin is None and before_expiry is not None:
        margin = before_expiry / 1000
    return replace(
        profile,
        token_paths=paths,
        expires_in_unit=options.word("expiresInUnit", ("s", "ms", "absolute"), "s"),
        default_expires_in=options.number("defaultExpiresIn"),
        capture_from_token=read_captures(options, "captureFromToken", paths),
        capture_from_callback=read_captures(options, "captureFromCallback", paths),
        refresh_rotation=options.word(
            "refreshRotation", ("always", "sometimes", "never"), "sometimes"
        ),
        grace_seconds=options.number("graceSeconds") or 0.0,
        refresh_retry_safe=options.word("refreshRetry", ("never", "safe"), "never") == "safe",
        refresh_margin=margin,
        refresh_strategy=refresh.word("strategy", ("auto", "manual"), "auto"),
    )


def _known_style(profile: OAuthProfile, methods: Any) -> str:
    if profile.auth_style_chosen or profile.auth_style != "header":
        return profile.auth_style
    if not isinstance(methods, list) or not methods:  # RFC 8414 §2: client_secret_basic then
        return profile.auth_style
    known = (style for method, style in _STYLE_OF_METHOD.items() if method in methods)
    return next(known, profile.auth_style)


def _refuse_incomplete(profile: OAuthProfile, given: Options) -> None:
    authenticates = profile.auth_style != "none"
    needs = {
        "clientId": not profile.client_id and (authenticates or profile.grant != "token_exchange"),
        "clientSecret": profile.auth_style in {"header", "body"} and not given.has("clientSecret"),
        "privateKey": not profile.private_key
        and (profile.auth_style == "private_key_jwt" or profile.grant == "jwt_bearer"),
        "subjectToken": profile.grant == "token_exchange" and not profile.subject_token,
    }
    missing = [name for name, is_missing in needs.items() if is_missing]
    if missing:
        message = f"The config has no {' and no '.join(missing)}, which {profile.grant} needs"
        raise CredentialsIncomplete(message, fields=missing)
    if not profile.issuer:
        _refuse_missing_urls(profile)


def _refuse_missing_urls(profile: OAuthProfile) -> None:
    for name in _NEEDED_URLS.get(profile.grant, ("tokenUrl",)):
        if not getattr(profile, _OF_METADATA[name][0]):
            raise misconfigured(f"oauth2Config.{name}", f"is missing; {profile.grant} needs it")
