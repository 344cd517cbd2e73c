"""Defaults of a schema, put in where a caller left members out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from executor.json_text import dump, extend, join, members
from registry.model import Schema


@dataclass(frozen=True, slots=True)
class Defaults:
    """What to add to one object: `texts` and `values` by name, and the same for objects inside."""

    texts: Mapping[str, bytes]
    values: Mapping[str, Any]
    nested: Mapping[str, "Defaults"]

    def complete(self, text: bytes, value: dict[str, Any]) -> bytes:
        """Add what is missing to `value`, and answer `text` with the same additions."""
        for name, defaults in self.nested.items():
            inner = value.get(name)
            if isinstance(inner, dict) and defaults.lacking(inner):
                parts = members(text)
                parts[name] = defaults.complete(parts[name], inner)
                text = join(parts)
        missing = {key: default for key, default in self.texts.items() if key not in value}
        if not missing:
            return text
        value.update({name: self.values[name] for name in missing})
        return extend(text, missing)

    def lacking(self, value: dict[str, Any]) -> bool:
        """Tell whether anything is missing."""
        if any(name not in value for name in self.texts):
            return True
        return any(
            isinstance(inner := value.get(name), dict) and defaults.lacking(inner)
            for name, defaults in self.nested.items()
        )


def defaults_of(schema: Schema) -> Defaults | None:
    """Read the defaults of an object schema's `properties`, None when there are none."""
    properties = {} if isinstance(schema, bool) else schema.get("properties")
    if not isinstance(properties, Mapping):
        return None
    values: dict[str, Any] = {}
    nested: dict[str, Defaults] = {}
    for name, inner in properties.items():
        if not isinstance(inner, Mapping):
            continue
        if "default" in inner:
            values[name] = inner["default"]
        if (defaults := defaults_of(inner)) is not None:
            nested[name] = defaults
    if not values and not nested:
        return None
    return Defaults({name: dump(value) for name, value in values.items()}, values, nested)
