"""Machine code kept on disk."""

from collections.abc import Callable
from pathlib import Path

import pytest
import wasmtime

from transformer.engines.artefact import load_or_build
from transformer.errors import EngineUnavailable

ANSWER = bytes(wasmtime.wat2wasm('(module (func (export "answer") (result i32) i32.const 42))'))


@pytest.fixture
def machine() -> wasmtime.Engine:
    """An engine as it comes."""
    return wasmtime.Engine()


class Build:
    """Hands out a module and counts how often it was asked for it."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> bytes:
        """Give the module."""
        self.count += 1
        return ANSWER


def answers(engine: wasmtime.Engine, module: wasmtime.Module) -> int:
    """What the module's function returns."""
    store = wasmtime.Store(engine)
    function = wasmtime.Instance(store, module, []).exports(store)["answer"]
    assert isinstance(function, wasmtime.Func)
    return int(function(store))


def test_built_once(machine: wasmtime.Engine, tmp_path: Path):
    """The first start builds and keeps, the next ones read."""
    build, path = Build(), tmp_path / "cache" / "deep" / "key.cwasm"
    for _ in range(3):
        assert answers(machine, load_or_build(machine, path, build)) == 42
    assert build.count == 1
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["key.cwasm"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda stored: stored[:-1],
        lambda stored: stored[:200] + bytes([stored[200] ^ 1]) + stored[201:],
        lambda stored: bytes(32) + stored[32:],
        lambda _: b"",
        lambda _: b"not machine code",
    ],
    ids=["cut", "flipped bit", "other digest", "empty", "foreign"],
)
def test_damaged_files_are_made_anew(
    machine: wasmtime.Engine, tmp_path: Path, damage: Callable[[bytes], bytes]
):
    """A damaged or foreign file is never run: it is built again and replaced."""
    build, path = Build(), tmp_path / "key.cwasm"
    load_or_build(machine, path, build)
    sound = path.read_bytes()
    path.write_bytes(damage(sound))
    assert answers(machine, load_or_build(machine, path, build)) == 42
    assert build.count == 2
    assert len(path.read_bytes()) == len(sound)


def test_code_of_another_configuration_is_made_anew(machine: wasmtime.Engine, tmp_path: Path):
    """Sound code that was made for other settings is built again."""
    config = wasmtime.Config()
    config.epoch_interruption = True
    build, path = Build(), tmp_path / "key.cwasm"
    load_or_build(wasmtime.Engine(config), path, build)
    assert answers(machine, load_or_build(machine, path, build)) == 42
    assert build.count == 2


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_directories_others_can_write_to(machine: wasmtime.Engine, tmp_path: Path, mode: int):
    """Code from a directory that others can write to is not run."""
    directory = tmp_path / "shared"
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(EngineUnavailable, match="chmod 700"):
        load_or_build(machine, directory / "key.cwasm", Build())


def test_cache_that_cannot_be_written(machine: wasmtime.Engine, tmp_path: Path):
    """Where nothing can be kept, starting works and costs its time again."""
    (tmp_path / "file").write_text("in the way")
    build = Build()
    for _ in range(2):
        module = load_or_build(machine, tmp_path / "file" / "key.cwasm", build)
        assert answers(machine, module) == 42
    assert build.count == 2
