"""Ids: a prefix that says what it is of, and a lower-case ULID, so that ids sort by age."""

import re
from collections.abc import Callable
from datetime import datetime

from ulid import LaxMonotonicPolicy, ULIDGenerator

DEFINITION_PREFIX = "int_def_"
INSTANCE_PREFIX = "int_inst_"

_ID = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")


def is_id(text: str) -> bool:
    """Tell whether this may be an id at all; nothing else gets near a query, a path or a key."""
    return _ID.fullmatch(text) is not None


class Ids:
    """Makes ids; those of one process grow strictly, also within a millisecond."""

    def __init__(self, prefix: str, clock: Callable[[], datetime]) -> None:
        self._prefix = prefix
        self._clock = clock
        self._generator = ULIDGenerator(policy=LaxMonotonicPolicy())

    def new(self) -> str:
        """Answer an id that was never answered before."""
        return self._prefix + str(self._generator.generate(self._clock())).lower()
