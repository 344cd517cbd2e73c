"""What a change makes of the config of an instance whose secrets are kept elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.config import completed
from registry.model import Definition, Instance


@dataclass(frozen=True, slots=True)
class Revision:
    """A config after a change: all fields that are known, secrets that stay, fields that go."""

    whole: Mapping[str, Any]
    kept: tuple[str, ...]
    removed: tuple[str, ...]


def revise(current: Instance, sent: Mapping[str, Any], definition: Definition) -> Revision:
    """Merge what was sent into the config as RFC 7396 does, at the top level only."""
    kept = tuple(name for name in current.secret_fields if name not in sent)
    gone = {name for name in sent if sent[name] is None}
    merged = {**current.config, **sent}
    given = {name: value for name, value in merged.items() if name not in gone}
    whole = {
        name: value for name, value in completed(given, definition).items() if name not in kept
    }
    removed = tuple(name for name in sent if name in gone and name not in whole)
    return Revision(whole, kept, removed)
