"""Building the guest, as far as that goes without a compiler."""

import subprocess
import sys
from pathlib import Path

import pytest

from transformer.guest import build as guest_build
from transformer.guest.build import BuildFailed, build, inputs_digest


def put_cached(cache: Path, content: bytes) -> None:
    """Leave a result in the cache, as an earlier build does."""
    cached = cache / "guest" / inputs_digest() / "guest.wasm"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(content)


def test_a_cached_result_is_put_in_place(tmp_path: Path):
    """What was built before is copied, and the second time there is nothing to do."""
    put_cached(tmp_path / "cache", b"module")
    output = tmp_path / "out" / "guest.wasm"
    assert build(tmp_path / "cache", output)
    assert output.read_bytes() == b"module"
    assert not build(tmp_path / "cache", output)
    assert [file.name for file in output.parent.iterdir()] == ["guest.wasm"]


def test_an_outdated_artefact_is_replaced(tmp_path: Path):
    """An artefact from other sources gives way to the one from these."""
    put_cached(tmp_path / "cache", b"new")
    output = tmp_path / "guest.wasm"
    output.write_bytes(b"old")
    assert build(tmp_path / "cache", output)
    assert output.read_bytes() == b"new"


@pytest.mark.parametrize("package", ["quickjs-ng", "ziglang"])
def test_both_packages_are_pinned_by_hash(package: str):
    """Source and compiler each have one exact version and hashes in the lock file."""
    pin = guest_build._pin_of(package)  # noqa: SLF001 - what pip is told
    assert pin.startswith(f"{package}==")
    assert pin.count("--hash=sha256:") > 5
    assert pin.count("\n") == 1


def test_commands_that_fail_say_why(tmp_path: Path):
    """A step that fails is reported with what was done and what the command wrote."""
    command = [sys.executable, "-c", "import sys; sys.exit('disk is on fire')"]
    with pytest.raises(BuildFailed, match=r"linking failed:\ndisk is on fire"):
        guest_build._run(command, "linking", tmp_path)  # noqa: SLF001


def test_the_command_is_quick_when_up_to_date(tmp_path: Path):
    """The command puts the guest and its machine code in place, then says that all is done."""
    cache, output = tmp_path / "cache", tmp_path / "guest.wasm"
    put_cached(cache, (guest_build.HERE / "guest.wasm").read_bytes())
    command = [sys.executable, "-m", "transformer.guest.build", "--cache", str(cache)]
    said = []
    for _ in range(2):
        finished = subprocess.run(
            [*command, "--output", str(output)], capture_output=True, text=True, check=True
        )
        said.append(finished.stdout)
    assert said[0].startswith("guest.wasm: ready in ")
    assert said[1] == "guest.wasm: up to date\n"
    assert len(list((cache / "engine").iterdir())) == 1
