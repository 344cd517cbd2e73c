"""`integration-service keys rotate` beside a running service, whose callers notice nothing."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from examples.crm import Crm
from tests.journeys.doors import Door, Result
from tests.journeys.houses import one_process
from tests.journeys.scenarios import CONTACT, definition

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROTATIONS = 3
CALLERS = 4


class Callers:
    """Connect instances, execute methods with them and change them, until they are stopped."""

    def __init__(self, door: Door, crm: Crm, url: str) -> None:
        self._door = door
        self._config = {"baseUrl": url, "apiKey": crm.api_key}
        self._definition_id = ""
        self._stopped = False
        self.calls = 0

    async def start(self) -> list["asyncio.Task[None]"]:
        """Start them all; each ends with the first failure that it sees."""
        self._definition_id = (await self._door.register(definition("crm")))["id"]
        return [asyncio.create_task(self._call()) for _ in range(CALLERS)]

    def stop(self) -> None:
        """Let each finish its turn."""
        self._stopped = True

    async def connect(self) -> str:
        """Connect an instance; answers its id."""
        id_: str = (await self._door.connect(self._definition_id, self._config))["id"]
        return id_

    async def _call(self) -> None:
        instance_id = await self.connect()
        while not self._stopped:
            if self.calls % 20 < CALLERS:
                instance_id = await self.connect()
            assert (await executed(self._door, instance_id)).status == "SUCCESS"
            self.calls += 1


async def executed(door: Door, instance_id: str) -> Result:
    """Execute a method that shows the key to its API."""
    return await door.execute(instance_id, "createContact", json.dumps(CONTACT).encode())


async def rotate(data_dir: Path) -> str:
    """Rotate all keys with the command line; answers what it told."""
    arguments = ("-m", "services", "keys", "rotate", "--data-dir", str(data_dir))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=pipe, stderr=pipe
    )
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    return out.decode()


async def test_keys_rotate_while_the_service_is_used(crm: tuple[Crm, str], tmp_path: Path) -> None:
    """Not one call fails during rotations, and what was connected before works after a restart."""
    api, url = crm
    data_dir = tmp_path / "data"
    async with one_process(data_dir) as house:
        callers = Callers(house.door("rest"), api, url)
        tasks = await callers.start()
        early = await callers.connect()
        keys = [(data_dir / "master-key").read_text()]
        for _ in range(ROTATIONS):
            before = callers.calls
            assert "Done: " in await rotate(data_dir)
            keys.append((data_dir / "master-key").read_text())
            assert callers.calls > before
        callers.stop()
        assert await asyncio.gather(*tasks, return_exceptions=True) == [None] * CALLERS
    assert len(set(keys)) == ROTATIONS + 1
    async with one_process(data_dir) as house:
        assert (await executed(house.door("rest"), early)).status == "SUCCESS"
