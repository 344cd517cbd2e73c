"""The visit to the authorization server: where the browser goes, and what it brings back."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oauthlib.oauth2 import WebApplicationClient

from credentials.errors import AuthorizationRefused, OAuthMisconfigured
from credentials.oauth.authorization import (
    authorization_url,
    challenge,
    check_redirect,
    new_verifier,
    read_callback,
)
from credentials.oauth.profile import read_profile, with_metadata
from tests.unit.credentials.oauth.profiles import CLIENT, ENDPOINTS, REDIRECT, connection, profile

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
ISSUER = "https://as.example.com"


def query_of(url: str) -> list[tuple[str, str]]:
    """Answer the parameters of a URL."""
    return parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)


def test_the_challenge_is_that_of_the_rfc() -> None:
    """The example of RFC 7636, appendix B, comes out."""
    assert challenge(VERIFIER) == CHALLENGE


def test_verifiers_are_long_random_and_well_formed() -> None:
    """A verifier has 64 characters that RFC 7636 §4.1 allows, and no two are the same."""
    verifiers = {new_verifier() for _ in range(100)}
    assert len(verifiers) == 100
    assert all(len(verifier) == 64 for verifier in verifiers)
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
    assert all(set(verifier) <= allowed for verifier in verifiers)


@given(st.text("abcXYZ019-._~", min_size=43, max_size=128))
def test_challenges_are_those_of_oauthlib(verifier: str) -> None:
    """Another implementation makes the same challenge of every verifier."""
    client = WebApplicationClient("c")
    assert challenge(verifier) == client.create_code_challenge(verifier, "S256")


class TestAuthorizationUrl:
    """Where the browser is sent."""

    SPECIFIED = (
        "https://accounts.google.com/o/oauth2/auth"
        "?client_id=your-google-client-id.apps.googleusercontent.com"
        "&redirect_uri=https%3A%2F%2Fyour-app.example.com%2Foauth%2Fcallback&response_type=code"
        "&scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcalendar.readonly"
        "&access_type=offline&prompt=consent&state=abc123"
    )

    @pytest.mark.parametrize(
        ("pkce", "rest"),
        [(False, ""), (True, f"&code_challenge={CHALLENGE}&code_challenge_method=S256")],
    )
    def test_it_is_the_specified_one(self, pkce: bool, rest: str) -> None:  # noqa: FBT001
        """The Google example of the specification comes out to the letter; PKCE comes after it."""
        definition = {
            "authorizationUrl": "https://accounts.google.com/o/oauth2/auth",
            "tokenUrl": "https://oauth2.googleapis.com/token",
            "refreshUrl": "https://oauth2.googleapis.com/token",
            "scopeDelimiter": " ",
            "authStyle": "header",
            "additionalParameters": {"access_type": "offline", "prompt": "consent"},
            "pkce": pkce,
        }
        config = {
            "clientId": "your-google-client-id.apps.googleusercontent.com",
            "clientSecret": "your-google-client-secret",
            "redirectUri": "https://your-app.example.com/oauth/callback",
            "scope": "https://www.googleapis.com/auth/calendar.readonly",
        }
        read = read_profile(connection(definition), config)
        url = authorization_url(read, config["redirectUri"], "abc123", VERIFIER)
        assert url == self.SPECIFIED + rest

    def test_what_the_url_has_already_stays(self) -> None:
        """A query in the definition's URL is kept, but for parameters that are ours."""
        read = profile(
            authorizationUrl="https://as/a?tenant=t%20x&client_id=evil&empty=", scope="a b"
        )
        pairs = query_of(authorization_url(read, REDIRECT, "st", VERIFIER))
        assert pairs[:3] == [("tenant", "t x"), ("empty", ""), ("client_id", "client-1")]
        assert [name for name, _ in pairs].count("client_id") == 1

    def test_blanks_are_written_so_that_all_servers_read_them(self) -> None:
        """Scopes are divided by %20, which is a blank to servers that do not read a plus as one."""
        url = authorization_url(profile(scope="a b+c"), REDIRECT, "st", VERIFIER)
        assert "&scope=a%20b%2Bc&" in url

    def test_parameters_have_the_names_of_the_server(self) -> None:
        """A server that calls things by other names is asked by those (TikTok, Monday)."""
        read = profile(
            paramNames={"clientId": "client_key", "responseType": "", "scope": "scopes"},
            additionalParameters={"account": "{config.account}"},
            scope="a",
            config={"account": "x y"},
            pkce=False,
        )
        assert query_of(authorization_url(read, REDIRECT, "st", "")) == [
            ("client_key", "client-1"),
            ("redirect_uri", REDIRECT),
            ("scopes", "a"),
            ("account", "x y"),
            ("state", "st"),
        ]

    def test_without_a_place_to_go_there_is_none(self) -> None:
        """A grant without an authorization endpoint has no URL for a browser."""
        read = profile(grant="client_credentials", authorizationUrl=None)
        with pytest.raises(OAuthMisconfigured):
            authorization_url(read, REDIRECT, "st", VERIFIER)

    @given(
        state=st.text("abc-_019", min_size=1),
        scope=st.lists(st.text("abc:/.é", min_size=1), max_size=3),
        extra=st.dictionaries(
            st.text("xyz_", min_size=1, max_size=5), st.text(st.characters(codec="utf-8"))
        ),
    )
    def test_parameters_arrive_as_they_are(
        self, state: str, scope: list[str], extra: dict[str, str]
    ) -> None:
        """Whatever the values are, the server reads them, and each parameter once."""
        fillable = {name: value for name, value in extra.items() if "{config." not in value}
        read = profile(scope=scope, additionalParameters=fillable)
        pairs = query_of(authorization_url(read, REDIRECT, state, VERIFIER))
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names))
        expected = {**fillable, "state": state, "redirect_uri": REDIRECT, "client_id": "client-1"}
        assert expected.items() <= dict(pairs).items()


