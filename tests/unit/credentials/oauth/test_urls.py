"""URLs that differ from instance to instance."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.errors import OAuthMisconfigured
from credentials.oauth.urls import expand, fill, is_loopback


@pytest.mark.parametrize(
    ("template", "config", "url"),
    [
        ("", {}, ""),
        ("https://as.example.com/token", {}, "https://as.example.com/token"),
        (
            "https://{config.shop}.myshopify.com/admin/oauth/authorize",
            {"shop": "acme"},
            "https://acme.myshopify.com/admin/oauth/authorize",
        ),
        ("https://{config.host}/token", {"host": "crm.acme.org"}, "https://crm.acme.org/token"),
        ("https://h:{config.port}/t", {"port": 8443}, "https://h:8443/t"),
        ("https://h/{config.tenant}/t", {"tenant": "a b/c?d#e"}, "https://h/a%20b%2Fc%3Fd%23e/t"),
        ("https://h/t?org={config.org}", {"org": "a&b=c é"}, "https://h/t?org=a%26b%3Dc%20%C3%A9"),
        ("http://127.0.0.1:9000/token", {}, "http://127.0.0.1:9000/token"),
        ("http://localhost/token", {}, "http://localhost/token"),
        ("http://[::1]:9000/token", {}, "http://[::1]:9000/token"),
    ],
)
def test_values_of_the_config_are_filled_in(
    template: str, config: dict[str, Any], url: str
) -> None:
    """Plain values make a host, all others are percent-encoded in path and query."""
    assert expand("oauth2Config.tokenUrl", template, config) == url


@pytest.mark.parametrize(
    ("template", "config", "field"),
    [
        *(
            ("https://{config.shop}.example.com/t", {"shop": shop}, "config.shop")
            for shop in (
                *("evil.com/", "evil.com?", "evil.com#", "a@evil.com", "a:80", "a b", "a\n", "é"),
                *(
                    "",
                    "a%2f",
                    "[::1]",
                    "a\\b",
                    "a_b/..",
                    "https://evil.com",
                    True,
                    None,
                    1.5,
                    ["a"],
                ),
            )
        ),
        ("https://{config.shop}.example.com/t", {}, "config.shop"),
        ("https://h/{config.a}", {"a": "x" * 513}, "config.a"),
        ("https://{config.shop}.example.com/t", {"shop": ".."}, "tokenUrl"),
        ("https://{config.shop}/t", {"shop": "."}, "tokenUrl"),
        ("https://h/{config.a}/t", {"a": ".."}, "tokenUrl"),
        ("https://h/{config.a}{config.a}/t", {"a": "."}, "tokenUrl"),
        ("https://h:{config.port}/t", {"port": 99999}, "tokenUrl"),
        ("https://h:{config.port}/t", {"port": 0}, "tokenUrl"),
        ("http://as.example.com/token", {}, "tokenUrl"),
        ("http://127.0.0.1.example.com/token", {}, "tokenUrl"),
        ("http://10.0.0.1/token", {}, "tokenUrl"),
        ("https://user:pw@h/t", {}, "tokenUrl"),
        ("https://h/t#fragment", {}, "tokenUrl"),
        ("https:///t", {}, "tokenUrl"),
        ("//h/t", {}, "tokenUrl"),
        ("ftp://h/t", {}, "tokenUrl"),
        ("javascript:alert(1)", {}, "tokenUrl"),
        ("https://h/{other}", {}, "tokenUrl"),
        ("https://h/ t", {}, "tokenUrl"),
        ("https://h:x/t", {}, "tokenUrl"),
        ("https://[::1/t", {}, "tokenUrl"),
    ],
)
def test_no_value_can_lead_elsewhere(template: str, config: dict[str, Any], field: str) -> None:
    """A value that could change the host, and a URL that OAuth forbids, are refused by name."""
    with pytest.raises(OAuthMisconfigured) as refused:
        expand("tokenUrl", template, config)
    assert refused.value.details == {"field": field}


@given(value=st.text(min_size=1, max_size=40) | st.sampled_from(["..", ".", "%2e%2e", "a/../b"]))
def test_the_host_stays_and_the_path_keeps_its_shape(value: str) -> None:
    """Whatever a value is, it is one segment of the path of the definition's own host."""
    try:
        url = expand("tokenUrl", "https://as.example.com/{config.v}/token", {"v": value})
    except OAuthMisconfigured:
        return
    except UnicodeEncodeError:
        pytest.fail("a lone surrogate came through")
    parts = urlsplit(url)
    assert parts.netloc == "as.example.com"
    assert len(parts.path.split("/")) == 3
    assert parts.path.endswith("/token")
    assert not parts.query


@given(value=st.text(max_size=30))
def test_a_host_part_never_escapes_its_domain(value: str) -> None:
    """Whatever a value is, the host still ends in the definition's domain."""
    try:
        url = expand("tokenUrl", "https://{config.v}.example.com/token", {"v": value})
    except OAuthMisconfigured:
        return
    assert (urlsplit(url).hostname or "").endswith(".example.com")


def test_other_texts_take_values_as_they_are() -> None:
    """Parameters are encoded where they are sent, so their values are filled in plainly."""
    assert fill("team={config.t}!", {"t": "a b/c"}) == "team=a b/c!"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((host, True) for host in ("localhost", "LOCALHOST.", "a.localhost", "127.9.9.9", "::1")),
        *(
            (host, False)
            for host in ("", "localhost.evil.com", "128.0.0.1", "192.0.2.1", "mylocalhost")
        ),
    ],
)
def test_loopback_is_known_by_name(host: str, expected: bool) -> None:  # noqa: FBT001
    """Only names and addresses that never leave the machine count."""
    assert is_loopback(host) is expected
