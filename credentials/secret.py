"""A text that nobody sees by accident."""

import hmac
from typing import Never, Self, final

MASK = "***"


@final
class Secret:
    """A secret text, shown as `***` wherever it is printed, logged or formatted.

    It cannot be pickled, encoded as JSON, hashed or changed; comparing takes the same time wherever
    two secrets differ. An empty one is false, like an empty text. Only `reveal` gives the text.
    """

    __slots__ = ("_text",)
    _text: str
    __hash__ = None  # type: ignore[assignment]  # a hash tells texts apart, and ends up in places

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "_text", text)

    def reveal(self) -> str:
        """Answer the text itself."""
        return self._text

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self.reveal())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self), _bytes(other))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: object) -> Self:
        return self

    def __setattr__(self, name: str, _: object) -> Never:
        raise AttributeError(f"a secret cannot be changed: {name}")

    def __delattr__(self, name: str) -> Never:
        raise AttributeError(f"a secret cannot be changed: {name}")

    def __reduce_ex__(self, _: object) -> Never:
        raise TypeError("a secret cannot be pickled; reveal it where it is needed")


def _bytes(secret: Secret) -> bytes:
    return secret.reveal().encode("utf-8", "surrogatepass")
