"""What definition and config say about OAuth 2, and what of it is refused."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.errors import CredentialsError, CredentialsIncomplete, OAuthMisconfigured
from credentials.model import AuthScheme, CertificateFields, ClientCertificate, Connection
from credentials.oauth.profile import OAuthProfile, read_profile, with_metadata
from tests.unit.credentials.oauth.profiles import (
    CLIENT,
    ENDPOINTS,
    REDIRECT,
    SERVER,
    connection,
    profile,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)
OPTIONS = (
    *("grant", "clientId", "authorizationUrl", "tokenUrl", "refreshUrl", "issuer", "scope"),
    *("scopeDelimiter", "authStyle", "pkce", "tokenBodyFormat", "additionalParameters"),
    *("tokenParameters", "paramNames", "codeParam", "tokenResponse", "expiresInUnit"),
    *("defaultExpiresIn", "captureFromToken", "captureFromCallback", "refreshRotation"),
    *("graceSeconds", "refreshRetry", "refreshMargin", "refreshTokenConfig", "audience", "subject"),
    *("keyId", "signingAlgorithm", "assertionClaims", "subjectTokenField", "subjectTokenType"),
)


def test_what_is_not_said_has_the_usual_value() -> None:
    """Endpoints and a client are all that a definition has to say."""
    read = profile()
    assert (read.grant, read.auth_style, read.pkce) == ("authorization_code", "header", True)
    assert (read.refresh_url, read.token_body_format) == (f"{SERVER}/token", "form")
    assert (read.refresh_rotation, read.refresh_strategy) == ("sometimes", "auto")
    assert (read.refresh_margin, read.default_expires_in, read.grace_seconds) == (None, None, 0.0)
    assert read.redirect_uris == (REDIRECT,)
    assert not read.refresh_retry_safe


def test_every_option_is_read() -> None:
    """What a definition says about tokens and their refresh arrives in the profile."""
    read = profile(
        refreshUrl=f"{SERVER}/refresh",
        pkce="off",
        redirectUris=["https://other.example.com/cb"],
        tokenBodyFormat="json",
        refreshRotation="always",
        graceSeconds=30,
        refreshRetry="safe",
        refreshMargin=120,
        expiresInUnit="ms",
        defaultExpiresIn=3600,
        codeParam="spapi_oauth_code",
        refreshTokenConfig={"strategy": "manual", "timeBeforeExpiryMs": 5},
        tokenResponse={"accessToken": "a.b", "error": "e"},
        authStyle="body",
        audience="https://{config.account}.example.com",
        config={"account": "acme"},
    )
    assert (read.refresh_url, read.pkce, read.token_body_format) == (
        f"{SERVER}/refresh",
        False,
        "json",
    )
    assert (read.refresh_rotation, read.grace_seconds, read.refresh_retry_safe) == (
        "always",
        30.0,
        True,
    )
    assert (read.refresh_margin, read.refresh_strategy) == (120.0, "manual")
    assert (read.expires_in_unit, read.default_expires_in) == ("ms", 3600.0)
    assert (read.code_param, read.auth_style) == ("spapi_oauth_code", "body")
    assert read.audience == "https://acme.example.com"
    assert read.token_paths.access_token == ("a.b", "access_token")
    assert read.token_paths.refresh_token == ("refresh_token",)
    assert read.token_paths.error == ("e", "error")
    assert read.redirect_uris == (REDIRECT, "https://other.example.com/cb")
    assert profile(pkce="required").pkce


@pytest.mark.parametrize(
    ("auth_type", "oauth2", "grant"),
    [
        ("oauth2", {}, "authorization_code"),
        ("oauth2", {"grant": "device_code"}, "device_code"),
        ("oauth2_client_credentials", {}, "client_credentials"),
        ("jwt_bearer", {}, "jwt_bearer"),
        ("oauth2", {"grant": "token_exchange"}, "token_exchange"),
    ],
)
def test_the_auth_type_has_a_grant_unless_the_definition_names_one(
    auth_type: str, oauth2: dict[str, Any], grant: str
) -> None:
    """Each auth type has its usual grant, and `grant` chooses another."""
    fields = {**CLIENT, "privateKey": "-", "subjectToken": "st"}
    read = read_profile(connection({**ENDPOINTS, **oauth2}, auth_type=auth_type), fields)
    assert read.grant == grant


@pytest.mark.parametrize(
    ("fields", "oauth2", "style"),
    [
        (CLIENT, {}, "header"),
        (CLIENT, {"authStyle": "body"}, "body"),
        (CLIENT, {"authStyle": "none"}, "none"),
        ({"clientId": "c"}, {}, "none"),
        ({"clientId": "c", "privateKey": "k"}, {}, "private_key_jwt"),
        ({"clientId": "c", "privateKey": "k"}, {"grant": "jwt_bearer"}, "none"),
        ({"clientId": "c", "clientSecret": ""}, {"authStyle": "header"}, "header"),
    ],
)
def test_the_client_shows_what_it_has(
    fields: dict[str, str], oauth2: dict[str, Any], style: str
) -> None:
    """Without `authStyle` a secret goes into the header, a key signs, and nothing shows nothing."""
    assert profile(fields=fields, **oauth2).auth_style == style


@pytest.mark.parametrize(
    ("written", "delimiter", "sent"),
    [
        ("a b", None, "a b"),
        (["a", "b"], None, "a b"),
        (["a", "b"], ",", "a,b"),
        ("a b", ",", "a,b"),
        ("a, b ,c", ",", "a,b,c"),
        ("a,b", None, "a,b"),
        ("a  b\n", " ", "a b"),
        ("", None, ""),
    ],
)
def test_scopes_are_joined_as_the_server_wants_them(
    written: Any, delimiter: str | None, sent: str
) -> None:
    """A list or a text with blanks becomes one text with the delimiter."""
    assert profile(scope=written, scopeDelimiter=delimiter).scope == sent


def test_the_config_wins_over_the_definition() -> None:
    """An instance has its own client, scope and audience when its config names them."""
    fields = {"clientId": "mine", "scope": "x y", "audience": "aud", "subject": "me"}
    read = profile(fields=fields, clientId="theirs", scope="z", audience="other", subject="you")
    assert (read.client_id, read.scope, read.audience, read.subject) == ("mine", "x y", "aud", "me")


def test_public_config_and_secrets_are_read_together() -> None:
    """It does not matter in which of the two records a field is kept."""
    fields = {"clientSecret": "s"}
    read = profile(
        fields=fields, config={"clientId": "pub", "redirectUris": [REDIRECT, "https://b/"]}
    )
    assert (read.client_id, read.redirect_uris) == ("pub", (REDIRECT, "https://b/"))


@pytest.mark.parametrize(
    ("fields", "oauth2", "missing"),
    [
        ({}, {}, ["clientId"]),
        ({"clientId": ""}, {}, ["clientId"]),
        ({"clientId": "c"}, {"authStyle": "header"}, ["clientSecret"]),
        ({"clientId": "c"}, {"authStyle": "body"}, ["clientSecret"]),
        ({"clientId": "c"}, {"authStyle": "private_key_jwt"}, ["privateKey"]),
        ({"clientId": "c"}, {"grant": "jwt_bearer"}, ["privateKey"]),
        ({}, {"grant": "jwt_bearer"}, ["clientId", "privateKey"]),
        ({}, {"grant": "token_exchange"}, ["subjectToken"]),
    ],
)
def test_missing_credentials_are_named(
    fields: dict[str, str], oauth2: dict[str, Any], missing: list[str]
) -> None:
    """Each grant names the fields of the config that it cannot do without."""
    with pytest.raises(CredentialsIncomplete) as refused:
        profile(fields=fields, **oauth2)
    assert refused.value.details == {"fields": missing}


@pytest.mark.parametrize(
    ("oauth2", "field"),
    [
        ({"grant": "password"}, "oauth2Config.grant"),
        ({"authStyle": "auto"}, "oauth2Config.authStyle"),
        ({"pkce": "yes"}, "oauth2Config.pkce"),
        ({"tokenBodyFormat": "xml"}, "oauth2Config.tokenBodyFormat"),
        ({"expiresInUnit": "h"}, "oauth2Config.expiresInUnit"),
        ({"defaultExpiresIn": -1}, "oauth2Config.defaultExpiresIn"),
        ({"defaultExpiresIn": True}, "oauth2Config.defaultExpiresIn"),
        ({"defaultExpiresIn": float("nan")}, "oauth2Config.defaultExpiresIn"),
        ({"graceSeconds": 10**30}, "oauth2Config.graceSeconds"),
        ({"scope": 5}, "oauth2Config.scope"),
        ({"scope": ["a", 5]}, "oauth2Config.scope"),
        ({"keyId": "\ud800"}, "oauth2Config.keyId"),
        ({"signingAlgorithm": "none"}, "oauth2Config.signingAlgorithm"),
        ({"signingAlgorithm": "HS256"}, "oauth2Config.signingAlgorithm"),
        ({"refreshRotation": "often"}, "oauth2Config.refreshRotation"),
        ({"refreshTokenConfig": {"strategy": "x"}}, "oauth2Config.refreshTokenConfig.strategy"),
        (
            {"additionalParameters": {"client_id": "x"}},
            "oauth2Config.additionalParameters.client_id",
        ),
        ({"additionalParameters": {"state": "x"}}, "oauth2Config.additionalParameters.state"),
        (
            {"additionalParameters": {"redirect_uri": "x"}},
            "oauth2Config.additionalParameters.redirect_uri",
        ),
        (
            {"additionalParameters": {"response_type": "token"}},
            "oauth2Config.additionalParameters.response_type",
        ),
        (
            {"additionalParameters": {"code_challenge": "x"}},
            "oauth2Config.additionalParameters.code_challenge",
        ),
        (
            {"additionalParameters": {"code_challenge_method": "plain"}},
            "oauth2Config.additionalParameters.code_challenge_method",
        ),
        (
            {
                "additionalParameters": {"client_key": "x"},
                "paramNames": {"clientId": "client_key"},
            },
            "oauth2Config.additionalParameters.client_key",
        ),
        ({"tokenParameters": {"code": "x"}}, "oauth2Config.tokenParameters.code"),
        ({"tokenParameters": {"grant_type": "x"}}, "oauth2Config.tokenParameters.grant_type"),
        ({"tokenParameters": {"a": 5}}, "oauth2Config.tokenParameters.a"),
        ({"paramNames": {"state": "x"}}, "oauth2Config.paramNames.state"),
        ({"paramNames": {"code": ""}}, "oauth2Config.paramNames.code"),
        ({"paramNames": {"scope": "state"}}, "oauth2Config.paramNames.scope"),
        ({"paramNames": {"scope": "client_id"}}, "oauth2Config.paramNames"),
        ({"paramNames": {"scope": "a b"}}, "oauth2Config.paramNames.scope"),
        ({"tokenResponse": {"accessToken": ""}}, "oauth2Config.tokenResponse.accessToken"),
        ({"tokenResponse": []}, "oauth2Config.tokenResponse"),
        ({"tokenResponse": {"error": 5}}, "oauth2Config.tokenResponse.error"),
        ({"captureFromToken": {"a": ""}}, "oauth2Config.captureFromToken.a"),
        ({"captureFromToken": {"a": 5}}, "oauth2Config.captureFromToken.a"),
        ({"captureFromToken": {"a": "access_token"}}, "oauth2Config.captureFromToken.a"),
        ({"captureFromToken": {"a": "data.refresh_token"}}, "oauth2Config.captureFromToken.a"),
        (
            {"captureFromToken": {"a": "t.x"}, "tokenResponse": {"accessToken": "t.x"}},
            "oauth2Config.captureFromToken.a",
        ),
        ({"captureFromCallback": {"a": "code"}}, "oauth2Config.captureFromCallback.a"),
        (
            {"captureFromToken": {"a": {"path": "b", "pattern": "("}}},
            "oauth2Config.captureFromToken.a",
        ),
        (
            {"captureFromToken": {"a": {"path": "b", "pattern": "(?=a)"}}},
            "oauth2Config.captureFromToken.a",
        ),
        ({"assertionClaims": {"sub": "x"}}, "oauth2Config.assertionClaims.sub"),
        ({"tokenUrl": None}, "oauth2Config.tokenUrl"),
        ({"authorizationUrl": ""}, "oauth2Config.authorizationUrl"),
        (
            {"grant": "device_code", "deviceAuthorizationUrl": None},
            "oauth2Config.deviceAuthorizationUrl",
        ),
        ({"tokenUrl": "https://{config.host}/t"}, "config.host"),
        ({"audience": "{config.host}"}, "config.host"),
    ],
)
def test_what_a_definition_gets_wrong_is_named(oauth2: dict[str, Any], field: str) -> None:
    """Each wrong option is refused under its own name."""
    with pytest.raises(OAuthMisconfigured) as refused:
        profile(**oauth2)
    assert refused.value.details == {"field": field}


def test_a_field_of_another_name_may_hold_the_subject_token() -> None:
    """Token exchange takes its tokens from the fields that the definition names."""
    read = profile(
        fields={"userToken": "ut", "serviceToken": "svc"},
        grant="token_exchange",
        subjectTokenField="userToken",
        subjectTokenType="urn:ietf:params:oauth:token-type:jwt",
        actorTokenField="serviceToken",
    )
    assert (read.subject_token, read.actor_token) == ("ut", "svc")
    assert read.subject_token_type == "urn:ietf:params:oauth:token-type:jwt"
    assert set(read.secrets) == {"ut", "svc"}


def test_a_client_certificate_goes_along() -> None:
    """Where the definition names a certificate, the authorization server sees it too (RFC 8705)."""
    scheme = AuthScheme("oauth2", certificate=CertificateFields("cert", "key"))
    tls = Connection(scheme, {**ENDPOINTS}, {}, 1, "")
    assert read_profile(tls, {**CLIENT, "cert": "C", "key": "K"}).certificate == ClientCertificate(
        "C", "K"
    )
    assert read_profile(tls, CLIENT).certificate is None


def test_no_secret_is_printed() -> None:
    """Neither the text of a profile nor an error about it shows a secret."""
    assert "hush" not in repr(profile())
    with pytest.raises(CredentialsError) as refused:
        profile(tokenUrl="http://as.example.com/hush-hush-secret")
    assert "hush" not in f"{refused.value} {refused.value.details}"


METADATA = {
    "issuer": SERVER,
    "authorization_endpoint": f"{SERVER}/meta/authorize",
    "token_endpoint": f"{SERVER}/meta/token",
    "revocation_endpoint": f"{SERVER}/meta/revoke",
    "introspection_endpoint": f"{SERVER}/meta/introspect",
    "device_authorization_endpoint": f"{SERVER}/meta/device",
    "authorization_response_iss_parameter_supported": True,
    "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
}


class TestMetadata:
    """What the server says of itself fills in what nobody else has said."""

    @staticmethod
    def read(**oauth2: Any) -> OAuthProfile:
        """Read the profile of a definition that has an issuer and little else."""
        return read_profile(connection({"issuer": SERVER, **oauth2}), CLIENT)

    def test_it_fills_the_gaps(self) -> None:
        """An issuer is enough to find every endpoint and the way to authenticate."""
        filled = with_metadata(self.read(), METADATA)
        assert filled.authorization_url == f"{SERVER}/meta/authorize"
        assert filled.token_url == filled.refresh_url == f"{SERVER}/meta/token"
        assert filled.revocation_url == f"{SERVER}/meta/revoke"
        assert filled.introspection_url == f"{SERVER}/meta/introspect"
        assert filled.device_authorization_url == f"{SERVER}/meta/device"
        assert filled.auth_style == "body"
        assert filled.requires_iss

    def test_it_replaces_nothing(self) -> None:
        """What the definition says stays."""
        filled = with_metadata(self.read(tokenUrl=f"{SERVER}/mine", authStyle="header"), METADATA)
        assert filled.token_url == filled.refresh_url == f"{SERVER}/mine"
        assert filled.auth_style == "header"

    @pytest.mark.parametrize(
        ("methods", "style"),
        [
            (None, "header"),
            ([], "header"),
            ("client_secret_post", "header"),
            (["client_secret_basic", "client_secret_post"], "header"),
            (["private_key_jwt"], "header"),
        ],
    )
    def test_basic_is_what_servers_know(self, methods: Any, style: str) -> None:
        """Without a word on it, or with an odd one, the client authenticates in the header."""
        metadata = {**METADATA, "token_endpoint_auth_methods_supported": methods}
        assert with_metadata(self.read(), metadata).auth_style == style

    def test_a_gap_that_is_left_is_named(self) -> None:
        """Metadata without a token endpoint does not do."""
        with pytest.raises(OAuthMisconfigured) as refused:
            with_metadata(self.read(), {**METADATA, "token_endpoint": None})
        assert refused.value.details == {"field": "oauth2Config.tokenUrl"}

    @pytest.mark.parametrize("url", ["http://as.example.com/token", "file:///etc/passwd", "/token"])
    def test_its_urls_are_checked_too(self, url: str) -> None:
        """A server cannot send our secrets over plain http, or elsewhere than to the web."""
        with pytest.raises(OAuthMisconfigured):
            with_metadata(self.read(), {**METADATA, "token_endpoint": url})


@given(oauth2=st.dictionaries(st.sampled_from(OPTIONS), JSON, max_size=5), fields=JSON)
def test_whatever_is_written_is_read_or_refused(oauth2: dict[str, Any], fields: Any) -> None:
    """No option of any JSON value makes anything but a profile or one of two errors."""
    extra = fields if isinstance(fields, dict) else {"scope": fields, "redirectUri": fields}
    wanted = (OAuthMisconfigured, CredentialsIncomplete)
    with suppress(*wanted):
        read = read_profile(connection({**ENDPOINTS, **oauth2}), {**CLIENT, **extra})
        assert read.token_url
