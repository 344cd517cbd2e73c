"""A marked secret goes through everything, and shows up nowhere but in the authorization."""

import logging
import traceback
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from credentials.errors import CredentialsError
from credentials.manager import CredentialManager
from credentials.model import AuthScheme, OutgoingRequest, SecretRecord, Versioned
from credentials.stores.local.engine import open_engine
from credentials.stores.local.key_file import KeyFile
from credentials.stores.local.migrate import migrate
from credentials.stores.local.store import LocalSecretStore
from tests.unit.credentials.world import World

SECRET = "mark/7f3a9c secret+of=acme"
REQUEST = OutgoingRequest("GET", "https://api.example.com/contacts")
SHAPES = (SECRET, quote(SECRET), quote(SECRET, safe=""), b64encode(SECRET.encode()).decode()[:-4])

# Each turns the secret into an error of its own, or succeeds.
SCHEMES = [
    AuthScheme("api_key"),
    AuthScheme("api_key", location="cookie", name="sid"),
    AuthScheme("api_key", location="query", name="key"),
    AuthScheme("api_key", location="body"),
    AuthScheme("api_key", name="X Y"),
    AuthScheme("api_key", field="list"),
    AuthScheme("api_key", field="line"),
    AuthScheme("bearer"),
    AuthScheme("basic"),
    AuthScheme("basic", field="line", username_field="apiKey"),
    AuthScheme("basic", username_field="colon"),
    AuthScheme("oauth2"),
]


def leaks(text: str) -> list[str]:
    """Find the secret in a text, plain or encoded."""
    return [shape for shape in SHAPES if shape in text]


@pytest.fixture
async def manager(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[CredentialManager]:
    """Answer a manager over the store of sealed rows, with every log line captured."""
    caplog.set_level(logging.DEBUG)
    engine = open_engine(f"sqlite+aiosqlite:///{tmp_path / 'credentials.db'}")
    try:
        await migrate(engine)
        store = await LocalSecretStore.open(engine, KeyFile.create(tmp_path / "master-key"))
        yield World("api_key").process(store=store).manager
    finally:
        await engine.dispose()


async def test_nothing_secret_is_shown(
    manager: CredentialManager, caplog: pytest.LogCaptureFixture
) -> None:
    """No log line, error, detail or traceback holds the secret, whatever goes wrong."""
    fields = {"apiKey": SECRET, "list": [SECRET], "line": f"{SECRET}\n", "colon": f"{SECRET}:"}
    await manager.update("acme", "i1", fields, [])
    shown = []
    for scheme in SCHEMES:
        try:
            shown.append(repr(await manager.authorize("acme", "i1", scheme, REQUEST, 1)))
        except CredentialsError as error:
            shown.append(f"{error!r} {error.details} {''.join(traceback.format_exception(error))}")
    for wrong in (SECRET.encode(), {SECRET}, float("nan"), SECRET * 40_000):
        with pytest.raises(CredentialsError) as caught:
            await manager.update("acme", "i1", {"wrong": wrong, "apiKey": SECRET}, [])
        shown.append(f"{caught.value!r} {''.join(traceback.format_exception(caught.value))}")
    assert len(shown) == len(SCHEMES) + 4
    logged = "\n".join(record.getMessage() for record in caplog.get_records("setup")) + caplog.text
    assert "executing" in logged  # the driver logs its statements at this level
    assert leaks("\n".join(shown)) == []
    assert leaks(logged) == []


def test_records_do_not_show_values() -> None:
    """A record shows the names of its fields and nothing else, also inside what holds it."""
    record = SecretRecord({"apiKey": SECRET, "nested": {"token": SECRET}})
    shown = f"{record} {record!r} {Versioned(record, 1)} {[record]} {record:}"
    assert leaks(shown) == []
    assert "apiKey" in shown
