"""The sandbox through the C interface that wasmtime-py carries inside.

`Func.__call__` costs 30-45 µs because it asks for the function's type every time. The package's
own bindings reach the same C functions in about 2 µs. They are private: everything that
touches them is in this file, `available` says whether they are what this file expects, and
`PublicSandbox` does the same work without them.
"""

import ctypes

import wasmtime

from transformer.engines.sandbox import FUNCTIONS, GuestTrapped, Image, MemoryOutOfRange

_NEEDED = (
    "wasmtime_func_call_unchecked",
    "wasmtime_memory_data",
    "wasmtime_memory_data_size",
    "wasmtime_context_set_epoch_deadline",
    "wasmtime_val_raw_t",
    "wasm_trap_t",
)


def available() -> bool:
    """Whether this wasmtime carries the private bindings this file is written for."""
    ffi = getattr(wasmtime, "_ffi", None)
    return (
        all(hasattr(ffi, name) for name in _NEEDED)
        and hasattr(wasmtime.Store, "_context")
        and hasattr(wasmtime.Trap, "_from_ptr")
    )


def allow_deep_stack(config: wasmtime.Config, wasm_stack_bytes: int) -> bool:
    """Raise the limit on WebAssembly's stack above the 2 MiB that the public interface allows.

    A value above the asynchronous stack size would abort the process when the engine starts, so
    that one goes up first. Returns whether it was done.
    """
    ffi = getattr(wasmtime, "_ffi", None)
    setter = getattr(ffi, "wasmtime_config_async_stack_size_set", None)
    if setter is None:
        return False
    setter(config.ptr(), wasm_stack_bytes + 1024 * 1024)
    config.max_wasm_stack = wasm_stack_bytes
    return True


class HotImage:
    """An image in memory of its own."""

    __slots__ = ("_buffer", "address", "size")

    def __init__(self, source: int, size: int) -> None:
        self._buffer = ctypes.create_string_buffer(size)
        self.address = ctypes.addressof(self._buffer)
        self.size = size
        ctypes.memmove(self.address, source, size)


class HotSandbox:
    """The sandbox for the many calls: no types asked for, no objects built per call."""

    __slots__ = (
        "_base",
        "_call_unchecked",
        "_context",
        "_data_size",
        "_functions",
        "_memory",
        "_memory_limit",
        "_set_deadline",
        "_size",
        "_store",
        "_trap",
        "_trap_reference",
        "_values",
        "image",
        "loaded",
        "trapped",
    )

    def __init__(self, store: wasmtime.Store, instance: wasmtime.Instance, base: Image | None = None) -> None:
        ffi = wasmtime._ffi
        exports = instance.exports(store)
        self._store = store
        self._context = store._context()
        self._functions = {name: ctypes.byref(exports[name]._func) for name in FUNCTIONS}
        self._memory = ctypes.byref(exports["memory"]._memory)
        data = ffi.wasmtime_memory_data(self._context, self._memory)
        self._base = ctypes.cast(data, ctypes.c_void_p).value or 0
        self._values = (ffi.wasmtime_val_raw_t * 1)()
        self._trap = ctypes.POINTER(ffi.wasm_trap_t)()
        self._trap_reference = ctypes.byref(self._trap)
        self._call_unchecked = ffi.wasmtime_func_call_unchecked
        self._data_size = ffi.wasmtime_memory_data_size
        self._set_deadline = ffi.wasmtime_context_set_epoch_deadline
        self._size = self.size()
        self._memory_limit = 0
        self.trapped = False
        self.loaded: str | None = None
        self.image: Image = base or self.capture()

    def call(self, function: str, argument: int = 0) -> int:
        self._values[0].i32 = argument
        error = self._call_unchecked(
            self._context, self._functions[function], self._values, 1, self._trap_reference
        )
        if error or self._trap:
            raise self._stopped(error)
        self._size = self._data_size(self._context, self._memory)
        return self._values[0].i32 & 0xFFFF_FFFF

    def _stopped(self, error: object) -> GuestTrapped:
        self.trapped = True
        if error:
            return GuestTrapped(None, str(wasmtime.WasmtimeError._from_ptr(error)))
        trap = wasmtime.Trap._from_ptr(self._trap)
        self._trap = ctypes.POINTER(wasmtime._ffi.wasm_trap_t)()
        self._trap_reference = ctypes.byref(self._trap)
        self._size = self.size()
        return GuestTrapped(trap.trap_code, trap.message)

    def write(self, address: int, data: bytes) -> None:
        if address + len(data) > self._size:
            raise MemoryOutOfRange(f"{len(data)} bytes at {address}")
        ctypes.memmove(self._base + address, data, len(data))

    def read(self, address: int, count: int) -> bytes:
        if address + count > self._size:
            raise MemoryOutOfRange(f"{count} bytes at {address}")
        return ctypes.string_at(self._base + address, count)

    def size(self) -> int:
        return int(self._data_size(self._context, self._memory))

    def set_deadline(self, ticks: int) -> None:
        self._set_deadline(self._context, ticks)

    def allow_memory(self, limit: int) -> None:
        if limit > self._memory_limit:
            self._store.set_limits(memory_size=limit)
            self._memory_limit = limit

    def capture(self) -> Image:
        return HotImage(self._base, self.size())

    def restore(self, image: Image) -> None:
        assert isinstance(image, HotImage)
        ctypes.memmove(self._base, image.address, image.size)

    def close(self) -> None:
        self._store.close()
