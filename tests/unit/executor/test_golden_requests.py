"""Definitions and arguments, and the exact HTTP requests they become.

`tests/golden/requests/*.yaml` hold both. After a change that is meant, write the requests anew with
`pytest tests/unit/executor/test_golden_requests.py --regenerate` and read the difference.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from credentials.model import Authorization
from executor.model import HttpRequest
from registry.model import HttpBinding, Method
from tests.fakes import FixedAuthorizer, PythonTransforms
from tests.unit.executor.world import World

CASES = sorted((Path(__file__).parents[2] / "golden" / "requests").glob("*.yaml"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
async def test_request_is_exactly_as_recorded(path: Path, request: pytest.FixtureRequest) -> None:
    """The request that a definition and arguments become does not change by accident."""
    case = _read(path)
    sent = _shown(await _request(case))
    if request.config.getoption("--regenerate", default=False):
        _record(path, sent)
    assert sent == _read(path)["request"]


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def _record(path: Path, sent: dict[str, Any]) -> None:
    head = path.read_text().partition("\nrequest:")[0]
    shown = yaml.safe_dump({"request": sent}, sort_keys=False, width=1000, allow_unicode=True)
    path.write_text(f"{head}\n{shown}")


async def _request(case: dict[str, Any]) -> HttpRequest:
    given = case.get("authorization", {})
    world = World(
        authorizer=FixedAuthorizer(
            Authorization(
                tuple(given.get("headers", {}).items()), tuple(given.get("query", {}).items())
            )
        ),
    )
    method = case["method"]
    http = method["http"]
    script = method.get("requestTransform")
    if script:
        result = case["transformed"].encode()
        world.transforms = PythonTransforms({script: lambda _input, _context: result})
        world.executor.transforms = world.transforms
    world.offer(
        Method(
            method["name"],
            HttpBinding(
                http["method"], http["path"], http.get("headers", {}), http.get("body", "json")
            ),
            param_schema=method.get("paramSchema", True),
            request_transform=script,
        ),
        config=case["config"],
        auth_type="api_key" if given else "none",
        **case.get("definition", {}),
    )
    await world.call(method["name"], case["parameters"].encode())
    sent: HttpRequest = world.sent
    return sent


def _shown(request: HttpRequest) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.url,
        "headers": [f"{name}: {value}" for name, value in request.headers],
        "body": None if request.body is None else request.body.decode(),
    }
