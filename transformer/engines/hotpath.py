"""The sandbox through the C interface that wasmtime-py carries inside.

wasmtime-py's `Func.__call__` costs 30-45 µs, because it asks for the function's type every time,
and its memory access 5 µs. The C functions beneath cost about 1 µs, and a memoryview over the
linear memory a third of that. Reaching them needs a few private names of the package:
everything that touches one is in this file, `available` says whether they are there, and
`PublicSandbox` does the same work without them.
"""

import ctypes
from ctypes import c_size_t, c_uint64, c_void_p
from typing import Any

import wasmtime

from transformer.engines.sandbox import (
    FUNCTIONS,
    GuestIncoherent,
    GuestTrapped,
    Image,
    export_of,
)

_MEBIBYTE = 1024 * 1024
# The C functions used (wasmtime.h), with their arguments; pointers go in as integers.
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "wasmtime_func_call_unchecked": (c_void_p, [c_void_p, c_void_p, c_void_p, c_size_t, c_void_p]),
    "wasmtime_memory_data": (c_void_p, [c_void_p, c_void_p]),
    "wasmtime_memory_data_size": (c_size_t, [c_void_p, c_void_p]),
    "wasmtime_context_set_epoch_deadline": (None, [c_void_p, c_uint64]),
}


def available() -> bool:
    """Whether this wasmtime carries the private names this file is written for."""
    ffi: Any = getattr(wasmtime, "_ffi", None)
    library = getattr(ffi, "dll", None)
    return (
        library is not None
        and all(hasattr(library, name) for name in _SIGNATURES)
        and hasattr(library, "wasmtime_engine_increment_epoch")
        and all(hasattr(ffi, name) for name in ("wasmtime_val_raw_t", "wasm_trap_t"))
        and hasattr(wasmtime.Store, "_context")
        and hasattr(wasmtime.Trap, "_from_ptr")
        and hasattr(wasmtime.WasmtimeError, "_from_ptr")
    )


def allow_deep_stack(config: wasmtime.Config, wasm_stack_bytes: int) -> bool:
    """Raise the limit on WebAssembly's stack above what the public interface allows.

    A value above the asynchronous stack size would abort the process when the engine starts, so
    that one goes up first. Returns whether it was done.
    """
    ffi: Any = getattr(wasmtime, "_ffi", None)
    set_async_stack = getattr(ffi, "wasmtime_config_async_stack_size_set", None)
    if set_async_stack is None:
        return False
    set_async_stack(config.ptr(), wasm_stack_bytes + _MEBIBYTE)
    config.max_wasm_stack = wasm_stack_bytes
    return True


def epoch_increment(engine: wasmtime.Engine) -> tuple[int | None, int | None]:
    """The addresses of the C function that advances an engine's epoch, and of the engine.

    For those who call it where no Python runs: the function takes the engine and returns nothing.
    """
    ffi: Any = wasmtime._ffi  # noqa: SLF001
    function = ctypes.cast(ffi.dll["wasmtime_engine_increment_epoch"], c_void_p)
    return function.value, ctypes.cast(engine.ptr(), c_void_p).value


def _function(name: str) -> Any:
    """A C function of the library with a signature of our own; the package's stays as it is."""
    ffi: Any = wasmtime._ffi  # noqa: SLF001 - what this file is for
    function = ffi.dll[name]  # a new object at every look-up
    function.restype, function.argtypes = _SIGNATURES[name]
    return function


class HotImage:
    """An image without the zeros it starts and ends with: the unused stack and heap.

    Setting those to zero costs half of what copying them does.
    """

    __slots__ = ("content", "end", "size", "start")

    def __init__(self, memory: bytes) -> None:
        self.size = len(memory)
        self.end = len(memory.rstrip(b"\0"))
        self.start = self.size - len(memory.lstrip(b"\0"))
        self.content = memory[self.start : self.end]


