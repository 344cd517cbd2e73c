"""Builds the guest: `python -m transformer.guest.build`.

QuickJS-NG's sources come from the PyPI package `quickjs-ng`, the compiler is a clang that can
make WebAssembly, else the PyPI package `ziglang`; both are pinned by hash in
`requirements.lock` beside this file and live in a temporary directory. The result is kept in the
user's cache under the digest of everything it is made from, so a second build costs nothing.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENGINE_UNITS = ("quickjs", "libregexp", "libunicode", "dtoa")
OWN_UNITS = ("guest", "surroundings", "report", "heap")
HEADERS = ("guest.h", "heap.h")
TARGET = "--target=wasm32-wasi"
COMPILE_FLAGS = (
    "-O2",
    "-DNDEBUG",  # an assert that fails would only reach an abort nobody can read
    "-D_GNU_SOURCE",
    "-D_WASI_EMULATED_PROCESS_CLOCKS",
    "-D_WASI_EMULATED_SIGNAL",
)
# The stack leaves C code 32 KiB beyond what scripts may use of it (StackSizes, engines/module.py).
LINK_FLAGS = (
    "-mexec-model=reactor",
    "-lwasi-emulated-process-clocks",
    "-lwasi-emulated-signal",
    "-Wl,--export=__stack_pointer",
    "-Wl,-z,stack-size=131072",
    "-s",
)


class BuildFailed(Exception):
    """The guest could not be built; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Compiler:
    """How to call a C compiler, and what it needs beyond the common flags."""

    name: str
    command: tuple[str, ...]
    link_flags: tuple[str, ...] = ()


def inputs_digest() -> str:
    """The digest of everything the artefact is made from."""
    digest = hashlib.sha256(repr((COMPILE_FLAGS, LINK_FLAGS)).encode())
    for name in (*(f"{unit}.c" for unit in OWN_UNITS), *HEADERS, "requirements.lock"):
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()[:32]


def build(cache: Path, output: Path) -> bool:
    """Put the artefact at `output`. Returns whether anything had to be done."""
    cached = cache / "guest" / inputs_digest() / "guest.wasm"
    if not cached.exists():
        _say("building the JavaScript engine (QuickJS-NG for WebAssembly): about a minute, once")
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="guest-build-") as scratch:
            _move_into_place(_compile_all(Path(scratch)), cached)
    if output.exists() and output.read_bytes() == cached.read_bytes():
        return False
    output.parent.mkdir(parents=True, exist_ok=True)
    _move_into_place(cached, output)
    return True


def _move_into_place(source: Path, target: Path) -> None:
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, partial)
    partial.replace(target)


def _compile_all(scratch: Path) -> Path:
    upstream = _fetch_sources(scratch)
    compiler = _find_clang(scratch) or _install_zig(scratch)
    sources = [upstream / f"{unit}.c" for unit in ENGINE_UNITS]
    sources += [HERE / f"{unit}.c" for unit in OWN_UNITS]
    objects = [_compile_unit(compiler, source, upstream, scratch) for source in sources]
    _say("  linking")
    linked = scratch / "guest.wasm"
    command = [*compiler.command, TARGET, *map(str, objects), *compiler.link_flags, *LINK_FLAGS]
    _run([*command, "-o", str(linked)], "linking", scratch)
    return linked


def _fetch_sources(scratch: Path) -> Path:
    _say("  fetching the QuickJS-NG sources")
    _pip(scratch, "quickjs-ng", "download", "--no-binary=:all:", "--dest", str(scratch))
    archives = list(scratch.glob("quickjs_ng-*.tar.gz"))
    if len(archives) != 1:
        raise BuildFailed("the package index gave no source archive of quickjs-ng")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(scratch)  # noqa: S202 - its hash was checked
    return scratch / archives[0].name.removesuffix(".tar.gz") / "upstream-quickjs"


