"""Makes the base module: the guest with its runtime opened and its prelude loaded."""

from collections.abc import Sequence
from pathlib import Path

import wasmtime

from transformer.engines import guest_io
from transformer.engines.guest_io import Request, Status
from transformer.engines.sandbox import PublicSandbox
from transformer.engines.snapshot import with_image
from transformer.errors import EngineUnavailable
from transformer.model import Limits

GUEST_DIRECTORY = Path(__file__).resolve().parent.parent / "guest"
_SETUP_EXPORTS = frozenset({"_initialize", "open", "add_prelude"})
_PLENTY = 1 << 40
_UNLIMITED = Limits(ticks=_PLENTY // 1000, memory_bytes=_PLENTY, output_bytes=_PLENTY)


def read_guest(path: Path) -> bytes:
    """The guest artefact. Raises `EngineUnavailable`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise EngineUnavailable(
            f"the JavaScript engine is not built: cannot read {path} ({error.strerror}); run `make guest`",
            path=str(path),
        ) from error


def read_prelude(directory: Path = GUEST_DIRECTORY / "prelude") -> tuple[bytes, ...]:
    """The prelude's sources, in the order in which they are loaded."""
    return tuple(path.read_bytes() for path in sorted(directory.glob("*.js")))


def make_base(engine: wasmtime.Engine, guest: bytes, prelude: Sequence[bytes], js_stack_bytes: int) -> bytes:
    """A module that starts where opening the runtime and loading the prelude end.

    Raises `EngineUnavailable` when the guest does not do its part.
    """
    try:
        module = wasmtime.Module(engine, guest)
    except wasmtime.WasmtimeError as error:
        raise EngineUnavailable(f"the guest does not load ({error}); run `make guest`") from error
    if module.imports:
        raise EngineUnavailable("the guest imports something: it must not; run `make guest`")
    bytecode = _compile_prelude(engine, module, prelude, js_stack_bytes)
    sandbox = _opened(engine, module, js_stack_bytes)
    mailbox = sandbox.call("mailbox")
    for code in (*bytecode, b""):
        guest_io.send(sandbox, mailbox, Request(code), _UNLIMITED)
        _expect_ok(sandbox, mailbox, sandbox.call("add_prelude"))
    image = sandbox.read(0, sandbox.size())
    sandbox.close()
    return with_image(guest, image, drop_exports=_SETUP_EXPORTS)


def _opened(engine: wasmtime.Engine, module: wasmtime.Module, js_stack_bytes: int) -> PublicSandbox:
    store = wasmtime.Store(engine)
    store.set_epoch_deadline(_PLENTY)
    instance = wasmtime.Instance(store, module, [])
    sandbox = PublicSandbox(store, instance)
    initialize = instance.exports(store)["_initialize"]
    assert isinstance(initialize, wasmtime.Func)
    initialize(store)
    sandbox.call("open", js_stack_bytes)
    return sandbox


def _compile_prelude(
    engine: wasmtime.Engine, module: wasmtime.Module, prelude: Sequence[bytes], js_stack_bytes: int
) -> list[bytes]:
    sandbox = _opened(engine, module, js_stack_bytes)
    sandbox.call("enable_compiler")
    mailbox = sandbox.call("mailbox")
    compiled = []
    for source in prelude:
        guest_io.send(sandbox, mailbox, Request(source), _UNLIMITED)
        compiled.append(_expect_ok(sandbox, mailbox, sandbox.call("compile")))
    sandbox.close()
    return compiled


def _expect_ok(sandbox: PublicSandbox, mailbox: int, status: int) -> bytes:
    reply = guest_io.receive(sandbox, mailbox)
    if status != Status.OK:
        text = guest_io.error_text(sandbox, reply)
        raise EngineUnavailable(f"the prelude does not load: {text.name}: {text.message} {text.stack}".strip())
    return guest_io.output(sandbox, reply)
