"""Which fields of a config are secret, and splitting them off.

A property is secret when it is marked (`format: password`, `writeOnly: true`, `x-secret: true`),
or when it may hold text and its name says so (a word of it is secret, token, password, key,
credential or the like; what can only be one of a few listed values is no secret). `x-secret: false`
overrides both. A top-level field with a secret anywhere inside is secret as a whole: it is stored
in one piece. Fields that no schema describes go by their names.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from registry.model import Schema

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_TELLING: Final = frozenset(
    {
        *("secret", "secrets", "clientsecret", "appsecret"),
        *("token", "tokens", "accesstoken", "refreshtoken", "authtoken", "bearertoken"),
        *("password", "passwords", "passwd", "passphrase", "pwd"),
        *("key", "keys", "apikey", "apikeys", "accesskey", "secretkey", "privatekey", "signingkey"),
        *("credential", "credentials"),
    }
)
_LISTS: Final = ("allOf", "anyOf", "oneOf")
_BRANCHES: Final = ("then", "else")
_INSIDE: Final = ("items", "additionalItems", "contains", "additionalProperties")


def says_so(name: str) -> bool:
    """Tell whether a name says that it stands for a secret: `apiKey` does, `keyboard` does not."""
    return any(word.lower() in _TELLING for word in _WORD.findall(name))


class Secrecy:
    """What one config schema says about secrets."""

    def __init__(self, config_schema: Schema) -> None:
        self._root = config_schema
        self._described = self._properties(self._views([config_schema]))

    def fields(self) -> tuple[str, ...]:
        """Answer the properties that are secret, in the order of the schema."""
        return tuple(
            name for name, of in self._described.items() if self._is_secret(name, of, set())
        )

    def split(self, config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Answer the public fields of a config and its secret ones."""
        secret = {name: value for name, value in config.items() if self._hides(name, value)}
        return {name: config[name] for name in config if name not in secret}, secret

    def _hides(self, name: str, value: Any) -> bool:
        described = self._described.get(name)
        if described is None:
            return _named_secret(name, value) or self._holds_secret(value, [])
        return self._is_secret(name, described, set()) or self._holds_secret(value, described)

    def _is_secret(self, name: str, schemas: list[Any], seen: set[int]) -> bool:
        """Decide by the schemas of one property; `seen` are those whose inside is known."""
        views = self._views(schemas)
        marks = [view["x-secret"] for view in views if "x-secret" in view]
        if marks:
            return any(mark is not False for mark in marks)
        if any(view.get("format") == "password" or view.get("writeOnly") is True for view in views):
            return True
        return (says_so(name) and self._may_hold_text(views)) or self._secret_inside(views, seen)

    def _secret_inside(self, views: list[Mapping[str, Any]], seen: set[int]) -> bool:
        if all(id(view) in seen for view in views):
            return False
        seen.update(map(id, views))
        return any(
            self._is_secret(name, of, seen) for name, of in self._properties(views).items()
        ) or (any(self._is_secret("", [schema], seen) for schema in _unnamed(views)))

    def _may_hold_text(self, views: list[Mapping[str, Any]]) -> bool:
        if any("enum" in view or "const" in view for view in views):
            return False
        types = [kind for view in views for kind in _listed(view.get("type"))]
        if "string" in types:
            return True
        if "array" in types:
            items = [view["items"] for view in views if isinstance(view.get("items"), Mapping)]
            return not items or any(_listed(item.get("type")) in ([], ["string"]) for item in items)
        return (not types or "object" in types) and not self._properties(views)

    def _holds_secret(self, value: Any, schemas: list[Any]) -> bool:
        """Decide by a value: what is in it that its schemas don't describe goes by its name."""
        views = self._views(schemas)
        if any(view.get("x-secret") is False for view in views):
            return False
        if isinstance(value, list):
            return any(self._holds_secret(item, list(_unnamed(views))) for item in value)
        if not isinstance(value, dict):
            return False
        described = self._properties(views)
        return any(
            self._holds_secret(item, described[name])
            if name in described
            else _named_secret(name, item) or self._holds_secret(item, [])
            for name, item in value.items()
        )

    def _views(self, schemas: Iterable[Any]) -> list[Mapping[str, Any]]:
        """Answer all schemas that speak about the same value."""
        waiting = list(schemas)
        found: dict[int, Mapping[str, Any]] = {}
        while waiting:
            schema = waiting.pop()
            if not isinstance(schema, Mapping) or id(schema) in found:
                continue
            found[id(schema)] = schema
            waiting += [item for keyword in _LISTS for item in _listed(schema.get(keyword))]
            waiting += [schema[keyword] for keyword in _BRANCHES if keyword in schema]
            waiting += _mapping(schema.get("dependentSchemas")).values()
            waiting.append(self._referenced(schema.get("$ref")))
        return list(found.values())

    def _referenced(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        place: Any = self._root
        for part in reference[1:].split("/")[1:]:
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            place = place.get(name) if isinstance(place, Mapping) else None
        return place

    @staticmethod
    def _properties(views: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for view in views:
            for name, schema in _mapping(view.get("properties")).items():
                found.setdefault(name, []).append(schema)
        return found


def _unnamed(views: Iterable[Mapping[str, Any]]) -> Iterator[Any]:
    """Answer the schemas of what has no name of its own: items, and fields of any name."""
    for view in views:
        yield from (view[keyword] for keyword in _INSIDE if keyword in view)
        yield from _listed(view.get("prefixItems"))
        yield from _mapping(view.get("patternProperties")).values()


def _named_secret(name: str, value: Any) -> bool:
    return says_so(name) and isinstance(value, str | list | dict)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
