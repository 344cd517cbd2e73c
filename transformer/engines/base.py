"""Makes the base module: the guest with its runtime opened and its prelude loaded."""

from collections.abc import Sequence
from pathlib import Path

import wasmtime

from transformer.engines import guest_io
from transformer.engines.guest_io import Request, Status
from transformer.engines.sandbox import PublicSandbox, export_of
from transformer.engines.snapshot import with_image
from transformer.errors import EngineUnavailable
from transformer.model import Limits

GUEST_DIRECTORY = Path(__file__).resolve().parent.parent / "guest"
_SETUP_EXPORTS = frozenset({"_initialize", "open", "add_prelude"})
_NEVER = 1 << 40
_UNLIMITED = Limits(ticks=_NEVER, memory_bytes=_NEVER, output_bytes=_NEVER)


def read_guest(path: Path) -> bytes:
    """The guest artefact. Raises `EngineUnavailable`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise EngineUnavailable(
            f"the JavaScript engine is not built: {path} cannot be read ({error.strerror}); "
            "run `make guest`",
            path=str(path),
        ) from error


def read_prelude(directory: Path = GUEST_DIRECTORY / "prelude") -> tuple[bytes, ...]:
    """The prelude's sources, in the order in which they are loaded."""
    return tuple(path.read_bytes() for path in sorted(directory.glob("*.js")))


def make_base(
    engine: wasmtime.Engine, guest: bytes, prelude: Sequence[bytes], js_stack_bytes: int
) -> bytes:
    """A module that starts where opening the runtime and loading the prelude end.

    Raises `EngineUnavailable` when the guest does not do its part.
    """
    try:
        module = wasmtime.Module(engine, guest)
        if module.imports:
            raise EngineUnavailable("the guest imports something of its host; run `make guest`")
        bytecode = _compile_prelude(_opened(engine, module, js_stack_bytes), prelude)
        image = _image_with(_opened(engine, module, js_stack_bytes), bytecode)
        return with_image(guest, image, drop_exports=_SETUP_EXPORTS)
    except (wasmtime.WasmtimeError, TypeError, ValueError) as error:
        raise EngineUnavailable(f"the guest does not load ({error}); run `make guest`") from error


def _opened(engine: wasmtime.Engine, module: wasmtime.Module, js_stack_bytes: int) -> PublicSandbox:
    store = wasmtime.Store(engine)
    store.set_epoch_deadline(_NEVER)
    instance = wasmtime.Instance(store, module, [])
    export_of(instance.exports(store), "_initialize", wasmtime.Func)(store)
    sandbox = PublicSandbox(store, instance)
    sandbox.call("open", js_stack_bytes)
    return sandbox


def _compile_prelude(sandbox: PublicSandbox, prelude: Sequence[bytes]) -> list[bytes]:
    sandbox.call("enable_compiler")
    compiled = [_ask(sandbox, "compile", source) for source in prelude]
    sandbox.close()
    return compiled


def _image_with(sandbox: PublicSandbox, prelude: Sequence[bytes]) -> bytes:
    for code in (*prelude, b""):
        _ask(sandbox, "add_prelude", code)
    image = sandbox.read(0, sandbox.size())
    sandbox.close()
    return image


def _ask(sandbox: PublicSandbox, function: str, first: bytes) -> bytes:
    mailbox = sandbox.call("mailbox")
    guest_io.send(sandbox, mailbox, Request(_UNLIMITED, first))
    status = sandbox.call(function)
    reply = guest_io.receive(sandbox, mailbox)
    if status != Status.OK:
        failure = guest_io.failure(sandbox, reply, status)
        raise EngineUnavailable(
            f"the prelude does not load: {failure.name}: {failure.message} {failure.stack}".strip()
        )
    return guest_io.output(sandbox, reply)
