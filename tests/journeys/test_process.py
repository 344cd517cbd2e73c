"""The command, as an operator runs it."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

START_SECONDS = 60


def command(*arguments: str, **environment: str) -> "subprocess.Popen[str]":
    """Start `integration-service` with these arguments."""
    return subprocess.Popen(
        [sys.executable, "-m", "services", *arguments],
        env={**os.environ, **environment},  # noqa: TID251 - the child needs PATH and HOME
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run a command to its end."""
    process = command(*arguments, **environment)
    out, err = process.communicate(timeout=START_SECONDS)
    return process.returncode, out, err


@contextmanager
def serving(data_dir: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Serve everything; answers the process and what it said when it was ready."""
    ports = ("--rest", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
    process = command("serve", "--data-dir", str(data_dir), *ports)
    lines = []
    last = " data " if data_dir.exists() else "kept in"
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if last in line:
            break
    try:
        yield process, "".join(lines)
    finally:
        process.kill()
        process.communicate()


def test_serve_until_a_signal(tmp_path: Path) -> None:
    """The service says where it is, answers there, and ends well on SIGTERM."""
    with serving(tmp_path / "data") as (process, greeting):
        found = re.search(r"http://\S+", greeting)
        assert found
        with urllib.request.urlopen(f"{found.group()}/healthz", timeout=10) as answer:  # noqa: S310
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        _, logs = process.communicate(timeout=20)
        assert process.returncode == 0
        assert "Traceback" not in logs
        assert (tmp_path / "data" / "admin-key").read_text().strip() in greeting


@pytest.mark.skipif(sys.platform != "linux", reason="limits are read from /proc")
def test_a_crash_leaves_no_core_dump(tmp_path: Path) -> None:
    """The memory of a process that serves, with all secrets in it, is never written to a file."""
    with serving(tmp_path / "data") as (process, _):
        limits = Path(f"/proc/{process.pid}/limits").read_text()

    found = re.search(r"Max core file size +(\d+) +(\d+) ", limits)
    assert found
    assert set(found.groups()) <= {"0", "1"}


def test_the_key_is_printed_once(tmp_path: Path) -> None:
    """A second start finds what the first one made and prints no key."""
    with serving(tmp_path / "data") as (process, _):
        process.terminate()
        process.communicate(timeout=20)
    key = (tmp_path / "data" / "admin-key").read_text().strip()
    with serving(tmp_path / "data") as (process, greeting):
        process.terminate()
        out, logs = process.communicate(timeout=20)
        assert key not in greeting + out + logs


def test_unusable_settings(tmp_path: Path) -> None:
    """Every unusable setting is named, and nothing is started."""
    code, out, err = output(
        "serve",
        "--data-dir",
        str(tmp_path / "data"),
        INTEGRATION_LOG_LEVEL="loud",
        INTEGRATION_REST="8080",
    )
    assert (code, out) == (2, "")
    assert "log_level" in err
    assert "rest" in err
    assert "Traceback" not in err
    assert not (tmp_path / "data").exists()


def test_an_address_that_is_taken(tmp_path: Path) -> None:
    """A port that somebody else has is named."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        data_dir = str(tmp_path / "data")
        for flags in (("--grpc", address, "--rest", "127.0.0.1:0"), ("--rest", address)):
            code, _, err = output("serve", "--data-dir", data_dir, "--grpc", "127.0.0.1:0", *flags)
            assert code == 2
            assert address in err
            assert "Traceback" not in err


def test_a_part_needs_the_addresses_of_the_others(tmp_path: Path) -> None:
    """A part that runs alone says which addresses it lacks."""
    code, _, err = output("serve", "executor", "--data-dir", str(tmp_path / "data"))
    assert code == 2
    for name in ("registry_address", "credentials_address", "transformer_address"):
        assert name in err


def test_a_lost_master_key(tmp_path: Path) -> None:
    """Without the key of an existing store the service does not start and changes nothing."""
    data_dir = tmp_path / "data"
    with serving(data_dir) as (process, _):
        process.terminate()
        process.communicate(timeout=20)
    (data_dir / "master-key").rename(tmp_path / "master-key")
    code, _, err = output("serve", "--data-dir", str(data_dir))
    assert code == 1
    assert "master-key" in err
    assert not (data_dir / "master-key").exists()
    assert "Traceback" not in err


def test_settings_are_shown(tmp_path: Path) -> None:
    """The effective settings are printed without secrets."""
    code, out, _ = output(
        "settings", "--data-dir", str(tmp_path), INTEGRATION_ADMIN_KEY="is_live_planted"
    )
    assert code == 0
    assert f"data_dir = {tmp_path}" in out
    assert "planted" not in out


def test_keys_and_migrate(tmp_path: Path) -> None:
    """Keys and databases can be made ahead of the first start."""
    data_dir = tmp_path / "data"
    assert output("keys", "--data-dir", str(data_dir))[0] == 0
    assert (data_dir / "service-key").exists()
    assert output("migrate", "--data-dir", str(data_dir))[0] == 0
    assert (data_dir / "registry.db").exists()
    with serving(data_dir) as (process, _):
        process.terminate()
        process.communicate(timeout=20)
        assert process.returncode == 0


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_broken_database(tmp_path: Path, command: str) -> None:
    """A database that cannot be read is told with what lies behind it, without a traceback."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "registry.db").write_bytes(b"no database" * 100)
    code, _, err = output(command, "--data-dir", str(data_dir))
    assert code == 1
    assert "registry" in err
    assert "not a database" in err
    assert "Traceback" not in err


def test_a_master_key_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    """A master key that a setting names is never made up."""
    named = str(tmp_path / "absent")
    flags = ("serve", "--data-dir", str(tmp_path / "data"))
    code, _, err = output(*flags, INTEGRATION_MASTER_KEY_FILE=named)
    assert code == 1
    assert named in err


@pytest.mark.parametrize("arguments", [("--help",), ("serve", "--help")])
def test_help(arguments: tuple[str, ...]) -> None:
    """The help tells what there is."""
    code, out, _ = output(*arguments)
    assert code == 0
    assert "serve" in out


def test_an_unknown_part() -> None:
    """A part that does not exist is refused with those that do."""
    code, _, err = output("serve", "regestry")
    assert code == 2
    assert "registry" in err
