"""The whole life of a connection, with a Vault whose answers get lost."""

import asyncio
from pathlib import Path
from typing import Any

from tests.conformance.vault_proxy import losing_answers
from tests.faults.cluster import cluster
from tests.faults.history import redeemed
from tests.faults.measures import FULL, record
from tests.faults.scene import Api, api, instances
from tests.faults.vaults import vault, vault_settings
from tests.journeys.doors import Refused, RpcDoor
from tests.servers.browser import consent
from tests.servers.oauth import OidcProvider

pytest_plugins = ["tests.servers.fixtures"]

JOURNEYS = 60 if FULL else 8
AT_ONCE = 4
EVERY = 20  # of so many writes, the answer of one is lost


async def test_same_results(tmp_path: Path, oidc: OidcProvider) -> None:
    """Start, callback, execute, refresh and revoke end as they do when no answer is lost."""
    losing = False
    async with (
        api() as upstream,
        vault(tmp_path / "bao") as bao,
        losing_answers(bao.address, lambda write: losing and write % EVERY == 1) as proxy,
        cluster(tmp_path, **vault_settings(bao, proxy.address)) as running,
    ):
        door = running.door()
        [expected] = await _journeys(door, oidc, upstream, 1)
        assert [end for _, end in expected if isinstance(end, Refused)] == []
        losing, before = True, proxy.writes
        found = await _journeys(door, oidc, upstream, JOURNEYS)
        assert found == [expected] * JOURNEYS
        assert proxy.lost >= (proxy.writes - before) // EVERY > 0
        assert set(redeemed(await oidc.token_requests()).values()) == {1}
        assert (await oidc.counts()).replays == 0
    record("T9", journeys=JOURNEYS, writes=proxy.writes - before, lost=proxy.lost)


Steps = list[tuple[str, Any]]


async def _journeys(door: RpcDoor, oidc: OidcProvider, upstream: Api, count: int) -> list[Steps]:
    ids = await instances(door, oidc, upstream, count)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(instance: str) -> Steps:
        async with gate:
            return await _journey(door, instance)

    return await asyncio.gather(*map(one, ids))


async def _journey(door: RpcDoor, instance: str) -> Steps:
    """Go through a connection's life; answers what came of each step."""
    steps: Steps = []

    async def step(rpc: str, **fields: Any) -> dict[str, Any]:
        answer = await door.credentials(rpc, instance, **fields)
        shown = {name: answer.get(name) for name in ("status", "generation", "refreshable")}
        steps.append((rpc, shown))
        return answer

    begun = await step("StartOAuth2")
    await step("CompleteOAuth2", **await consent(begun["authorizationUrl"]))
    steps.append(("ExecuteMethod", (await door.execute(instance, "getMe")).value))
    await step("RefreshCredentials")
    steps.append(("ExecuteMethod", (await door.execute(instance, "getMe")).value))
    await step("GetCredentialsStatus")
    await step("RevokeCredentials")
    await step("GetCredentialsStatus")
    steps.append(("GetInstance", (await door.instance(instance))["status"]))
    return steps
