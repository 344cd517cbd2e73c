"""The engine: QuickJS-NG in WebAssembly.

Every call starts from an image of the whole linear memory and the image is put back after it,
so nothing of one call is there for the next. An instance that trapped, or whose memory grew, is
thrown away.
"""

import time
from pathlib import Path

import wasmtime

from transformer.engines import failures, guest_io, hotpath
from transformer.engines.base import GUEST_DIRECTORY
from transformer.engines.cpu_timer import CpuTimer
from transformer.engines.guest_io import ENTRIES, Answer, Request, Status
from transformer.engines.images import ScriptImages
from transformer.engines.module import load_module
from transformer.engines.pool import SandboxPool
from transformer.engines.sandbox import GuestTrapped, Image, PublicSandbox, Sandbox
from transformer.engines.ticker import RunningTime, Ticker
from transformer.errors import InputTooLarge, ScriptSyntaxInvalid, SourceTooLarge
from transformer.model import MEBIBYTE, Call, Compiled, Limits, Outcome, Script, Stats

SandboxType = type[PublicSandbox] | type[hotpath.HotSandbox]

_COMPILER = "compiler"
_AS_SCRIPT, _AS_MODULE = 0, 1
_NEVER = 1 << 40
_IDLE_SANDBOXES = 16
_IMAGES = 32
_REMEMBERED_SCRIPTS = 1024
# How fast an input is read at the very least, and what its values take of memory per byte.
_INPUT_BYTES_PER_MS = 10_000
_MEMORY_PER_INPUT_BYTE = 16
_MEMORY_SLACK = 16 * MEBIBYTE
_COMPILE_LIMITS = Limits(
    time_ms=5_000, ticks=_NEVER, memory_bytes=64 * MEBIBYTE, output_bytes=_NEVER
)


def new_engine(
    cache_directory: Path,
    *,
    guest: Path = GUEST_DIRECTORY / "guest.wasm",
    private_bindings: bool = True,
) -> "WasmEngine":
    """An engine ready to run. `cache_directory` keeps machine code between starts.

    `private_bindings=False` keeps to wasmtime's public interface. Raises `EngineUnavailable`.
    """
    hot = private_bindings and hotpath.available()
    engine, module = load_module(cache_directory, guest, deep_stack=hot)
    if not hot:
        return WasmEngine(engine, module, PublicSandbox, Ticker(engine))
    return WasmEngine(engine, module, hotpath.HotSandbox, _running_time(engine))


def _running_time(engine: wasmtime.Engine) -> RunningTime:
    try:
        return CpuTimer(engine)
    except OSError:
        return Ticker(engine)


