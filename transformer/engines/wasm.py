"""The engine: QuickJS-NG in WebAssembly.

Every call starts from an image of the whole linear memory and the image is put back after it,
so nothing of one call is there for the next. An instance that trapped, or whose memory grew, is
thrown away.
"""

import hashlib
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import wasmtime

from transformer.engines import artefact, base, failures, guest_io, hotpath
from transformer.engines.guest_io import ENTRIES, Reply, Request, Status
from transformer.engines.pool import SandboxPool
from transformer.engines.sandbox import GuestTrapped, Image, PublicSandbox, Sandbox
from transformer.engines.ticker import PERIOD_MS, Ticker
from transformer.errors import InputTooLarge, ScriptSyntaxInvalid, SourceTooLarge
from transformer.model import Call, Compiled, Limits, Outcome, Script, Stats

SandboxType = type[PublicSandbox] | type[hotpath.HotSandbox]

_COMPILER = "compiler"
_AS_SCRIPT, _AS_MODULE = 0, 1
_IDLE_SANDBOXES = 16
_KIBIBYTE = 1024
_MEBIBYTE = 1024 * _KIBIBYTE
# How fast input is read at the very least, and what its values take of memory per byte.
_INPUT_BYTES_PER_MS = 10_000
_MEMORY_PER_INPUT_BYTE = 16
_MEMORY_SLACK = 16 * _MEBIBYTE
_COMPILE_LIMITS = Limits(time_ms=5_000, ticks=1 << 40, memory_bytes=64 * _MEBIBYTE, output_bytes=1 << 31)


@dataclass(frozen=True, slots=True)
class StackSizes:
    """What recursion may use: the guest's own stack, and wasmtime's for the code it made.

    Scripts get a RangeError as long as the first runs out first.
    """

    javascript_bytes: int
    wasm_bytes: int


DEEP = StackSizes(javascript_bytes=128 * _KIBIBYTE, wasm_bytes=4 * _MEBIBYTE)
SHALLOW = StackSizes(javascript_bytes=48 * _KIBIBYTE, wasm_bytes=2 * _MEBIBYTE)


