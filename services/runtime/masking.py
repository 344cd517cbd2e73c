"""What a mask does to the texts inside of a value, when the whole has to stay JSON."""

from collections.abc import Callable
from typing import Any

Mask = Callable[[str], str]


def masked(value: Any, mask: Mask) -> Any:
    """Mask every text of a value, names and numbers included; what is no JSON stays as it is."""
    match value:
        case str():
            return mask(value)
        case dict():
            return {masked(name, mask): masked(fact, mask) for name, fact in value.items()}
        case list() | tuple():
            return [masked(item, mask) for item in value]
        case int() | float():
            text = str(value)
            return value if mask(text) == text else mask(text)
        case _:
            return value
