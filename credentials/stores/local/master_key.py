"""Master keys, which wrap all other keys, and what there is to know of where they come from.

However they come, they are written as the base64 of 32 random bytes each, apart by white space.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from credentials.errors import MasterKeyWrong
from credentials.stores.local.sealing import KEY_BYTES

_GAPS = re.compile(rb"[\s,]+")


@dataclass(frozen=True, slots=True, repr=False)
class MasterKeys:
    """All master keys that a source holds, and its name. Never printed.

    The first is the one to use; the others open what it has not wrapped anew yet.
    """

    values: tuple[bytes, ...]
    source: str

    def __repr__(self) -> str:
        return f"MasterKeys({self.source}: ***)"


class MasterKeySource(Protocol):
    """Where master keys come from. Both methods block: keep them off the event loop."""

    def load(self) -> MasterKeys:
        """Answer the keys as they are now.

        Raises `MasterKeyMissing` when they cannot be read, and `MasterKeyWrong` when what is there
        is no key.
        """
        ...

    def rotating(self) -> AbstractContextManager[MasterKeys]:
        """Hold a new key in front of the old ones inside, and it alone after that.

        Where several keys are held already, a rotation was cut short: it goes on with those. When
        the inside fails, all keys stay. Raises what `load` raises, `MasterKeyNotWritable` and
        `RotationUnderWay`.
        """
        ...


def parse_master_keys(text: bytes, source: str) -> MasterKeys:
    """Read master keys; raises `MasterKeyWrong`, without showing what is there."""
    words = [word for word in _GAPS.split(text) if word]
    values = [_decoded(word) for word in words]
    good = tuple(dict.fromkeys(value for value in values if value is not None))
    if not good or None in values:
        number = f"{len(words)} words" if words else "nothing"
        raise MasterKeyWrong(
            f"{source} holds {number} where master keys, base64 of {KEY_BYTES} bytes each, are "
            "expected; put the key back from its backup",
            source=source,
        )
    return MasterKeys(good, source)


def written(values: Iterable[bytes]) -> bytes:
    """Write master keys, a line each."""
    return b"".join(b64encode(value) + b"\n" for value in values)


def _decoded(word: bytes) -> bytes | None:
    try:
        value = b64decode(word, validate=True)
    except ValueError:
        return None
    return value if len(value) == KEY_BYTES else None
