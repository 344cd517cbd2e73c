"""Reading `oauth2Config`; what it says is kept as written."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from registry.fields import Fields
from registry.oauth.captures import read_answer
from registry.oauth.grants import GRANTS, GRANTS_OF, endpoints, usual_grant
from registry.oauth.parameters import read_parameters
from registry.oauth.urls import address_problems, url_problems, variable_problems
from registry.problems import pointer
from registry.templates import ConfigFields

_URLS: Final = (
    *("authorizationUrl", "tokenUrl", "refreshUrl", "deviceAuthorizationUrl"),
    *("revocationUrl", "introspectionUrl", "issuer"),
)
_TEXTS: Final = (
    *("clientId", "scopeDelimiter", "keyId", "codeParam"),
    *("subjectTokenType", "actorTokenType", "requestedTokenType"),
)
_FILLED_TEXTS: Final = ("audience", "subject")
_TOKEN_FIELDS: Final = ("subjectTokenField", "actorTokenField")
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "authStyle": ("header", "body", "none", "private_key_jwt"),
    "tokenBodyFormat": ("form", "json"),
    "expiresInUnit": ("s", "ms", "absolute"),
    "refreshRotation": ("always", "sometimes", "never"),
    "refreshRetry": ("never", "safe"),
    "signingAlgorithm": (
        *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        *("ES256", "ES384", "ES512", "EdDSA"),
    ),
}
_SECONDS: Final[Mapping[str, float]] = {
    "defaultExpiresIn": 315_360_000,
    "graceSeconds": 86_400,
    "refreshMargin": 86_400,
}
_NEVER_HERE: Final = ("clientSecret", "refreshToken", "accessToken", "privateKey")
_OWN_CLAIMS: Final = frozenset({"iss", "sub", "aud", "exp", "iat", "nbf", "jti"})  # RFC 7523 §3


def read_oauth2(top: Fields, auth_type: str, config: ConfigFields) -> Mapping[str, Any] | None:
    """Read `oauth2Config`."""
    oauth2 = top.inner("oauth2Config")
    usual = usual_grant(auth_type)
    if oauth2 is None:
        if usual:
            needed = " and ".join(endpoints(usual))
            message = f"is missing; authType {auth_type} needs its {needed}, or its issuer"
            top.refuse("oauth2Config", message)
        return None
    grant = oauth2.word("grant", GRANTS_OF.get(auth_type, GRANTS), usual)
    _read_endpoints(oauth2, grant, config)
    _read_options(oauth2, config)
    read_parameters(oauth2, grant, config)
    read_answer(oauth2, config)
    read_refresh(oauth2)
    _check_config(top, oauth2, grant, config)
    oauth2.rest(())
    value = top.raw("oauth2Config")
    return value if isinstance(value, Mapping) else None


def _read_endpoints(oauth2: Fields, grant: str, config: ConfigFields) -> None:
    for name in endpoints(grant) if grant and oauth2.readable else ():
        if not (oauth2.has(name) or oauth2.has("issuer")):
            oauth2.refuse(name, "is missing; name it, or the issuer that publishes it (RFC 8414)")
    for name in _URLS:
        url = oauth2.text(name)
        if isinstance(oauth2.raw(name), str):
            for problem in url_problems(url, config):
                oauth2.refuse(name, problem)
    for index, url in enumerate(oauth2.texts("redirectUris")):
        for problem in address_problems(url):
            oauth2.findings.refuse(f"{oauth2.at('redirectUris')}/{index}", problem)


def _read_options(oauth2: Fields, config: ConfigFields) -> None:
    for name in _TEXTS:
        oauth2.text(name)
    for name in _FILLED_TEXTS:
        for problem in variable_problems(oauth2.text(name), config):
            oauth2.refuse(name, problem)
    for name, choices in _WORDS.items():
        oauth2.word(name, choices)
    for name, most in _SECONDS.items():
        oauth2.number(name, 0, most)
    _refuse_secrets(oauth2)
    _read_scope(oauth2)
    _read_pkce(oauth2)
    _read_claims(oauth2)


def _refuse_secrets(oauth2: Fields) -> None:
    for name in _NEVER_HERE:
        if oauth2.has(name):
            oauth2.raw(name)
            message = "must not stand in a definition, which others read; send it in the config"
            oauth2.refuse(name, f"{message} of each instance, under a field of configSchema")


def _read_claims(oauth2: Fields) -> None:
    for name, _ in oauth2.items("assertionClaims"):
        if name in _OWN_CLAIMS:
            at = oauth2.at("assertionClaims") + pointer(name)
            oauth2.findings.refuse(at, "is set by the service itself")


def _read_scope(oauth2: Fields) -> None:
    scope = oauth2.raw("scope", "")
    listed = scope if isinstance(scope, list) else [scope]
    if not all(isinstance(item, str) for item in listed):
        oauth2.refuse("scope", "must be a text or a list of texts")


def _read_pkce(oauth2: Fields) -> None:
    pkce = oauth2.raw("pkce", default=True)
    if not (isinstance(pkce, bool) or pkce in ("required", "off")):
        oauth2.refuse("pkce", "must be true, false, required or off")


def read_refresh(holder: Fields) -> None:
    """Check `refreshTokenConfig`, which may stand in oauth2Config or beside it."""
    refresh = holder.inner("refreshTokenConfig")
    if refresh is not None:
        refresh.word("strategy", ("auto", "manual"), "auto")
        refresh.whole("timeBeforeExpiryMs", 0, 86_400_000)
        refresh.rest(())


def _check_config(top: Fields, oauth2: Fields, grant: str, config: ConfigFields) -> None:
    """Look for the fields of the config that the grant needs, and at who may read them."""
    tokens = [_read_token_field(oauth2, name, config) for name in _TOKEN_FIELDS]
    needed = (*_needed(oauth2, grant), *(tokens[:1] if grant == "token_exchange" else ()))
    missing = [field for field in needed if config.absence(field)]
    if missing:
        message = f"has no {' and no '.join(missing)}, where {grant} looks for its credentials"
        top.findings.warn("/configSchema", f"{message}; add it")
    for field in ("clientSecret", "privateKey", *tokens):
        if not config.absence(field) and not config.hides(field):
            place = top.at("configSchema") + pointer("properties", field)
            top.findings.refuse(place, "must be secret; mark it with x-secret: true")


def _read_token_field(oauth2: Fields, name: str, config: ConfigFields) -> str:
    field = oauth2.text(name, name.removesuffix("Field"))
    if oauth2.has(name) and (problem := config.absence(field)):
        oauth2.refuse(name, f"names {field}, which {problem}")
    return field


def _needed(oauth2: Fields, grant: str) -> Iterator[str]:
    style = oauth2.raw("authStyle")
    if grant not in {"", "token_exchange"} and not oauth2.has("clientId"):
        yield "clientId"
    if style in ("header", "body"):
        yield "clientSecret"
    if grant == "jwt_bearer" or style == "private_key_jwt":
        yield "privateKey"