def _find_clang(scratch: Path) -> Compiler | None:
    """A clang on the path that has a WASI sysroot."""
    clang = shutil.which("clang")
    if clang is None:
        return None
    compiler = Compiler("clang", (clang,), ("-Wl,--stack-first",))
    probe = scratch / "probe.c"
    probe.write_text("#include <stdlib.h>\nvoid *probe(int n) { return malloc(n); }\n")
    command = [clang, TARGET, str(probe), *compiler.link_flags, *LINK_FLAGS]
    try:
        _run([*command, "-o", str(scratch / "probe.wasm")], "trying clang", scratch)
    except BuildFailed:
        return None
    return compiler


def _install_zig(scratch: Path) -> Compiler:
    _say("  no clang for WebAssembly here: fetching one (the PyPI package ziglang, about 100 MB)")
    _pip(scratch, "ziglang", "install", "--target", str(scratch / "zig"))
    return Compiler("zig", (sys.executable, "-m", "ziglang", "cc"))


def _compile_unit(compiler: Compiler, source: Path, headers: Path, scratch: Path) -> Path:
    compiled = scratch / f"{source.stem}.o"
    started = time.monotonic()
    command = [*compiler.command, TARGET, *COMPILE_FLAGS, f"-I{headers}", "-c", str(source)]
    doing = f"compiling {source.name} with {compiler.name}"
    _run([*command, "-o", str(compiled)], doing, scratch)
    _say(f"  compiled {source.name} in {time.monotonic() - started:.0f} s")
    return compiled


def _pip(scratch: Path, package: str, action: str, *options: str) -> None:
    """Run pip for one pinned package, whose hash it checks before anything else."""
    pinned = scratch / f"{package}.txt"
    pinned.write_text(_pin_of(package))
    pip = [_python_with_pip(scratch), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    command = [*pip, action, "--no-deps", "--require-hashes", "-r", str(pinned), *options]
    _run(command, f"fetching {package}", scratch)


def _python_with_pip(scratch: Path) -> str:
    """This interpreter, or one of its own making where pip was left out of the environment."""
    if find_spec("pip") is not None:
        return sys.executable
    python = scratch / "pip" / "bin" / "python"
    if not python.exists():
        _run(
            [sys.executable, "-m", "venv", str(scratch / "pip")], "making a place for pip", scratch
        )
    return str(python)


def _pin_of(package: str) -> str:
    """The package's entry in the lock file."""
    entries = (HERE / "requirements.lock").read_text().replace("\\\n", " ").splitlines()
    return next(entry for entry in entries if entry.startswith(f"{package}==")) + "\n"


def _run(command: list[str], doing: str, scratch: Path) -> None:
    """Run a command whose output only matters when it fails. Raises `BuildFailed`."""
    environment = {
        **os.environ,  # noqa: TID251 - what pip and compilers are configured by
        "PYTHONPATH": str(scratch / "zig"),
        "ZIG_GLOBAL_CACHE_DIR": str(scratch / "zig-cache"),
        "ZIG_LOCAL_CACHE_DIR": str(scratch / "zig-cache"),
    }
    finished = subprocess.run(  # noqa: S603 - commands of this file
        command, capture_output=True, text=True, env=environment, check=False
    )
    if finished.returncode != 0:
        said = (finished.stderr or finished.stdout).strip()[-4000:]
        raise BuildFailed(f"{doing} failed:\n{said}")


def _warm_up(cache: Path) -> None:
    """Have the machine code made too, so that the first start is as quick as every other."""
    command = [sys.executable, "-m", "transformer.engines", str(cache / "engine")]
    finished = subprocess.run(command, cwd=HERE.parent.parent, check=False)  # noqa: S603
    if finished.returncode != 0:
        raise BuildFailed("the guest was built but does not start; see above")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Build, say so, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m transformer.guest.build", description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/integration-service")
    parser.add_argument("--output", type=Path, default=HERE / "guest.wasm")
    options = parser.parse_args()
    started = time.monotonic()
    try:
        built = build(options.cache, options.output)
        _warm_up(options.cache)
    except BuildFailed as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    done = f"ready in {time.monotonic() - started:.0f} s" if built else "up to date"
    _say(f"{options.output.name}: {done}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