class TestRedirect:
    """Where the browser comes back."""

    def test_one_of_the_config_is_taken(self) -> None:
        """Exactly what the config lists may be asked for, and a lone one need not be named."""
        read = profile()
        assert check_redirect(read, REDIRECT) == REDIRECT
        assert check_redirect(read, "") == REDIRECT
        local = "http://127.0.0.1:8000/cb"
        two = profile(fields={**CLIENT, "redirectUri": REDIRECT, "redirectUris": [local]})
        assert check_redirect(two, local) == local

    @pytest.mark.parametrize(
        "asked",
        [
            *(f"{REDIRECT}/", f"{REDIRECT}?a=b", f"{REDIRECT}#", REDIRECT.upper(), f" {REDIRECT}"),
            *("https://app.example.com:443/callback", "https://app.example.com/callback%2F"),
            *("https://evil.com/callback", "https://app.example.com.evil.com/callback", "x"),
        ],
    )
    def test_every_other_is_refused(self, asked: str) -> None:
        """Nearly the same is not the same (RFC 9700 §2.1)."""
        with pytest.raises(OAuthMisconfigured) as refused:
            check_redirect(profile(), asked)
        assert refused.value.details == {"field": "redirectUri"}

    @pytest.mark.parametrize(
        "configured",
        [
            *("http://app.example.com/cb", "javascript:alert(1)", "urn:ietf:wg:oauth:2.0:oob"),
            *("https://u@app.example.com/cb", "https://app.example.com/cb#x", "/cb", "", None),
        ],
    )
    def test_an_unsafe_one_in_the_config_is_refused(self, configured: str | None) -> None:
        """A code must not travel over plain http, or to where no browser should go."""
        with pytest.raises(OAuthMisconfigured):
            check_redirect(profile(fields={**CLIENT, "redirectUri": configured}), configured or "")

    def test_one_of_several_has_to_be_named(self) -> None:
        """With two in the config, none is taken silently."""
        read = profile(fields={**CLIENT, "redirectUris": [REDIRECT, "https://b.example.com/"]})
        with pytest.raises(OAuthMisconfigured):
            check_redirect(read, "")


