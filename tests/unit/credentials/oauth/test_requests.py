"""The requests to an authorization server, byte for byte."""

import json
from base64 import b64decode
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oauthlib.oauth2 import BackendApplicationClient, DeviceClient, WebApplicationClient

from credentials.errors import OAuthMisconfigured
from credentials.model import AuthScheme, CertificateFields, Connection, OutboundRequest
from credentials.oauth.profile import read_profile
from credentials.oauth.requests import (
    client_credentials_request,
    code_request,
    device_request,
    device_token_request,
    exchange_request,
    introspection_request,
    refresh_request,
    renewal_request,
    revocation_request,
)
from tests.unit.credentials.oauth.profiles import CLIENT, ENDPOINTS, REDIRECT, SERVER, profile

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FORM = "application/x-www-form-urlencoded"
SECRETS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


def form(request: OutboundRequest) -> dict[str, str]:
    """Read the form of a request, in which nothing stands twice."""
    assert dict(request.headers)["Content-Type"] == FORM
    pairs = parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


class TestClientAuthentication:
    """How the client says who it is."""

    def test_the_example_of_the_rfc(self) -> None:
        """The token request of RFC 6749 §4.1.3 comes out with its header."""
        read = profile(fields={"clientId": "s6BhdRkqt3", "clientSecret": "gX1fBat3bV"}, pkce=False)
        request = code_request(
            read, "SplxlOBeZQQYbYS6WxSbIA", "https://client.example.com/cb", "", NOW
        )
        assert (request.method, request.url) == ("POST", f"{SERVER}/token")
        assert dict(request.headers) == {
            "Accept": "application/json",
            "Content-Type": FORM,
            "Authorization": "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW",
        }
        assert form(request) == {
            "grant_type": "authorization_code",
            "code": "SplxlOBeZQQYbYS6WxSbIA",
            "redirect_uri": "https://client.example.com/cb",
        }

    @pytest.mark.parametrize(
        ("client_id", "secret", "plain"),
        [
            ("a:b", "c d", "a%3Ab:c+d"),
            ("é", "%+&", "%C3%A9:%25%2B%26"),
            ("https://x", "", "https%3A%2F%2Fx:"),
        ],
    )
    def test_basic_encodes_both_parts_first(self, client_id: str, secret: str, plain: str) -> None:
        """Id and secret are form-encoded before they are joined (RFC 6749 §2.3.1)."""
        fields = {"clientId": client_id, "clientSecret": secret}
        request = refresh_request(profile(fields=fields, authStyle="header"), "rt", NOW)
        scheme, _, value = dict(request.headers)["Authorization"].partition(" ")
        assert (scheme, b64decode(value).decode("ascii")) == ("Basic", plain)

    @given(client_id=SECRETS, secret=SECRETS)
    def test_basic_can_be_read_again(self, client_id: str, secret: str) -> None:
        """A server that does as the RFC says gets what the config has."""
        fields = {"clientId": client_id, "clientSecret": secret}
        request = refresh_request(profile(fields=fields), "rt", NOW)
        value = b64decode(dict(request.headers)["Authorization"].removeprefix("Basic "))
        parts = value.decode("ascii").split(":")
        assert [unquote_plus(part) for part in parts] == [client_id, secret]
        assert "client_id" not in form(request)

    def test_in_the_body(self) -> None:
        """`body` sends id and secret as parameters, and no header."""
        request = refresh_request(profile(authStyle="body"), "rt", NOW)
        assert "Authorization" not in dict(request.headers)
        assert form(request) == {
            "grant_type": "refresh_token",
            "refresh_token": "rt",
            "client_id": CLIENT["clientId"],
            "client_secret": CLIENT["clientSecret"],
        }

    def test_not_at_all(self) -> None:
        """`none` names the client and shows no secret, even where there is one."""
        request = refresh_request(profile(authStyle="none"), "rt", NOW)
        assert "Authorization" not in dict(request.headers)
        assert form(request) == {
            "grant_type": "refresh_token",
            "refresh_token": "rt",
            "client_id": CLIENT["clientId"],
        }

    def test_by_certificate(self) -> None:
        """The client's certificate goes along with every request (RFC 8705)."""
        scheme = AuthScheme("oauth2", certificate=CertificateFields("cert", "key"))
        fields = {"clientId": "c", "cert": "C", "key": "K"}
        read = read_profile(Connection(scheme, {**ENDPOINTS}, {}, 1, ""), fields)
        for request in (refresh_request(read, "rt", NOW), revocation_request(read, "t", "h", NOW)):
            assert request.certificate is not None
            assert request.certificate.key == "K"


