"""One instance of the guest: what an engine needs of it, and the plain way to it."""

from collections.abc import Mapping
from typing import Protocol, TypeVar

import wasmtime

T = TypeVar("T")

# The exports of the guest that a finished module offers, and those that take an argument.
FUNCTIONS = ("mailbox", "reserve", "enable_compiler", "compile", "load", "run")
_WITH_ARGUMENT = frozenset({"open", "reserve", "compile"})


class GuestTrapped(Exception):
    """The guest was stopped from outside; its memory is in no known state.

    `code` says by what, and is None when it was none of wasmtime's own reasons.
    """

    def __init__(self, code: wasmtime.TrapCode | None, message: str) -> None:
        super().__init__(message)
        self.code = code


class GuestIncoherent(GuestTrapped):
    """The guest answered something it never should, such as an address outside its memory."""

    def __init__(self, message: str) -> None:
        super().__init__(None, message)


class Image(Protocol):
    """A whole linear memory, put away."""

    @property
    def size(self) -> int:
        """How large that memory was, in bytes."""


class Sandbox(Protocol):
    """One instance of the guest. Belongs to one thread at a time: nothing checks that.

    `image` is what the memory is put back to after a run, `loaded` names what that image holds
    beside the bare engine, `trapped` says that the instance must not be used again.
    """

    image: Image
    loaded: str | None
    trapped: bool

    def call(self, function: str, argument: int = 0) -> int:
        """Call an export; all of them return 32 bits. Raises `GuestTrapped`."""

    def write(self, address: int, data: bytes) -> None:
        """Put bytes into memory. Raises `GuestIncoherent`."""

    def read(self, address: int, count: int) -> bytes:
        """Take bytes from memory. Raises `GuestIncoherent`."""

    def size(self) -> int:
        """The memory's size in bytes."""

    def confine(self, epochs: int, memory_bytes: int) -> None:
        """Trap whatever still runs after so many epochs, and let memory grow to so many bytes.

        Where more memory was allowed before, that stays.
        """

    def capture(self) -> Image:
        """Put the memory away as it is."""

    def restore(self, image: Image) -> None:
        """Make every byte of memory what it was when `image` was captured."""

    def close(self) -> None:
        """Free the instance; nothing else may be called after this."""


class PublicImage:
    """An image as plain bytes."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        self.content = content

    @property
    def size(self) -> int:
        """How large that memory was, in bytes."""
        return len(self.content)


class PublicSandbox:
    """A `Sandbox` by wasmtime's documented Python interface: the same, and slower."""

    def __init__(
        self, store: wasmtime.Store, instance: wasmtime.Instance, base: Image | None = None
    ) -> None:
        self._store = store
        self._exports = instance.exports(store)
        self._memory = export_of(self._exports, "memory", wasmtime.Memory)
        self._memory_limit = 0
        self.trapped = False
        self.loaded: str | None = None
        self.image: Image = base or self.capture()

    def call(self, function: str, argument: int = 0) -> int:
        """See `Sandbox`."""
        target = export_of(self._exports, function, wasmtime.Func)
        arguments = (argument,) if function in _WITH_ARGUMENT else ()
        try:
            return int(target(self._store, *arguments)) & 0xFFFF_FFFF
        except wasmtime.Trap as trap:
            self.trapped = True
            raise GuestTrapped(trap.trap_code, trap.message) from None

    def write(self, address: int, data: bytes) -> None:
        """See `Sandbox`."""
        if address + len(data) > self.size():
            raise GuestIncoherent(f"{len(data)} bytes at {address}")
        self._memory.write(self._store, data, address)

    def read(self, address: int, count: int) -> bytes:
        """See `Sandbox`."""
        if address + count > self.size():
            raise GuestIncoherent(f"{count} bytes at {address}")
        return bytes(self._memory.read(self._store, address, address + count))

    def size(self) -> int:
        """See `Sandbox`."""
        return self._memory.data_len(self._store)

    def confine(self, epochs: int, memory_bytes: int) -> None:
        """See `Sandbox`."""
        self._store.set_epoch_deadline(epochs)
        if memory_bytes > self._memory_limit:
            self._store.set_limits(memory_size=memory_bytes)
            self._memory_limit = memory_bytes

    def capture(self) -> Image:
        """See `Sandbox`."""
        return PublicImage(bytes(self._memory.read(self._store)))

    def restore(self, image: Image) -> None:
        """See `Sandbox`."""
        if not isinstance(image, PublicImage):
            raise TypeError("an image goes back only into the kind of sandbox it is from")
        self._memory.write(self._store, image.content, 0)

    def close(self) -> None:
        """See `Sandbox`."""
        self._store.close()


def export_of(exports: Mapping[str, object], name: str, kind: type[T]) -> T:
    """The export of this name and kind. Raises `TypeError`: the artefact is not our guest."""
    found = exports.get(name)
    if not isinstance(found, kind):
        raise TypeError(f"the guest exports no {kind.__name__} named {name}")
    return found