class TestCallback:
    """What the browser brings back."""

    @pytest.mark.parametrize(
        "parameters",
        [
            {"code": "c-1", "state": "s"},
            {"code": ["c-1"], "state": ["s"]},
            {"code": "c-1", "iss": "https://whoever.example.com"},
            {"code": "c-1", "error": "", "scope": "a b"},
        ],
    )
    def test_the_code_is_read(self, parameters: dict[str, Any]) -> None:
        """One code is what there has to be; without an issuer to compare, `iss` says nothing."""
        callback = read_callback(profile(), parameters)
        assert (callback.code, callback.captured) == ("c-1", {})
        assert "c-1" not in repr(callback)

    @pytest.mark.parametrize(
        ("parameters", "error"),
        [
            ({}, "missing_code"),
            ({"code": ""}, "missing_code"),
            ({"code": "a\r\nb"}, "missing_code"),
            ({"code": "x" * 8193}, "missing_code"),
            ({"code": ["a", "a"]}, "duplicate_parameter"),
            ({"code": []}, "duplicate_parameter"),
            ({"code": "a", "state": ["s", "t"]}, "duplicate_parameter"),
            ({"code": "a", "iss": ["https://a", "https://b"]}, "duplicate_parameter"),
            ({"code": 5}, "invalid_parameter"),
            ({"code": None}, "invalid_parameter"),
            ({"error": "access_denied"}, "access_denied"),
            ({"error": "access_denied", "code": "c"}, "access_denied"),
            ({"error": "<script>"}, "unreadable"),
        ],
    )
    def test_everything_else_is_a_refusal(self, parameters: dict[str, Any], error: str) -> None:
        """The server's error, a parameter that stands twice, and no code at all end the visit."""
        with pytest.raises(AuthorizationRefused) as refused:
            read_callback(profile(), parameters)
        assert refused.value.details["error"] == error

    def test_the_servers_words_are_made_plain(self) -> None:
        """A description is shown without control characters, shortened, and without our secret."""
        text = f"no\r\nX: y {CLIENT['clientSecret']} {'word ' * 500}"
        with pytest.raises(AuthorizationRefused) as refused:
            read_callback(profile(), {"error": "access_denied", "error_description": text})
        description = str(refused.value.details["description"])
        assert description.startswith("no X: y *** word word")
        assert len(description) <= 512
        assert description in refused.value.message

    @pytest.mark.parametrize(
        ("parameters", "promised", "accepted"),
        [
            ({"iss": ISSUER}, True, True),
            ({"iss": ISSUER}, False, True),
            ({}, False, True),
            ({}, True, False),
            ({"iss": ""}, True, False),
            ({"iss": f"{ISSUER}/"}, False, False),
            ({"iss": "https://evil.example.com"}, False, False),
            ({"iss": "https://evil.example.com"}, True, False),
            ({"iss": "https://evil.example.com", "error": "access_denied"}, True, False),
        ],
    )
    def test_it_has_to_come_from_the_issuer(
        self,
        parameters: dict[str, str],
        promised: bool,  # noqa: FBT001
        accepted: bool,  # noqa: FBT001
    ) -> None:
        """`iss` is always compared, and must be there where the server promises it (RFC 9207)."""
        metadata = {"issuer": ISSUER, "authorization_response_iss_parameter_supported": promised}
        read = with_metadata(profile(issuer=ISSUER), metadata)
        if accepted:
            assert read_callback(read, {"code": "c", **parameters}).code == "c"
            return
        with pytest.raises(AuthorizationRefused) as refused:
            read_callback(read, {"code": "c", **parameters})
        assert refused.value.details["error"] == "invalid_issuer"

    def test_what_the_definition_wants_is_captured(self) -> None:
        """QuickBooks' realm, Zoho's host, and Amazon's code under its own name arrive."""
        read = profile(
            codeParam="spapi_oauth_code",
            captureFromCallback={
                "realmId": "realmId",
                "accountsServer": {"path": "accounts-server", "pattern": "https://[a-z.]+"},
                "absent": "absent",
            },
        )
        parameters = {
            "spapi_oauth_code": "c",
            "realmId": "913",
            "accounts-server": "https://accounts.zoho.eu",
        }
        callback = read_callback(read, parameters)
        assert callback.code == "c"
        assert callback.captured == {
            "realmId": "913",
            "accountsServer": "https://accounts.zoho.eu",
        }

    @pytest.mark.parametrize(
        "value", ["https://a.b/x", "xhttps://a.b", "https://a.b\n", "a\r\nb", "", "h" * 1025]
    )
    def test_what_has_another_form_is_refused(self, value: str) -> None:
        """A browser's user can write anything there, so a wrong form ends the visit."""
        read = profile(captureFromCallback={"s": {"path": "s", "pattern": "https://[a-z.]+"}})
        with pytest.raises(AuthorizationRefused):
            read_callback(read, {"code": "c", "s": value})

    @given(
        st.dictionaries(
            st.sampled_from(["code", "state", "error", "iss", "error_description", "realm"])
            | st.text(max_size=5),
            st.text(max_size=20) | st.lists(st.text(max_size=5), max_size=2),
        )
    )
    def test_whatever_comes_back_is_read_or_refused(self, parameters: dict[str, Any]) -> None:
        """No callback does anything but give a printable code or the one error."""
        read = profile(
            captureFromCallback={"realm": "realm"},
            issuer=ISSUER,
            authorizationUrl=ENDPOINTS["authorizationUrl"],
        )
        try:
            callback = read_callback(read, parameters)
        except AuthorizationRefused:
            return
        assert callback.code.isprintable()
        assert callback.captured.keys() <= {"realm"}