def new_engine(
    cache_directory: Path,
    *,
    guest: Path = base.GUEST_DIRECTORY / "guest.wasm",
    private_bindings: bool = True,
) -> "WasmEngine":
    """An engine ready to run. `cache_directory` keeps machine code between starts.

    `private_bindings=False` keeps to wasmtime's public interface. Raises `EngineUnavailable`.
    """
    hot = private_bindings and hotpath.available()
    config = _config()
    stacks = DEEP if hot and hotpath.allow_deep_stack(config, DEEP.wasm_bytes) else SHALLOW
    if stacks is SHALLOW:
        config.max_wasm_stack = SHALLOW.wasm_bytes
    engine = wasmtime.Engine(config)
    wasm, prelude = base.read_guest(guest), base.read_prelude()
    key = _artefact_key(wasm, prelude, stacks)
    module = artefact.load_or_build(
        engine, cache_directory, key, lambda: base.make_base(engine, wasm, prelude, stacks.javascript_bytes)
    )
    return WasmEngine(engine, module, hotpath.HotSandbox if hot else PublicSandbox)


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
    parts = (wasm, *prelude, version("wasmtime").encode(), platform.machine().encode(), repr(stacks).encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


class WasmEngine:
    """`transformer.ports.Engine` over recycled WebAssembly instances."""

    def __init__(self, engine: wasmtime.Engine, module: wasmtime.Module, sandbox_type: SandboxType) -> None:
        self._engine = engine
        self._module = module
        self._sandbox_type = sandbox_type
        self._ticker = Ticker(engine)
        self._base: Image | None = None
        first = self._create()
        self._base = first.image
        first.set_deadline(1)
        self._mailbox = first.call("mailbox")
        first.restore(first.image)
        self._pool = SandboxPool(self._create, _IDLE_SANDBOXES)
        self._pool.give_back(first)

    def _create(self) -> Sandbox:
        store = wasmtime.Store(self._engine)
        return self._sandbox_type(store, wasmtime.Instance(store, self._module, []), self._base)

    def close(self) -> None:
        self._pool.close()
        self._ticker.close()

    def compile(self, script: Script, limits: Limits) -> Compiled:
        source = script.source.encode("utf-8", "replace")
        if len(source) > limits.source_bytes:
            raise SourceTooLarge(
                f"{script.name} has {len(source)} bytes, {limits.source_bytes} are allowed",
                **_excess("sourceBytes", len(source), limits.source_bytes, "compile"),
            )
        with self._sandbox(_COMPILER, _COMPILE_LIMITS, len(source)) as sandbox:
            if sandbox.loaded is None:
                sandbox.call("enable_compiler")
                sandbox.image, sandbox.loaded = sandbox.capture(), _COMPILER
            return Compiled(script, self._compile(sandbox, script, source))

    def _compile(self, sandbox: Sandbox, script: Script, source: bytes) -> bytes:
        """As a script first, for that is what authors write; as a module when it is none."""
        try:
            return self._compile_as(sandbox, script, source, _AS_SCRIPT)
        except ScriptSyntaxInvalid as as_script:
            sandbox.restore(sandbox.image)
            try:
                return self._compile_as(sandbox, script, source, _AS_MODULE)
            except ScriptSyntaxInvalid as as_module:
                # The reading that came further is the one the author meant.
                raise max(as_script, as_module, key=_position) from None

    def _compile_as(self, sandbox: Sandbox, script: Script, source: bytes, kind: int) -> bytes:
        request = Request(source)
        reply = self._call(sandbox, "compile", script, request, _COMPILE_LIMITS, kind)
        return guest_io.output(sandbox, reply)

    def inspect(self, compiled: Compiled, limits: Limits) -> str:
        with self._sandbox(None, limits, 0) as sandbox:
            reply = self._call(sandbox, "load", compiled.script, Request(compiled.bytecode), limits)
            return ENTRIES[reply.entry] or ""

    def run(self, compiled: Compiled, call: Call, limits: Limits) -> Outcome:
        started = time.perf_counter_ns()
        size = len(call.input) + len(call.context)
        if size > limits.input_bytes:
            raise InputTooLarge(
                f"input and context have {size} bytes, {limits.input_bytes} are allowed",
                **_excess("inputBytes", size, limits.input_bytes, "parse"),
            )
        script = compiled.script
        with self._sandbox(script.digest, limits, size) as sandbox:
            if sandbox.loaded is None:
                self._load(sandbox, compiled, call, limits)
            request = Request(call.input, call.context, call.now_ms, call.seed)
            reply = self._call(sandbox, "run", script, request, limits)
            output = guest_io.output(sandbox, reply)
            console = guest_io.console(sandbox, reply)
        spent = (time.perf_counter_ns() - started) // 1000
        return Outcome(output, console, Stats(spent, reply.ticks, reply.memory_peak, len(output), "inline"))

    def _load(self, sandbox: Sandbox, compiled: Compiled, call: Call, limits: Limits) -> None:
        request = Request(compiled.bytecode, b"", call.now_ms, call.seed)
        reply = self._call(sandbox, "load", compiled.script, request, limits)
        # A script that asked for the time at its top level has to be loaded for every call.
        if reply.repeatable and sandbox.size() == sandbox.image.size:
            sandbox.image, sandbox.loaded = sandbox.capture(), compiled.script.digest

    def _call(
        self, sandbox: Sandbox, function: str, script: Script, request: Request, limits: Limits, argument: int = 0
    ) -> Reply:
        """One exchange with the guest. Raises a `TransformFailed`."""
        try:
            guest_io.send(sandbox, self._mailbox, request, limits)
            status = sandbox.call(function, argument)
        except GuestTrapped as trap:
            reply = guest_io.receive(sandbox, self._mailbox)
            raise failures.trapped(script, trap, reply, limits, guest_io.console(sandbox, reply)) from trap
        reply = guest_io.receive(sandbox, self._mailbox)
        if status == Status.OK:
            return reply
        text = guest_io.error_text(sandbox, reply)
        raise failures.failure(script, status, reply, text, limits, guest_io.console(sandbox, reply))

    @contextmanager
    def _sandbox(self, key: str | None, limits: Limits, input_bytes: int) -> Iterator[Sandbox]:
        """A sandbox with `key` loaded or nothing at all, for the time the limits allow."""
        sandbox = self._pool.take(key)
        if sandbox.loaded != key:
            sandbox.restore(self._base)
            sandbox.image, sandbox.loaded = self._base, None
        milliseconds = limits.time_ms + input_bytes // _INPUT_BYTES_PER_MS
        sandbox.set_deadline(milliseconds // PERIOD_MS + 2)
        sandbox.allow_memory(
            sandbox.image.size + limits.memory_bytes + _MEMORY_SLACK + input_bytes * _MEMORY_PER_INPUT_BYTE
        )
        self._ticker.enter(sandbox)
        try:
            yield sandbox
        finally:
            self._ticker.leave(sandbox)
            self._give_back(sandbox)

    def _give_back(self, sandbox: Sandbox) -> None:
        if sandbox.trapped or sandbox.size() != sandbox.image.size:
            sandbox.close()
            return
        sandbox.restore(sandbox.image)
        self._pool.give_back(sandbox)


def _position(error: ScriptSyntaxInvalid) -> tuple[object, object]:
    return error.details.get("line", 0), error.details.get("column", 0)


def _excess(limit: str, used: int, allowed: int, phase: str) -> dict[str, object]:
    return {"limit": limit, "used": used, "allowed": allowed, "phase": phase}
