"""The documentation, held against the code."""

import dataclasses
import json
import re
import tomllib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from credentials import schemes
from credentials.model import Authorization, AuthScheme, OutgoingRequest
from executor.execute import Executor
from executor.model import ExecutorLimits, HttpRequest, MethodCall
from protos.integration.v1.error_reason_pb2 import ErrorDetail
from registry.config import completed, config_problems
from registry.model import Definition, Instance, InstanceStatus, Target
from registry.parse import parse
from registry.secrecy import Secrecy
from services.gateway.status import HTTP_STATUS
from services.runtime.errors import POLICIES, TABLE
from services.settings import PREFIX, Settings
from services.transformer.local import LocalTransforms
from tests.fakes import MemoryDirectory, ScriptedSender, json_response
from transformer.engines.wasm import new_engine
from transformer.transform import Transformer

ROOT = Path()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
DEFINITIONS = Path("docs/definitions.md").read_text()
ERRORS = Path("docs/errors.md").read_text()
DECISIONS = Path("docs/decisions.md").read_text()
PROJECT = tomllib.loads(Path("pyproject.toml").read_text())
OPERATING = Path("docs/operating.md").read_text()
NOW = datetime(2026, 1, 2, tzinfo=UTC)
LEFT_OUT = ("Accept", "User-Agent")
CALL = re.compile(
    r"With config `(?P<config>.+)`, calling `(?P<method>\w+)` with `(?P<parameters>.+)` sends:\n\n"
    r"```http\n(?P<request>[^`]*)```"
    r"(?:\n\nThe answer `(?P<answer>.+)` becomes `(?P<result>.+)`\.)?"
)


