"""What the audit log tells of a journey, and that the operator's command believes nothing else."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.journeys.conftest import served
from tests.journeys.doors import Refused
from tests.journeys.houses import House, one_process, split
from tests.journeys.oauth import config, definition, made, urls
from tests.journeys.test_process import output
from tests.journeys.upstreams import Gate
from tests.servers.oauth import OidcProvider

pytest_plugins = ["tests.servers.fixtures"]
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[one_process, split])
async def journey(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    oidc_server: OidcProvider,
) -> tuple[Path, str]:
    """A journey that is over: the directory with the audit log, and the instance's id."""

    async def everybody(_: object) -> bool:
        return True

    data_dir = tmp_path_factory.mktemp("audited")
    async with request.param(data_dir) as house, served(Gate(everybody).app()) as url:
        instance_id = await travelled(house, oidc_server, url)
    return log_in(data_dir), instance_id


async def travelled(house: House, oidc: OidcProvider, url: str) -> str:
    """Connect, call, refresh, fail, and delete; answers the instance's id."""
    document = definition("oauth2", url, oauth2Config=urls(oidc))
    given = config(oidc.clients["basic"], oidc.redirect_uri)
    instance = await made(house.door("rest"), document, given)
    with pytest.raises(Refused):
        await instance.credentials("CompleteOAuth2", code="a", state="unknown")
    await instance.authorize()
    for _ in range(3):
        await instance.look()
    await instance.credentials("RefreshCredentials")
    await house.door("rest").disconnect(instance.id)
    return instance.id


def log_in(data_dir: Path) -> Path:
    """Answer the directory of the log, wherever the credential service has it."""
    [audit] = [path for path in data_dir.rglob("audit") if any(path.glob("*.jsonl"))]
    return audit


def entries(audit: Path) -> list[dict[str, Any]]:
    """Answer the entries of a log, in order."""
    files = sorted(audit.glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def verify(audit: Path) -> tuple[int, str]:
    """Run the operator's command; answers its exit code and all that it said."""
    code, out, err = output("audit", "verify", "--dir", str(audit))
    return code, out + err


async def test_who_did_what(journey: tuple[Path, str]) -> None:
    """Every change and use of credentials is there: who, what, which instance, how it ended."""
    audit, instance_id = journey
    told = [
        (entry["action"], entry["outcome"])
        for entry in entries(audit)
        if entry.get("instanceId") == instance_id
    ]
    for action, outcome in (
        ("config.stored", "begins"),
        ("authorization.started", "begins"),
        ("authorization.completed", "begins"),
        ("authorization.completed", "INVALID_STATE"),
        ("authorization.completed", "ok"),
        ("credentials.used", "ok"),
        ("token.refreshed", "ok"),
        ("credentials.refreshed", "ok"),
        ("credentials.deleted", "ok"),
    ):
        assert (action, outcome) in told
    assert told.count(("credentials.used", "ok")) == 3
    actors = {entry["actor"] for entry in entries(audit) if entry.get("instanceId") == instance_id}
    assert all(actors)
    assert {entry["tenant"] for entry in entries(audit) if "tenant" in entry} == {"default"}


async def test_an_edit_is_found(journey: tuple[Path, str], tmp_path: Path) -> None:
    """The log verifies as it was written, and no longer once a line is changed, or taken out."""
    audit, _ = journey
    code, said = verify(audit)
    assert (code, "as it was written" in said) == (0, True), said
    [file] = sorted(audit.glob("*.jsonl"))[:1]
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) > 5
    edits = {
        "changed": [*lines[:3], lines[3].replace(b"default", b"defau1t"), *lines[4:]],
        "taken out": [*lines[:3], *lines[4:]],
        "swapped": [*lines[:3], lines[4], lines[3], *lines[5:]],
        "cut": lines[:-2],
    }
    for name, edited in edits.items():
        assert edited != lines
        copy = tmp_path / name.replace(" ", "-")
        shutil.copytree(audit, copy)
        (copy / file.name).write_bytes(b"".join(edited))
        code, said = verify(copy)
        assert code == 1, (name, said)
