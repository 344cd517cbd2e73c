"""Compiled scripts kept for their next call."""

from collections import OrderedDict
from dataclasses import dataclass

from transformer.model import Compiled

# What an entry takes beside source and bytecode: objects, digest, dictionary slot.
_ENTRY_OVERHEAD_BYTES = 1024


@dataclass(slots=True)
class Entry:
    """A compiled script and, in seconds of the monotonic clock, until when it counts as slow."""

    compiled: Compiled
    slow_until: float = 0.0

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        # A source may be held as 4 bytes per character.
        return (
            4 * len(self.compiled.script.source)
            + len(self.compiled.bytecode)
            + _ENTRY_OVERHEAD_BYTES
        )


class CompiledCache:
    """Least recently used first out, bounded by the bytes it holds."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._bytes = 0

    def get(self, digest: str) -> Entry | None:
        """The entry of this script, which counts as used now."""
        entry = self._entries.get(digest)
        if entry is not None:
            self._entries.move_to_end(digest)
        return entry

    def put(self, compiled: Compiled) -> Entry:
        """Keep a compiled script and let go of others until it fits."""
        entry = Entry(compiled)
        previous = self._entries.pop(compiled.script.digest, None)
        self._bytes += entry.size - (previous.size if previous else 0)
        self._entries[compiled.script.digest] = entry
        while self._bytes > self._max_bytes and len(self._entries) > 1:
            _, evicted = self._entries.popitem(last=False)
            self._bytes -= evicted.size
        return entry

    def __len__(self) -> int:
        return len(self._entries)