class Credentials:
    """Authorizes with the fields of one config."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields

    async def authorize(
        self,
        _tenant: str,
        _instance_id: str,
        scheme: AuthScheme,
        request: OutgoingRequest,
        _version: int,
    ) -> Authorization:
        """Answer what to add to a request."""
        return schemes.authorize(scheme, self._fields, request, NOW)


def examples() -> Iterator[Any]:
    """Answer each documented call with the definition above it."""
    for part in DEFINITIONS.split("```yaml\n")[1:]:
        text, _, rest = part.partition("```")
        for number, found in enumerate(CALL.finditer(rest), start=1):
            name = re.findall(r"^name: (.*)$", text, re.MULTILINE)[0]
            yield pytest.param(text.encode(), found.groupdict(), id=f"{name}.{number}")


def instance(definition: Definition, config: dict[str, Any]) -> Instance:
    """Answer an instance as the registry would keep it."""
    public, secret = Secrecy(definition.config_schema).split(config)
    return Instance(
        id="int_inst_1",
        tenant="default",
        definition_id="int_def_1",
        definition_digest=definition.digest,
        name="Documented",
        status=InstanceStatus.CONNECTED,
        config=public,
        created_at=NOW,
        updated_at=NOW,
        etag="1",
        secret_fields=tuple(secret),
    )


def written(request: HttpRequest) -> str:
    """Answer a request the way the documentation shows it."""
    headers = [f"{name}: {value}" for name, value in request.headers if name not in LEFT_OUT]
    first = [f"{request.method} {request.url}", *sorted(headers)]
    body = ["", request.body.decode()] if request.body is not None else []
    return "\n".join([*first, *body])


def sorted_headers(text: str) -> str:
    """Answer a documented request with its headers in order."""
    head, separator, body = text.strip().partition("\n\n")
    first, *headers = head.splitlines()
    return "\n".join([first, *sorted(headers)]) + separator + body


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def transforms() -> AsyncIterator[LocalTransforms]:
    """The real sandbox."""
    transformer = Transformer(new_engine(Settings().cache_dir))
    yield LocalTransforms(transformer, lambda: NOW)
    await transformer.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("text", "example"), list(examples()))
async def test_documented_calls(
    text: bytes, example: dict[str, str], transforms: LocalTransforms
) -> None:
    """Each example registers and sends exactly the request that is shown."""
    definition = parse(text).definition
    config = completed(json.loads(example["config"]), definition)
    assert config_problems(config, definition) == ()
    directory, answer = MemoryDirectory(), json.loads(example["answer"] or "{}")
    directory.add(Target(instance(definition, config), definition))
    sender = ScriptedSender([json_response(answer)])
    executor = Executor(
        directory, Credentials(config), transforms, sender, ExecutorLimits(), lambda: NOW
    )

    execution = await executor.execute(
        MethodCall("default", "int_inst_1", example["method"], example["parameters"].encode())
    )

    assert written(sender.requests[0]) == sorted_headers(example["request"])
    if example["result"]:
        assert execution.data.decode() == example["result"]


def test_documented_definitions() -> None:
    """Every definition that is shown has a documented call."""
    names = re.findall(r"```yaml\nname: (.*)\n", DEFINITIONS)
    called = {str(example.id).split(".", maxsplit=1)[0] for example in examples()}

    assert called == set(names)


def test_table_of_reasons() -> None:
    """The table has every reason with its statuses, and tells which can occur by now."""
    raised = {*TABLE.values(), ErrorDetail.EXECUTION_ERROR}
    expected = {
        (
            ErrorDetail.Reason.Name(reason),
            str(HTTP_STATUS[ErrorDetail.Reason.Name(reason)]),
            policy.code.name,
            "yes" if policy.retryable else "no",
            "yes" if reason in raised else "not yet",
        )
        for reason, policy in POLICIES.items()
    }
    row = r"^\| `([A-Z_]+)` \| (\d{3}) \| ([A-Z_]+) \| (yes|no) \| (yes|not yet) \|"

    assert set(re.findall(row, ERRORS, re.MULTILINE)) == expected


def test_examples_of_errors() -> None:
    """Every reason that can occur has an example, and each example is one that could be sent."""
    raised = {ErrorDetail.Reason.Name(reason) for reason in TABLE.values()} | {"EXECUTION_ERROR"}
    sections = re.findall(r"^### `([A-Z_]+)`\n(.*?)(?=^#|\Z)", ERRORS, re.MULTILINE | re.DOTALL)

    assert {code for code, _ in sections} == raised
    for code, section in sections:
        policy = POLICIES[ErrorDetail.Reason.Value(code)]
        for text in re.findall(r"```json\n(.*?)```", section, re.DOTALL):
            body = json.loads(text)
            assert body["status"] == "ERROR"
            assert (body["error"]["code"], body["error"]["retryable"]) == (code, policy.retryable)
            known = {"code", "message", "retryable", "retryAfterMs", "details", "requestId"}
            assert {"message", "requestId"} <= set(body["error"]) <= known


def settings_table() -> str:
    """Answer the table of settings as it has to stand in the documentation."""
    rows = ["| variable | default | what |", "|---|---|---|"]
    for spec in dataclasses.fields(Settings):
        doc = spec.metadata["doc"].replace("<", "\\<")
        rows.append(f"| `{PREFIX}{spec.name.upper()}` | {_default(spec.default)} | {doc} |")
    return "\n".join(rows)


def _default(value: object) -> str:
    if isinstance(value, bool):
        return f"`{value}`".lower()
    shown = "" if value in (None, ()) else str(value).replace(str(Path.home()), "~")
    return f"`{shown}`" if shown else ""


def test_table_of_settings() -> None:
    """The table has every setting with its default and its own description."""
    assert settings_table() in OPERATING


@pytest.mark.parametrize(
    ("title", "listed"),
    [
        ("Dependencies at run time", PROJECT["project"]["dependencies"]),
        ("Dependencies for development", PROJECT["dependency-groups"]["dev"]),
    ],
)
def test_tables_of_dependencies(title: str, listed: list[str]) -> None:
    """Every dependency has its reason, and none is named that is gone."""
    table = DECISIONS.split(f"## {title}")[1].split("\n## ")[0]
    names = {re.split(r"[^\w-]", dependency)[0] for dependency in listed}
    cells = re.findall(r"^\| ([\w, -]+) \| [A-Z]", table, re.MULTILINE)

    told = {name for cell in cells for name in cell.split(", ")}
    assert told == {name for name in names if not name.startswith("types-")}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_what_pages_point_to(page: Path) -> None:
    """Every link, path and make target that a page names is there."""
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+):.*## ", Path("Makefile").read_text(), re.MULTILINE))

    for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
        assert (page.parent / link).exists(), link
    for path in re.findall(r"`((?:\.?[\w-]+/)+[\w.-]*)`", text):
        assert path.startswith(("data/", "application/")) or (ROOT / path).exists(), path
    for target in re.findall(r"`make ([a-z-]+)", text):
        assert target in targets, target
    for place, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)]+)\)", text):
        there = (page.parent / place).read_text() if place else text
        titles = re.findall(r"^#+ (.*)$", there, re.MULTILINE)
        slugs = {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}
        assert anchor in slugs, anchor
