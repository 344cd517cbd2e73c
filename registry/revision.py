"""What changes make of an instance whose secrets are kept elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from registry.config import completed
from registry.etags import next_etag
from registry.model import Definition, Instance, InstanceError, InstanceStatus
from registry.oauth.grants import awaits_consent
from registry.secrecy import Secrecy

_CURED_BY_CONFIG: Final = frozenset(
    {
        InstanceStatus.PENDING_CONFIGURATION,
        InstanceStatus.AUTH_ERROR,
        InstanceStatus.CONFIG_ERROR,
    }
)


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


def reconfigured(changed: Instance, revision: Revision, definition: Definition) -> Instance:
    """Put a revised config in place, as of the time and with the etag that the instance has.

    It may be what cures an instance in error, and new secrets are what connects one again that was
    disconnected; no config gives somebody's consent.
    """
    public, secret = Secrecy(definition.config_schema).split(revision.whole)
    fields = (*revision.kept, *(name for name in secret if name not in revision.kept))
    changed = replace(changed, config=public, secret_fields=fields)
    cured = changed.status in _CURED_BY_CONFIG
    reconnected = changed.status is InstanceStatus.DISCONNECTED and bool(secret)
    if awaits_consent(definition.auth_type, definition.oauth2_config):
        return changed
    if not (cured or reconnected):
        return changed
    connected = InstanceStatus.CONNECTED
    return replace(changed, status=connected, error=None, last_connected_at=changed.updated_at)


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether an instance can be used, why not, and what its API has told for the config."""

    status: InstanceStatus
    error: InstanceError | None = None
    captured: Mapping[str, str] = field(default_factory=dict)

    def is_known(self, current: Instance) -> bool:
        """Tell whether the instance says all this already."""
        config = current.config
        return (current.status, current.error) == (self.status, self.error) and all(
            name in config and config[name] == value for name, value in self.captured.items()
        )

    def of(self, current: Instance, now: datetime) -> Instance:
        """Answer the instance as it stands now; its secrets, and their version, stay."""
        connects = self.status is InstanceStatus.CONNECTED and current.status is not self.status
        return replace(
            current,
            status=self.status,
            error=self.error,
            config={**current.config, **self.captured},
            updated_at=now,
            etag=next_etag(current.etag),
            last_connected_at=now if connects else current.last_connected_at,
        )
