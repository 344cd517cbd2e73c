"""A service whose Vault is away: it goes on, says so, and is not taken for dead."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.vault import Bao
from tests.journeys import houses
from tests.journeys.doors import Refused
from tests.journeys.houses import House
from tests.journeys.scenarios import definition


async def readiness(house: House, *, degraded: bool) -> dict[str, Any]:
    """Answer what `/readyz` says, as soon as it is this."""
    async with asyncio.timeout(10):
        while True:
            async with house.session.get(f"{house.rest}/readyz") as response:
                answer: dict[str, Any] = await response.json()
                if ("degraded" in answer) == degraded:
                    return {"httpStatus": response.status, **answer}
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("build", [houses.one_process, houses.split], ids=["one", "split"])
async def test_sealed_vault(
    tmp_path: Path, build: Callable[..., AbstractAsyncContextManager[House]]
) -> None:
    """While its Vault is sealed the service is ready but degraded, and says which part is."""
    (tmp_path / "bao").mkdir()
    bao = Bao.raft(tmp_path / "bao")
    settings = {
        "credential_store": "vault",
        "vault_address": bao.address,
        "vault_auth": "token",
        "vault_token": bao.token,
    }
    config = {"baseUrl": "http://127.0.0.1:9", "apiKey": "key-123456789"}
    try:
        async with build(tmp_path / "data", **settings) as house:
            door = house.door("rest")
            crm = await door.register(definition("crm"))
            assert (await readiness(house, degraded=False))["status"] == "SERVING"

            bao.seal()
            with pytest.raises(Refused) as refused:
                await door.connect(crm["id"], config)
            assert refused.value.code == "TEMPORARY_ERROR"
            told = await readiness(house, degraded=True)
            assert (told["httpStatus"], told["status"]) == (200, "SERVING")
            assert list(told["degraded"]) == ["credentials"]

            bao.unseal()
            await readiness(house, degraded=False)
            assert (await door.connect(crm["id"], config))["status"] == "CONNECTED"
    finally:
        bao.stop()
