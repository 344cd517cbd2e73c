"""The server's address from an instance's config."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from executor.configuration import Configurations, configure
from executor.errors import MethodNotCallable
from executor.plan import make_plan
from executor.template import parse
from registry.model import Target
from tests.unit.executor.world import definition, instance, method

DEFAULT = "{+config.baseUrl}"


def target(config: dict[str, Any], server: str = DEFAULT, **more: Any) -> Target:
    """Answer an instance with this config."""
    return Target(instance(config), definition(method(), server=server, **more))


@pytest.mark.parametrize(
    ("base_url", "base", "query"),
    [
        ("https://api.example", "https://api.example", ""),
        ("https://api.example/", "https://api.example", ""),
        ("http://api.example:8080/v1/", "http://api.example:8080/v1", ""),
        ("HTTPS://API.example", "https://API.example", ""),
        (f"https://{'a' * 63}.example.", f"https://{'a' * 63}.example.", ""),
        ("https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4", ""),
        ("https://[2001:4860:4860::8888]:444/a", "https://[2001:4860:4860::8888]:444/a", ""),
        (
            "https://a.example/v%201?x=1&y=a b".replace(" ", "%20"),
            "https://a.example/v%201",
            "x=1&y=a%20b",
        ),
    ],
)
def test_base_addresses_are_kept(base_url: str, base: str, query: str) -> None:
    """Path, port and query of a base address stay; only the last slash goes."""
    made = configure(target({"baseUrl": base_url}), parse(DEFAULT))
    assert (made.base, made.query) == (base, query)


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "api.example",
        "//api.example",
        "/v1",
        "ftp://api.example",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https:///v1",
        f"https://{'a' * 64}.example",
        f"https://api.{'a' * 64}",
        f"https://{'a' * 300}.example:8080/v1",
        f"https://{'ü' * 60}.example",
        "https://api..example",
        "https://user@api.example",
        "https://user:secret@api.example",
        "https://api.example#fragment",
        "https://api.example/#",
        "https://api.example\\@evil.example",
        "https://api.example/a b",
        "https://api.example\r\nHost: evil.example",
        "https://api.example:99999",
        "https://api.example:port",
        "https://api.example:",
        "https://a%2Fb.example",
        "https://-a.example",
        "https://[::1",
        "https://[fe80::1%25eth0]/",
        "https://" + "ü" * 80 + ".example",
    ],
)
def test_unusable_addresses_are_refused(base_url: str) -> None:
    """Only absolute http(s) addresses without user and fragment are called; no user is quoted."""
    with pytest.raises(MethodNotCallable) as caught:
        configure(target({"baseUrl": base_url}), parse(DEFAULT))
    assert "secret" not in caught.value.message + repr(caught.value.details)


@pytest.mark.parametrize("config", [{}, {"baseUrl": None}, {"base_url": "https://a.example"}])
def test_a_missing_address_names_the_field(config: dict[str, Any]) -> None:
    """The error says which field of the config is missing."""
    with pytest.raises(MethodNotCallable, match="baseUrl") as caught:
        configure(target(config), parse(DEFAULT))
    assert caught.value.details == {"missing": ["baseUrl"]}


@pytest.mark.parametrize(
    "shop", ["evil.example/", "a@evil.example", "a#", "a?", "a:80", "a b", "ä"]
)
def test_a_host_variable_cannot_leave_its_label(shop: str) -> None:
    """A value in the host is refused when it holds more than a host may."""
    server = "https://{config.shop}.shops.example"
    with pytest.raises(MethodNotCallable):
        configure(target({"shop": shop}, server), parse(server))


def test_secrets_and_defaults() -> None:
    """Config stands above the definition's defaults; what is named secret is in neither."""
    made = configure(
        target(
            {"baseUrl": "https://a.example", "n": 2**70},
            default_config={"region": "eu", "baseUrl": "https://b.example", "apiKey": "oops"},
            secret_fields=("apiKey",),
        ),
        parse(DEFAULT),
    )
    assert made.base == "https://a.example"
    assert made.text == b'{"region":"eu","baseUrl":"https://a.example","n":%d}' % 2**70
    assert made.lookup("config.region") == "eu"
    assert made.lookup("config.apiKey") is None
    assert made.lookup("config.region.deeper") is None


def test_configurations_are_made_again_only_when_the_config_changes() -> None:
    """A fresh read with the same content is recognised; another content is not missed."""
    configurations = Configurations(10)
    first = target({"baseUrl": "https://a.example"})
    plan = make_plan(first.definition, first.definition.methods[0], "agent")
    made = configurations.of(first, plan)
    again = replace(first, instance=replace(first.instance, config=dict(first.instance.config)))
    assert configurations.of(again, plan) is made
    changed = replace(
        first, instance=replace(first.instance, config={"baseUrl": "https://b.example"})
    )
    assert configurations.of(changed, plan).base == "https://b.example"
    assert orjson.loads(configurations.of(changed, plan).text) == {"baseUrl": "https://b.example"}
