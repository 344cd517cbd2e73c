"""What device authorization, introspection and discovery answer."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.errors import OAuthMisconfigured
from credentials.oauth.answers import (
    DeviceAnswer,
    TokenRefusal,
    read_device_answer,
    read_introspection,
)
from credentials.oauth.discovery import metadata_urls, read_metadata
from tests.unit.credentials.oauth.profiles import profile

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PLAIN = profile()
ISSUER = "https://as.example.com"
DEVICE = {
    "device_code": "dc-1",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://example.com/device",
    "verification_uri_complete": "https://example.com/device?user_code=WDJB-MJHT",
    "expires_in": 1800,
    "interval": 5,
}
GOOGLE = {
    "device_code": "dc-1",
    "user_code": "A" * 20,
    "verification_url": "https://www.google.com/device",
}


def read_device(status: int, answer: Any) -> DeviceAnswer | TokenRefusal:
    """Read a device authorization's answer."""
    return read_device_answer(PLAIN, status, {}, json.dumps(answer).encode())


class TestDevice:
    """What a user is shown, and how often we ask."""

    def test_the_example_of_the_rfc(self) -> None:
        """The answer of RFC 8628 §3.2 is read whole, and printed not at all."""
        found = read_device(200, DEVICE)
        assert found == DeviceAnswer(
            "dc-1",
            "WDJB-MJHT",
            "https://example.com/device",
            "https://example.com/device?user_code=WDJB-MJHT",
            1800.0,
            5.0,
        )
        assert repr(found) == "DeviceAnswer(***)"

    def test_googles_name_for_the_page(self) -> None:
        """Google says `verification_url`, and what nobody says has the RFC's value."""
        found = read_device(200, GOOGLE)
        assert isinstance(found, DeviceAnswer)
        assert found.verification_uri == "https://www.google.com/device"
        assert (found.verification_uri_complete, found.interval) == ("", 5.0)
        assert found.expires_in == 600.0
        assert found.user_code == "A" * 20

    @pytest.mark.parametrize(
        ("interval", "seconds"),
        [(10, 10.0), ("12", 12.0), (0, 1.0), (-3, 1.0), (10**9, 300.0), ("x", 5.0), (None, 5.0)],
    )
    def test_the_interval_is_kept_sane(self, interval: Any, seconds: float) -> None:
        """No server can make us ask in a tight loop, or never again."""
        found = read_device(200, {**DEVICE, "interval": interval})
        assert isinstance(found, DeviceAnswer)
        assert found.interval == seconds

    @pytest.mark.parametrize(
        ("status", "changed", "error"),
        [
            (400, {"error": "invalid_client"}, "invalid_client"),
            (200, {"device_code": None}, "no_token"),
            (200, {"user_code": ""}, "no_token"),
            (200, {"user_code": "a\nb"}, "no_token"),
            (200, {"verification_uri": "javascript:alert(1)"}, "no_token"),
            (200, {"verification_uri": "file:///etc/passwd"}, "no_token"),
            (503, {}, "http_503"),
        ],
    )
    def test_everything_else_is_a_refusal(
        self, status: int, changed: dict[str, Any], error: str
    ) -> None:
        """Without both codes and a page for a browser, nobody can be sent anywhere."""
        found = read_device(status, {**DEVICE, **changed})
        assert isinstance(found, TokenRefusal)
        assert found.error == error

    @given(status=st.sampled_from([200, 400]), answer=st.binary(max_size=200))
    def test_no_bytes_make_it_fall(self, status: int, answer: bytes) -> None:
        """Any bytes at all are codes or a refusal."""
        found = read_device_answer(PLAIN, status, {}, answer)
        assert isinstance(found, DeviceAnswer | TokenRefusal)


@pytest.mark.parametrize(
    ("status", "answer", "left"),
    [
        (200, {"active": True, "exp": int(NOW.timestamp()) + 90}, 90.0),
        (200, {"active": True, "exp": str(int(NOW.timestamp()) + 90)}, 90.0),
        (200, {"active": True, "exp": int(NOW.timestamp()) - 90}, 0.0),
        (200, {"active": True, "exp": 10**30}, 10 * 365 * 86_400.0),
        (200, {"active": False}, 0.0),
        (200, {"active": None, "exp": int(NOW.timestamp()) + 90}, 0.0),
        (200, {"active": "true", "exp": int(NOW.timestamp()) + 90}, 0.0),
        (200, {"active": True}, None),
        (200, {"active": True, "exp": "soon"}, None),
        (200, {"error": "x"}, None),
        (200, [], None),
        (401, {"active": True, "exp": int(NOW.timestamp()) + 90}, None),
    ],
)
def test_introspection_says_how_long_a_token_lasts(
    status: int, answer: Any, left: float | None
) -> None:
    """Seconds are left, or none, or the server doesn't say (RFC 7662 §2.2)."""
    assert read_introspection(status, json.dumps(answer).encode(), NOW) == left


@given(st.binary(max_size=200))
def test_no_introspection_makes_it_fall(answer: bytes) -> None:
    """Any bytes at all are seconds or nothing."""
    left = read_introspection(200, answer, NOW)
    assert left is None or left >= 0


@pytest.mark.parametrize(
    ("issuer", "urls"),
    [
        (
            ISSUER,
            (
                f"{ISSUER}/.well-known/oauth-authorization-server",
                f"{ISSUER}/.well-known/openid-configuration",
            ),
        ),
        (
            f"{ISSUER}/",
            (
                f"{ISSUER}/.well-known/oauth-authorization-server",
                f"{ISSUER}/.well-known/openid-configuration",
            ),
        ),
        (
            f"{ISSUER}/issuer1",
            (
                f"{ISSUER}/.well-known/oauth-authorization-server/issuer1",
                f"{ISSUER}/issuer1/.well-known/openid-configuration",
                f"{ISSUER}/.well-known/openid-configuration/issuer1",
            ),
        ),
        (
            "http://127.0.0.1:9000/a/b",
            (
                "http://127.0.0.1:9000/.well-known/oauth-authorization-server/a/b",
                "http://127.0.0.1:9000/a/b/.well-known/openid-configuration",
                "http://127.0.0.1:9000/.well-known/openid-configuration/a/b",
            ),
        ),
    ],
)
def test_metadata_is_where_the_standards_put_it(issuer: str, urls: tuple[str, ...]) -> None:
    """Both well-known forms are looked at (RFC 8414 §3.1 and §5, OpenID Connect Discovery §4)."""
    assert metadata_urls(issuer) == urls


def test_metadata_of_the_issuer_is_read() -> None:
    """What the issuer says of itself comes out as it is."""
    metadata = {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token"}
    assert read_metadata(ISSUER, 200, json.dumps(metadata).encode()) == metadata


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, {"issuer": f"{ISSUER}/"}),
        (200, {"issuer": "https://evil.example.com"}),
        (200, {"issuer": [ISSUER]}),
        (200, {}),
        (200, []),
        (404, {"issuer": ISSUER}),
        (302, {"issuer": ISSUER}),
    ],
)
def test_metadata_of_another_is_refused(status: int, answer: Any) -> None:
    """An issuer that is not exactly the one asked for could be somebody else's (RFC 8414 §3.3)."""
    with pytest.raises(OAuthMisconfigured) as refused:
        read_metadata(ISSUER, status, json.dumps(answer).encode())
    assert refused.value.details == {"field": "oauth2Config.issuer"}
