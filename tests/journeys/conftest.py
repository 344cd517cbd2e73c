"""Systems and upstreams that the journeys share; each is started once for its module."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import pytest_asyncio
from aiohttp import web

from examples.crm import Crm
from tests.journeys.doors import Door
from tests.journeys.houses import House, one_process, split

WAYS_IN = {
    "in process": ("one", "in_process"),
    "gRPC, one process": ("one", "grpc"),
    "REST, one process": ("one", "rest"),
    "gRPC, split": ("split", "grpc"),
    "REST, split": ("split", "rest"),
}


@dataclass(frozen=True, slots=True)
class Upstream:
    """A served application and where it is."""

    url: str


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """Serve an application on loopback; answers its URL."""
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crm() -> AsyncIterator[tuple[Crm, str]]:
    """A small CRM, and its URL."""
    api = Crm()
    async with served(api.app()) as url:
        yield api, url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def houses(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, House]]:
    """Both ways to run the system."""
    async with (
        one_process(tmp_path_factory.mktemp("one")) as whole,
        split(tmp_path_factory.mktemp("split")) as parts,
    ):
        yield {"one": whole, "split": parts}


@pytest.fixture(params=WAYS_IN)
def door(request: pytest.FixtureRequest, houses: dict[str, House]) -> Door:
    """Each door of each system."""
    house, name = WAYS_IN[request.param]
    return houses[house].door(name)


@pytest.fixture(params=WAYS_IN)
def make_door(
    request: pytest.FixtureRequest, houses: dict[str, House]
) -> Callable[[str | None], Door]:
    """Each door of each system, for whoever has a key."""
    house, name = WAYS_IN[request.param]
    return lambda key: houses[house].door(name, key)