class HotSandbox:
    """A `Sandbox` for the many calls: nothing is looked up and little is made per call."""

    def __init__(
        self, store: wasmtime.Store, instance: wasmtime.Instance, base: Image | None = None
    ) -> None:
        ffi: Any = wasmtime._ffi  # noqa: SLF001
        exports = instance.exports(store)
        self._store = store
        self._exports = exports  # keeps alive what the addresses below point at
        self._context = ctypes.cast(store._context(), c_void_p).value  # noqa: SLF001
        functions = {name: export_of(exports, name, wasmtime.Func) for name in FUNCTIONS}
        self._functions = {
            name: ctypes.addressof(function._func)  # noqa: SLF001
            for name, function in functions.items()
        }
        memory = export_of(exports, "memory", wasmtime.Memory)
        self._memory = ctypes.addressof(memory._memory)  # noqa: SLF001
        self._values = (ffi.wasmtime_val_raw_t * 1)()
        self._value = self._values[0]
        self._values_address = ctypes.addressof(self._values)
        self._trap = c_void_p()
        self._trap_address = ctypes.addressof(self._trap)
        self._call_unchecked = _function("wasmtime_func_call_unchecked")
        self._data_size = _function("wasmtime_memory_data_size")
        self._set_deadline = _function("wasmtime_context_set_epoch_deadline")
        self._base: int = _function("wasmtime_memory_data")(self._context, self._memory)
        self._size = 0
        self._see(self._data_size(self._context, self._memory))
        self._memory_limit = 0
        self.trapped = False
        self.loaded: str | None = None
        self.image: Image = base or self.capture()

    def _see(self, size: int) -> None:
        """Take the memory as large as it is now. It grows in place: its address is reserved."""
        self._size = size
        self._view = memoryview((ctypes.c_ubyte * size).from_address(self._base)).cast("B")

    def call(self, function: str, argument: int = 0) -> int:
        """See `Sandbox`."""
        self._value.i32 = argument
        error = self._call_unchecked(
            self._context, self._functions[function], self._values_address, 1, self._trap_address
        )
        size = self._data_size(self._context, self._memory)
        if size != self._size:
            self._see(size)
        if error or self._trap.value:
            self.trapped = True
            raise self._reason(error)
        result: int = self._value.i32
        return result & 0xFFFF_FFFF

    def _reason(self, error: int | None) -> GuestTrapped:
        ffi: Any = wasmtime._ffi  # noqa: SLF001
        if error:
            pointer = ctypes.cast(error, ctypes.POINTER(ffi.wasmtime_error_t))
            return GuestTrapped(None, str(wasmtime.WasmtimeError._from_ptr(pointer)))  # noqa: SLF001
        pointer = ctypes.cast(self._trap, ctypes.POINTER(ffi.wasm_trap_t))
        trap = wasmtime.Trap._from_ptr(pointer)  # noqa: SLF001 - owns and frees it
        self._trap.value = None
        return GuestTrapped(trap.trap_code, trap.message)

    def write(self, address: int, data: bytes) -> None:
        """See `Sandbox`."""
        end = address + len(data)
        if end > self._size:
            raise GuestIncoherent(f"{len(data)} bytes at {address}")
        self._view[address:end] = data

    def read(self, address: int, count: int) -> bytes:
        """See `Sandbox`."""
        end = address + count
        if end > self._size:
            raise GuestIncoherent(f"{count} bytes at {address}")
        return self._view[address:end].tobytes()

    def size(self) -> int:
        """See `Sandbox`."""
        return self._size

    def confine(self, epochs: int, memory_bytes: int) -> None:
        """See `Sandbox`."""
        self._set_deadline(self._context, epochs)
        if memory_bytes > self._memory_limit:
            self._store.set_limits(memory_size=memory_bytes)
            self._memory_limit = memory_bytes

    def capture(self) -> Image:
        """See `Sandbox`."""
        return HotImage(self._view.tobytes())

    def restore(self, image: Image) -> None:
        """See `Sandbox`."""
        if not isinstance(image, HotImage):
            raise TypeError("an image goes back only into the kind of sandbox it is from")
        ctypes.memset(self._base, 0, image.start)
        self._view[image.start : image.end] = image.content
        ctypes.memset(self._base + image.end, 0, image.size - image.end)

    def close(self) -> None:
        """See `Sandbox`."""
        self._view.release()
        self._store.close()
