"""Machine code kept on disk, so that a start costs a read instead of a compilation.

Loading such a file runs what is in it, so it lies in a directory that only its owner can write,
and carries the SHA-256 of its content. A file that is damaged or was made by another build is
made anew.
"""

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import wasmtime

from transformer.errors import EngineUnavailable

_DIGEST_BYTES = hashlib.sha256().digest_size


def load_or_build(
    engine: wasmtime.Engine, path: Path, build: Callable[[], bytes]
) -> wasmtime.Module:
    """The compiled module of this path, from disk if a sound one is there.

    `build` makes the WebAssembly when it is not. A directory that cannot be written only costs
    the next start its time. Raises `EngineUnavailable` when others could have put files there.
    """
    module = _load(engine, path)
    if module is None:
        module = wasmtime.Module(engine, build())
        with contextlib.suppress(OSError):
            _store(path, bytes(module.serialize()))
    return module


def _load(engine: wasmtime.Engine, path: Path) -> wasmtime.Module | None:
    try:
        refuse_foreign(path.parent)
        stored = path.read_bytes()
    except OSError:
        return None
    digest, code = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
    if hashlib.sha256(code).digest() != digest:
        return None
    try:
        return wasmtime.Module.deserialize(engine, code)
    except wasmtime.WasmtimeError:
        return None


def refuse_foreign(directory: Path) -> None:
    """Raises `EngineUnavailable` when someone else owns or may write to the directory."""
    status = directory.stat()
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise EngineUnavailable(
            f"{directory} holds code this process would run, and others can write to it: "
            "make it yours alone (chmod 700) or name another directory",
            path=str(directory),
        )


def _store(path: Path, code: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(hashlib.sha256(code).digest() + code)
        partial.replace(path)
    except BaseException:
        partial.unlink()
        raise
