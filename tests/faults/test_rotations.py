"""Keys and secrets that change while calls go on."""

import asyncio
import os
import sys
from pathlib import Path

from tests.faults.cluster import Cluster, cluster
from tests.faults.history import check
from tests.faults.load import Load
from tests.faults.measures import FULL, record
from tests.faults.scene import api, expire, give, instances
from tests.servers.oauth import OidcProvider

pytest_plugins = ["tests.servers.fixtures"]

COUNT, RATE = (1000, 100) if FULL else (100, 60)
EXPIRED = 20  # of so many credentials, one is to be refreshed meanwhile
ROTATIONS = 5 if FULL else 1
CHANGES = 50 if FULL else 8


async def test_rotations_under_load(tmp_path: Path, oidc: OidcProvider) -> None:
    """No call fails while all keys are rotated, nor while client secrets are changed."""
    async with (
        api() as upstream,
        cluster(tmp_path, executors=2, credentials=2) as running,
    ):
        doors = [running.door(executor=f"executor{number}") for number in range(2)]
        ids = await instances(doors[0], oidc, upstream, COUNT)
        tokens = await give(doors[0], oidc, *ids, expires_in=3600)
        await expire(doors[0], oidc, *ids[::EXPIRED])
        turn = iter(range(10**9))

        async def call() -> None:
            number = next(turn)
            await doors[number % 2].execute(ids[number % len(ids)], "getMe")

        async with Load(call, RATE) as load:
            await asyncio.sleep(1)
            for _ in range(ROTATIONS):
                await _rotate(running)
            rotated = load.done
            secret = oidc.clients["basic"].secret
            for number in range(CHANGES):
                # With `ids` that have been called: what they have now is good whatever comes.
                instance = ids[number % 10]
                for value in ("the next one", secret):
                    await doors[0].reconfigure(instance, {"clientSecret": value})
                    await asyncio.sleep(0.05)
            await asyncio.sleep(1)
        assert load.failed == []
        refreshes = (await oidc.counts()).refreshes
        assert refreshes == len(ids[::EXPIRED])
        changed = dict(list(zip(ids, tokens, strict=True))[1:10])
        await check(oidc, doors[1], changed)
        assert (await oidc.counts()).replays == 0
    record(
        "T26",
        calls=load.done,
        failed=len(load.failed),
        while_keys_rotated=rotated,
        rotations=ROTATIONS,
        refreshes=refreshes,
        secret_changes=2 * CHANGES,
    )


async def _rotate(running: Cluster) -> None:
    member = running.members["credentials0"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "services", "keys", "rotate", "--data-dir", str(member.data_dir)),
        env={**os.environ, **member.environment},  # noqa: TID251 - needs PATH and HOME
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