class WasmEngine:
    """`transformer.ports.Engine` over recycled WebAssembly instances."""

    def __init__(
        self,
        engine: wasmtime.Engine,
        module: wasmtime.Module,
        sandbox_type: SandboxType,
        running_time: RunningTime,
    ) -> None:
        self._engine = engine
        self._module = module
        self._sandbox_type = sandbox_type
        self._time = running_time
        self._images = ScriptImages(_IMAGES, _REMEMBERED_SCRIPTS)
        self._pool = SandboxPool(lambda: self._create(self._base), _IDLE_SANDBOXES)
        first = self._create(None)
        self._base = first.image
        first.confine(_NEVER, 0)
        self._mailbox = first.call("mailbox")
        self._pool.give_back(first)

    def _create(self, base: Image | None) -> Sandbox:
        store = wasmtime.Store(self._engine)
        instance = wasmtime.Instance(store, self._module, [])
        return self._sandbox_type(store, instance, base)

    def close(self) -> None:
        """See `transformer.ports.Engine`."""
        self._pool.close()
        self._time.close()

    def compile(self, script: Script, limits: Limits) -> Compiled:
        """See `transformer.ports.Engine`."""
        source = script.source.encode("utf-8", "replace")
        if len(source) > limits.source_bytes:
            raise SourceTooLarge(
                f"{script.name} has {len(source)} bytes, {limits.source_bytes} are allowed",
                **failures.excess("sourceBytes", len(source), limits.source_bytes, "compile"),
            )
        sandbox = self._enter(_COMPILER, _COMPILE_LIMITS, len(source))
        try:
            if sandbox.loaded is None:
                sandbox.call("enable_compiler")
                sandbox.image, sandbox.loaded = sandbox.capture(), _COMPILER
                self._images.put(_COMPILER, sandbox.image)
            return Compiled(script, self._compile(sandbox, script, source))
        finally:
            self._leave(sandbox)

    def _compile(self, sandbox: Sandbox, script: Script, source: bytes) -> bytes:
        """As a script first, for that is what most authors write; else as a module."""
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
        request = Request(_COMPILE_LIMITS, source, kind=kind)
        return self._ask(sandbox, "compile", script, request).output

    def inspect(self, compiled: Compiled, limits: Limits) -> str:
        """See `transformer.ports.Engine`."""
        sandbox = self._enter(None, limits, 0)
        try:
            request = Request(limits, compiled.bytecode)
            return ENTRIES[self._ask(sandbox, "load", compiled.script, request).reply.entry]
        finally:
            self._leave(sandbox)

    def run(self, compiled: Compiled, call: Call, limits: Limits) -> Outcome:
        """See `transformer.ports.Engine`."""
        started = time.perf_counter_ns()
        script = compiled.script
        size = len(call.input) + len(call.context)
        if size > limits.input_bytes:
            raise InputTooLarge(
                f"input and context have {size} bytes, {limits.input_bytes} are allowed",
                **failures.excess("inputBytes", size, limits.input_bytes, "parse"),
            )
        sandbox = self._enter(script.digest, limits, size)
        try:
            if sandbox.loaded is None:
                self._load(sandbox, compiled, call, limits)
            request = Request(limits, call.input, call.context, call.now_ms, call.seed)
            reply, output, console = self._ask(sandbox, "run", script, request)
        finally:
            self._leave(sandbox)
        spent_us = (time.perf_counter_ns() - started) // 1000
        stats = Stats(spent_us, reply.ticks, reply.memory_peak, len(output), "inline")
        return Outcome(output, console, stats)

    def _load(self, sandbox: Sandbox, compiled: Compiled, call: Call, limits: Limits) -> None:
        script = compiled.script
        request = Request(limits, compiled.bytecode, b"", call.now_ms, call.seed)
        reply = self._ask(sandbox, "load", script, request).reply
        # A script that asked for the time at its top level has to be loaded for every call.
        if not reply.repeatable or sandbox.size() != sandbox.image.size:
            return
        if self._images.wanted(script.digest):
            sandbox.image, sandbox.loaded = sandbox.capture(), script.digest
            self._images.put(script.digest, sandbox.image)

    def _ask(self, sandbox: Sandbox, function: str, script: Script, request: Request) -> Answer:
        """One exchange with the guest. Raises a `TransformFailed`."""
        mailbox = self._mailbox
        try:
            guest_io.send(sandbox, mailbox, request)
            status = sandbox.call(function, request.kind)
            reply = guest_io.receive(sandbox, mailbox)
            if status == Status.OK:
                console = guest_io.console(sandbox, reply)
                return Answer(reply, guest_io.output(sandbox, reply), console)
            failure = guest_io.failure(sandbox, reply, status)
        except GuestTrapped as trap:
            sandbox.trapped = True
            phase, console = guest_io.last_words(sandbox, mailbox)
            raise failures.trapped(script, trap, phase, console, request.limits) from trap
        raise failures.reported(script, failure, request.limits)

    def _enter(self, key: str | None, limits: Limits, input_bytes: int) -> Sandbox:
        """A sandbox with `key` loaded or nothing at all, for as long as the limits allow."""
        sandbox = self._pool.take(key)
        if sandbox.loaded != key:
            self._exchange_image(sandbox, key)
        milliseconds = limits.time_ms + input_bytes // _INPUT_BYTES_PER_MS
        sandbox.confine(
            self._time.enter(sandbox, milliseconds),
            sandbox.image.size
            + limits.memory_bytes
            + input_bytes * _MEMORY_PER_INPUT_BYTE
            + _MEMORY_SLACK,
        )
        return sandbox

    def _exchange_image(self, sandbox: Sandbox, key: str | None) -> None:
        image = self._images.get(key) if key else None
        if image is not None:
            sandbox.image, sandbox.loaded = image, key
        elif sandbox.loaded is not None:
            sandbox.image, sandbox.loaded = self._base, None
        else:
            return
        sandbox.restore(sandbox.image)

    def _leave(self, sandbox: Sandbox) -> None:
        self._time.leave(sandbox)
        self._pool.give_back(sandbox)


def _position(error: ScriptSyntaxInvalid) -> tuple[object, object]:
    return error.details.get("line", 0), error.details.get("column", 0)
