"""Installing the servers that tests run against."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.install import HERE, SOURCES, InstallFailed, find_node, install


def program(directory: Path, name: str, says: str, status: int = 0) -> None:
    """Put a program into a directory that says something, whatever it is asked."""
    path = directory / name
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {status}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_the_lock_has_hashes_and_no_addresses() -> None:
    """Every package is pinned by hash; where it comes from is the user's configuration."""
    packages = json.loads((SOURCES / "package-lock.json").read_text())["packages"]
    own = packages.pop("")
    assert all(version[0].isdigit() for version in own["dependencies"].values())
    assert len(packages) > 20
    for package in packages.values():
        assert package["integrity"].startswith("sha512-")
        assert not {"resolved", "funding"} & package.keys()
    pins = (HERE / "requirements.lock").read_text()
    assert pins.count("--hash=sha256:") > 5
    assert "://" not in pins


def test_a_second_run_has_nothing_to_do() -> None:
    """What is installed already is used again, and the command says so."""
    install()
    command = [sys.executable, "-m", "tests.servers.install"]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert finished.stdout == "test servers: up to date\n"
    assert not install().fresh


def test_a_node_on_the_path_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recent Node with npm is taken as it is."""
    program(tmp_path, "node", "v22.1.0")
    program(tmp_path, "npm", "10.0.0")
    monkeypatch.setenv("PATH", str(tmp_path))
    node = find_node(tmp_path / "cache")
    assert node.program == str(tmp_path / "node")
    assert node.npm == (str(tmp_path / "npm"),)


@pytest.mark.parametrize("programs", [{"node": "v18.20.0", "npm": "10"}, {"node": "v22.1.0"}])
def test_else_one_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: dict[str, str]
) -> None:
    """With an old Node, or one without npm, one comes from the package index."""
    for name, says in programs.items():
        program(tmp_path, name, says)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    cache = tmp_path / "cache"
    cache.mkdir()
    with pytest.raises(InstallFailed, match=r"fetching Node failed:\n(.|\n)*registries"):
        find_node(cache)
    assert list(cache.iterdir()) == []


def test_packages_that_cannot_be_had_are_a_readable_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What npm says about a failure is in the error, with where to look; nothing half is left."""
    program(tmp_path, "node", "v22.1.0")
    program(tmp_path, "npm", "npm error ECONNREFUSED", status=1)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.defpath}")
    cache = tmp_path / "cache"
    with pytest.raises(
        InstallFailed, match=r"packages failed:\nnpm error ECONNREFUSED\n.*reachable"
    ):
        install(cache)
    assert list(cache.iterdir()) == []
