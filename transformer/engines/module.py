"""The compiled module every sandbox is an instance of, and how wasmtime is set up for it."""

import hashlib
import platform
import resource
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import wasmtime

from transformer.engines import artefact, base, hotpath

_KIBIBYTE = 1024
_MEBIBYTE = 1024 * _KIBIBYTE


@dataclass(frozen=True, slots=True)
class StackSizes:
    """What recursion may use: the guest's own stack, and wasmtime's for the code it made.

    Scripts get a RangeError as long as the first runs out first.
    """

    javascript_bytes: int
    wasm_bytes: int


DEEP = StackSizes(javascript_bytes=96 * _KIBIBYTE, wasm_bytes=4 * _MEBIBYTE)
SHALLOW = StackSizes(javascript_bytes=48 * _KIBIBYTE, wasm_bytes=2 * _MEBIBYTE)


def load_module(
    cache_directory: Path, guest: Path, *, deep_stack: bool
) -> tuple[wasmtime.Engine, wasmtime.Module]:
    """The guest as machine code, from the cache if it is there.

    `deep_stack` asks for more recursion than the public interface allows. Raises
    `EngineUnavailable`.
    """
    config = _config()
    deep = deep_stack and _stack_is_roomy() and hotpath.allow_deep_stack(config, DEEP.wasm_bytes)
    stacks = DEEP if deep else SHALLOW
    config.max_wasm_stack = stacks.wasm_bytes
    engine = wasmtime.Engine(config)
    wasm, prelude = base.read_guest(guest), base.read_prelude()
    module = artefact.load_or_build(
        engine,
        cache_directory / f"{_artefact_key(wasm, prelude, stacks)}.cwasm",
        lambda: base.make_base(engine, wasm, prelude, stacks.javascript_bytes),
    )
    return engine, module


def _stack_is_roomy() -> bool:
    """Whether the main thread, which runs short scripts too, has twice what they may use."""
    limit, _ = resource.getrlimit(resource.RLIMIT_STACK)
    return limit == resource.RLIM_INFINITY or limit >= 2 * DEEP.wasm_bytes


def _config() -> wasmtime.Config:
    config = wasmtime.Config()
    config.epoch_interruption = True
    config.cranelift_opt_level = "speed"
    # The guest needs none of these: less of the host to attack.
    config.wasm_threads = False
    config.wasm_relaxed_simd = False
    config.wasm_simd = False
    config.wasm_multi_memory = False
    config.wasm_memory64 = False
    return config


def _artefact_key(wasm: bytes, prelude: tuple[bytes, ...], stacks: StackSizes) -> str:
    digest = hashlib.sha256()
    settings = repr((version("wasmtime"), platform.machine(), stacks)).encode()
    for part in (wasm, *prelude, settings):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