class TestGrants:
    """What is asked for, grant by grant."""

    def test_a_code_with_its_verifier(self) -> None:
        """The verifier and the same redirect URI prove that the code is ours."""
        assert form(code_request(profile(), "c&1", REDIRECT, "v" * 43, NOW)) == {
            "grant_type": "authorization_code",
            "code": "c&1",
            "redirect_uri": REDIRECT,
            "code_verifier": "v" * 43,
        }

    def test_a_code_without_pkce(self) -> None:
        """A definition that switches PKCE off sends no verifier."""
        assert "code_verifier" not in form(
            code_request(profile(pkce=False), "c", REDIRECT, "v", NOW)
        )

    def test_a_refresh_goes_to_its_own_url(self) -> None:
        """`refreshUrl` is asked, and the scope is left as it was granted."""
        request = refresh_request(profile(refreshUrl=f"{SERVER}/refresh", scope="a"), "rt", NOW)
        assert request.url == f"{SERVER}/refresh"
        assert form(request) == {"grant_type": "refresh_token", "refresh_token": "rt"}

    def test_client_credentials(self) -> None:
        """Scope and audience go along (Auth0), and a type of the server's own (Zoom)."""
        usual = profile(grant="client_credentials", scope="a b", audience="https://api")
        assert form(client_credentials_request(usual, NOW)) == {
            "grant_type": "client_credentials",
            "scope": "a b",
            "audience": "https://api",
        }
        zoom = profile(
            grant="client_credentials",
            tokenParameters={"grant_type": "account_credentials", "account_id": "{config.account}"},
            config={"account": "acme"},
        )
        assert form(client_credentials_request(zoom, NOW)) == {
            "grant_type": "account_credentials",
            "account_id": "acme",
        }

    def test_a_device_code(self) -> None:
        """The device flow asks for codes first, then for tokens (RFC 8628 §3.1, §3.4)."""
        read = profile(
            fields={"clientId": "c"},
            grant="device_code",
            scope="a",
            additionalParameters={"prompt": "x"},
        )
        request = device_request(read, NOW)
        assert request.url == f"{SERVER}/device"
        assert form(request) == {"scope": "a", "prompt": "x", "client_id": "c"}
        with_secret = device_request(profile(grant="device_code"), NOW)
        assert form(with_secret) == {"client_id": CLIENT["clientId"]}
        assert "Authorization" in dict(with_secret.headers)
        assert form(device_token_request(read, "dc", NOW)) == {
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
            "device_code": "dc",
            "client_id": "c",
        }

    def test_a_token_exchange(self) -> None:
        """The subject's and the actor's token are sent with their types (RFC 8693 §2.1)."""
        read = profile(
            fields={**CLIENT, "subjectToken": "st", "actorToken": "at"},
            grant="token_exchange",
            scope="a",
            audience="aud",
            requestedTokenType="urn:x",
            tokenParameters={"resource": "https://r"},
        )
        kind = "urn:ietf:params:oauth:token-type:access_token"
        assert form(exchange_request(read, NOW)) == {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": "st",
            "subject_token_type": kind,
            "actor_token": "at",
            "actor_token_type": kind,
            "scope": "a",
            "audience": "aud",
            "requested_token_type": "urn:x",
            "resource": "https://r",
        }

    @pytest.mark.parametrize(
        ("grant", "refresh_token", "grant_type"),
        [
            ("authorization_code", "rt", "refresh_token"),
            ("device_code", "rt", "refresh_token"),
            ("client_credentials", "", "client_credentials"),
            ("client_credentials", "rt", "client_credentials"),
            ("token_exchange", "rt", "refresh_token"),
            ("token_exchange", "", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ],
    )
    def test_each_grant_is_renewed_in_its_way(
        self, grant: str, refresh_token: str, grant_type: str
    ) -> None:
        """A refresh token is used where there is one to use, everything else begins anew."""
        read = profile(fields={**CLIENT, "subjectToken": "st"}, grant=grant)
        request = renewal_request(read, refresh_token, NOW)
        assert request is not None
        assert form(request)["grant_type"] == grant_type

    @pytest.mark.parametrize("grant", ["authorization_code", "device_code"])
    def test_some_only_their_owner_can_renew(self, grant: str) -> None:
        """Without a refresh token there is nothing to ask with."""
        assert renewal_request(profile(grant=grant), "", NOW) is None


class TestShapes:
    """How servers want to be asked that want it differently."""

    def test_a_json_body(self) -> None:
        """Notion and others are asked in JSON; revocation stays a form (RFC 7009)."""
        read = profile(tokenBodyFormat="json", authStyle="body")
        request = code_request(read, 'c"é', REDIRECT, "v", NOW)
        assert dict(request.headers)["Content-Type"] == "application/json"
        assert dict(request.headers)["Accept"] == "application/json"
        assert json.loads(request.body) == {
            "grant_type": "authorization_code",
            "code": 'c"é',
            "redirect_uri": REDIRECT,
            "code_verifier": "v",
            "client_id": CLIENT["clientId"],
            "client_secret": CLIENT["clientSecret"],
        }
        assert form(revocation_request(read, "t", "access_token", NOW))["token"] == "t"

    def test_other_names_and_more_parameters(self) -> None:
        """TikTok's names are used in token requests too, and added parameters come along."""
        read = profile(
            authStyle="body",
            paramNames={"clientId": "client_key", "code": "auth_code", "redirectUri": ""},
            tokenParameters={"audience": "x"},
        )
        assert form(code_request(read, "c", REDIRECT, "v", NOW)) == {
            "grant_type": "authorization_code",
            "auth_code": "c",
            "code_verifier": "v",
            "audience": "x",
            "client_key": CLIENT["clientId"],
            "client_secret": CLIENT["clientSecret"],
        }

    def test_about_a_token(self) -> None:
        """Revocation (RFC 7009) and introspection (RFC 7662) name a token and its kind."""
        revocation = revocation_request(profile(), "t", "refresh_token", NOW)
        assert revocation.url == f"{SERVER}/revoke"
        assert form(revocation) == {"token": "t", "token_type_hint": "refresh_token"}
        introspection = introspection_request(profile(), "t", NOW)
        assert introspection.url == f"{SERVER}/introspect"
        assert form(introspection) == {"token": "t", "token_type_hint": "access_token"}

    @pytest.mark.parametrize(
        "missing", ["revocationUrl", "introspectionUrl", "deviceAuthorizationUrl"]
    )
    def test_without_a_place_to_ask_there_is_no_request(self, missing: str) -> None:
        """Each request names the URL that it misses."""
        read = profile(**{missing: None})
        ask: dict[str, Any] = {
            "revocationUrl": lambda: revocation_request(read, "t", "access_token", NOW),
            "introspectionUrl": lambda: introspection_request(read, "t", NOW),
            "deviceAuthorizationUrl": lambda: device_request(read, NOW),
        }
        with pytest.raises(OAuthMisconfigured) as refused:
            ask[missing]()
        assert refused.value.details == {"field": f"oauth2Config.{missing}"}

    def test_nothing_of_it_is_printed(self) -> None:
        """The text of a request shows its method only."""
        assert (
            repr(code_request(profile(), "c-1", REDIRECT, "v", NOW)) == "OutboundRequest(POST: ***)"
        )


@given(code=SECRETS, verifier=st.text("abc-._~0", min_size=43, max_size=60), token=SECRETS)
def test_oauthlib_asks_for_the_same(code: str, verifier: str, token: str) -> None:
    """Another client's bodies have the same parameters as ours, whatever the values are."""
    read = profile(authStyle="none", scope="a b")
    web = WebApplicationClient("client-1", code_verifier=verifier)
    expected = web.prepare_request_body(code=code, redirect_uri=REDIRECT, code_verifier=verifier)
    assert form(code_request(read, code, REDIRECT, verifier, NOW)) == dict(parse_qsl(expected))
    expected = web.prepare_refresh_body(refresh_token=token, client_id="client-1")
    assert form(refresh_request(read, token, NOW)) == dict(parse_qsl(expected))
    own = BackendApplicationClient("client-1")
    expected = own.prepare_request_body(scope="a b", include_client_id=True)
    assert form(client_credentials_request(read, NOW)) == dict(parse_qsl(expected))
    device = DeviceClient("client-1")
    expected = device.prepare_request_body(token, include_client_id=True)
    assert form(device_token_request(read, token, NOW)) == dict(parse_qsl(expected))
