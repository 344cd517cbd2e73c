"""One instance of the guest, through wasmtime's public interface."""

from typing import Protocol

import wasmtime

# Exports of the guest that a finished module offers.
FUNCTIONS = ("mailbox", "reserve", "enable_compiler", "compile", "load", "run")


class GuestTrapped(Exception):
    """The guest was stopped from outside; its memory is in no known state."""

    def __init__(self, code: wasmtime.TrapCode | None, message: str) -> None:
        super().__init__(message)
        self.code = code


class MemoryOutOfRange(Exception):
    """The guest named an address outside its memory."""


class Image(Protocol):
    """A whole linear memory, put away."""

    @property
    def size(self) -> int:
        """Its size in bytes."""


class Sandbox(Protocol):
    """One instance of the guest. Belongs to one thread at a time: nothing checks that."""

    loaded: str | None  # what `image` holds beside the bare engine
    image: Image  # what the memory is restored to
    trapped: bool  # whether it can still be used

    def call(self, function: str, argument: int = 0) -> int:
        """Call an export. Raises `GuestTrapped`."""

    def write(self, address: int, data: bytes) -> None:
        """Put bytes into memory. Raises `MemoryOutOfRange`."""

    def read(self, address: int, count: int) -> bytes:
        """Take bytes from memory. Raises `MemoryOutOfRange`."""

    def size(self) -> int:
        """The memory's size in bytes."""

    def set_deadline(self, ticks: int) -> None:
        """Trap whatever still runs after so many epochs."""

    def allow_memory(self, limit: int) -> None:
        """Let memory grow to so many bytes, or to what was allowed before if that is more."""

    def capture(self) -> Image:
        """Put the memory away as it is."""

    def restore(self, image: Image) -> None:
        """Make every byte of memory what it was when `image` was captured."""

    def close(self) -> None:
        """Free the instance."""


class PublicImage:
    """An image as plain bytes."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        self.content = content

    @property
    def size(self) -> int:
        return len(self.content)


class PublicSandbox:
    """The sandbox as wasmtime's documented Python interface offers it: right, and slower."""

    __slots__ = ("_exports", "_memory", "_memory_limit", "_store", "image", "loaded", "trapped")

    def __init__(self, store: wasmtime.Store, instance: wasmtime.Instance, base: Image | None = None) -> None:
        self._store = store
        self._exports = instance.exports(store)
        memory = self._exports["memory"]
        assert isinstance(memory, wasmtime.Memory)
        self._memory = memory
        self._memory_limit = 0
        self.trapped = False
        self.loaded: str | None = None
        self.image: Image = base or self.capture()

    def call(self, function: str, argument: int = 0) -> int:
        target = self._exports[function]
        assert isinstance(target, wasmtime.Func)
        arguments = (argument,) if function in ("reserve", "compile", "open") else ()
        try:
            return int(target(self._store, *arguments)) & 0xFFFF_FFFF
        except wasmtime.Trap as trap:
            self.trapped = True
            raise GuestTrapped(trap.trap_code, trap.message) from None

    def write(self, address: int, data: bytes) -> None:
        if address + len(data) > self.size():
            raise MemoryOutOfRange(f"{len(data)} bytes at {address}")
        self._memory.write(self._store, data, address)

    def read(self, address: int, count: int) -> bytes:
        if address + count > self.size():
            raise MemoryOutOfRange(f"{count} bytes at {address}")
        return bytes(self._memory.read(self._store, address, address + count))

    def size(self) -> int:
        return self._memory.data_len(self._store)

    def set_deadline(self, ticks: int) -> None:
        self._store.set_epoch_deadline(ticks)

    def allow_memory(self, limit: int) -> None:
        if limit > self._memory_limit:
            self._store.set_limits(memory_size=limit)
            self._memory_limit = limit

    def capture(self) -> Image:
        return PublicImage(bytes(self._memory.read(self._store)))

    def restore(self, image: Image) -> None:
        assert isinstance(image, PublicImage)
        self._memory.write(self._store, image.content, 0)

    def close(self) -> None:
        self._store.close()
