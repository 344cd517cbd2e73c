"""The page on OAuth 2 says what is so."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from credentials.oauth.profile import read_profile, with_metadata
from registry.parse import parse
from tests.unit.credentials.oauth.profiles import connection

PAGE = Path("docs/oauth2.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
SOURCES = sorted(Path("credentials/oauth").glob("*.py"))
CONFIG = {
    "clientId": "c",
    "clientSecret": "s",
    "privateKey": "k",
    "subjectToken": "st",
    **dict.fromkeys(("domain", "shop", "tenant", "username", "accountId"), "acme.example"),
}


class _Yaml12(yaml.SafeLoader):
    """Reads `off` as a text, as definitions do."""


_Yaml12.yaml_implicit_resolvers = {
    letter: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:bool"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def definition_with(example: dict[str, Any]) -> bytes:
    """Write a whole definition around an example."""
    described = {name: {"type": "string"} for name in CONFIG}
    whole = {
        "name": "Example",
        "version": "1.0.0",
        "type": "http",
        "server": "https://api.example.com",
        "methods": [{"name": "getThing"}],
        "configSchema": {"type": "object", "properties": described},
        **example,
    }
    return json.dumps(whole).encode()


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_is_read(example: str) -> None:
    """Each example is a definition's way to tokens, with nothing missing."""
    definition: dict[str, Any] = yaml.load(example, _Yaml12)  # noqa: S506 - a safe loader
    oauth2 = definition["oauth2Config"]
    read = read_profile(connection(oauth2, CONFIG, definition["authType"]), {})
    if read.issuer:
        endpoints = {f"{name}_endpoint": read.issuer for name in ("authorization", "token")}
        read = with_metadata(read, endpoints)
    assert read.token_url.startswith("https://")
    assert parse(definition_with(definition)).definition.oauth2_config == oauth2


def test_there_are_examples_of_every_grant() -> None:
    """The page shows each grant at least once."""
    assert len(EXAMPLES) >= 14
    for grant in ("oauth2_client_credentials", "jwt_bearer", "device_code", "token_exchange"):
        assert any(grant in example for example in EXAMPLES)


def test_every_option_that_is_read_is_on_the_page() -> None:
    """Whatever the code asks of oauth2Config has a line in a table, and the tables have no more."""
    code = "\n".join(path.read_text() for path in SOURCES)
    asked = set(re.findall(r'options(?:\.\w+\(|, )\s*"([a-zA-Z0-9]+)"', code))
    asked |= set(re.findall(r'^    "(\w+Url)": \("', code, re.MULTILINE))
    asked -= {"tokenResponse", "refreshTokenConfig"}
    rows = re.findall(r"^\| (`[^|]+`) \|.*\|.*\|.*\|$", PAGE, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(?:\w+\.)?(\w+)`", row)}
    inner = {"accessToken", "refreshToken", "expiresIn", "refreshExpiresIn", "error"}
    assert told - inner - {"strategy", "timeBeforeExpiryMs"} == asked
