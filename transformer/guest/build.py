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
from pathlib import Path

HERE = Path(__file__).resolve().parent
USER_CACHE = Path.home() / ".cache" / "integration-service"
UNITS = ("quickjs", "libregexp", "libunicode", "dtoa", "guest")
TARGET = "--target=wasm32-wasi"
# NDEBUG: an assert that fails would only reach an abort nobody can read.
COMPILE_FLAGS = ("-O2", "-DNDEBUG", "-D_GNU_SOURCE", "-D_WASI_EMULATED_PROCESS_CLOCKS", "-D_WASI_EMULATED_SIGNAL")
# The stack leaves the C code 64 KiB beyond what scripts may use of it (StackSizes in engines/wasm.py).
LINK_FLAGS = (
    "-mexec-model=reactor",
    "-lwasi-emulated-process-clocks",
    "-lwasi-emulated-signal",
    "-Wl,--export=__stack_pointer",
    "-Wl,-z,stack-size=196608",
    "-s",
)
IMPORT_SECTION = 2


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
    for name in ("guest.c", "requirements.lock"):
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
    sources = _fetch_sources(scratch)
    compiler = _find_clang(scratch) or _install_zig(scratch)
    objects = [_compile_unit(compiler, unit, sources, scratch) for unit in UNITS]
    _say("  linking")
    linked = scratch / "guest.wasm"
    flags = (*compiler.link_flags, *LINK_FLAGS)
    _run([*compiler.command, TARGET, *map(str, objects), *flags, "-o", str(linked)], "linking", scratch)
    _refuse_imports(linked)
    return linked


def _fetch_sources(scratch: Path) -> Path:
    _say("  fetching the QuickJS-NG sources")
    _pip(scratch, "quickjs-ng", "download", "--no-binary=:all:", "--dest", str(scratch))
    archives = list(scratch.glob("quickjs_ng-*.tar.gz"))
    if len(archives) != 1:
        raise BuildFailed("the package index gave no source archive of quickjs-ng")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(scratch)  # what is in it is known: its hash was checked
    return scratch / archives[0].name.removesuffix(".tar.gz") / "upstream-quickjs"


def _find_clang(scratch: Path) -> Compiler | None:
    """A clang on the path that has a WASI sysroot."""
    probe = scratch / "probe.c"
    probe.write_text("#include <stdlib.h>\nvoid *probe(int n) { return malloc(n); }\n")
    if not (clang := shutil.which("clang")):
        return None
    compiler = Compiler("clang", (clang,), ("-Wl,--stack-first",))
    command = [clang, TARGET, str(probe), *compiler.link_flags, *LINK_FLAGS, "-o", str(scratch / "probe.wasm")]
    tried = subprocess.run(command, capture_output=True, check=False)
    return compiler if tried.returncode == 0 else None


def _install_zig(scratch: Path) -> Compiler:
    _say("  no clang for WebAssembly here: fetching one (the PyPI package ziglang, about 100 MB)")
    _pip(scratch, "ziglang", "install", "--target", str(scratch / "zig"))
    return Compiler("zig", (sys.executable, "-m", "ziglang", "cc"))


def _compile_unit(compiler: Compiler, unit: str, sources: Path, scratch: Path) -> Path:
    source = HERE / "guest.c" if unit == "guest" else sources / f"{unit}.c"
    compiled = scratch / f"{unit}.o"
    started = time.monotonic()
    command = [*compiler.command, TARGET, *COMPILE_FLAGS, f"-I{sources}", "-c", str(source), "-o", str(compiled)]
    _run(command, f"compiling {source.name} with {compiler.name}", scratch)
    _say(f"  compiled {source.name} in {time.monotonic() - started:.0f} s")
    return compiled


def _pip(scratch: Path, package: str, action: str, *options: str) -> None:
    """pip for one pinned package; its hash is checked before anything of it runs."""
    pinned = scratch / f"{package}.txt"
    pinned.write_text(_pin_of(package))
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", action]
    _run([*command, "--no-deps", "--require-hashes", "-r", str(pinned), *options], f"fetching {package}", scratch)


def _pin_of(package: str) -> str:
    """The package's entry in the lock file."""
    entries = (HERE / "requirements.lock").read_text().replace("\\\n", " ").splitlines()
    return next(entry for entry in entries if entry.startswith(f"{package}==")) + "\n"


def _run(command: list[str], doing: str, scratch: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(scratch / "zig"),
        "ZIG_GLOBAL_CACHE_DIR": str(scratch / "zig-cache"),
        "ZIG_LOCAL_CACHE_DIR": str(scratch / "zig-cache"),
    }
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if finished.returncode != 0:
        raise BuildFailed(f"{doing} failed:\n{(finished.stderr or finished.stdout).strip()[-4000:]}")


def _refuse_imports(artefact: Path) -> None:
    from transformer.engines.snapshot import sections

    if any(kind == IMPORT_SECTION for kind, _ in sections(artefact.read_bytes())):
        raise BuildFailed("the guest imports functions of its host: guest.c must define them itself")


def _warm_up(cache: Path) -> None:
    """Make the machine code too, so that the first start is as quick as every other."""
    from transformer.engines.wasm import new_engine

    new_engine(cache / "engine").close()


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    """The command. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m transformer.guest.build", description=__doc__)
    parser.add_argument("--cache", type=Path, default=USER_CACHE, help="where to keep results (%(default)s)")
    parser.add_argument("--output", type=Path, default=HERE / "guest.wasm", help="where to put the guest")
    options = parser.parse_args()
    started = time.monotonic()
    try:
        built = build(options.cache, options.output)
        _warm_up(options.cache)
    except BuildFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    done = f"ready in {time.monotonic() - started:.0f} s" if built else "up to date"
    _say(f"{options.output.name}: {done}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
