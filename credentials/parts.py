"""What the use cases of OAuth 2 have in common to work with."""

from collections.abc import Callable
from dataclasses import dataclass, field

from credentials.errors import StoreUnavailable, VersionConflict
from credentials.grants import Grant
from credentials.model import Part, RecordKey, SecretRecord
from credentials.ports import Audit, Clock, Connections, Outbound, SecretStore, Spool
from credentials.profiles import Profiles
from credentials.waiting import Timing


@dataclass(frozen=True, slots=True)
class Parts:
    """What the protocols of OAuth 2 work with.

    `store` is read and written as it is, not cached. `owner` names this process in claims; `known`
    is told every secret that comes up.
    """

    store: SecretStore
    connections: Connections
    profiles: Profiles
    outbound: Outbound
    spool: Spool
    audit: Audit
    clock: Clock
    owner: str
    timing: Timing = field(default_factory=Timing)
    known: Callable[..., None] = lambda *_values: None

    def now(self) -> float:
        """Answer the seconds since 1970."""
        return self.clock().timestamp()

    async def write(self, key: RecordKey, record: SecretRecord, version: int) -> int | None:
        """Put a record that nobody else writes alike; None when somebody else was first.

        A write that is reported as failed may have happened: then it is looked for.
        """
        try:
            return await self.store.put(key, record, version)
        except VersionConflict:
            return None
        except StoreUnavailable:
            found = await self.store.get(key)
            if found is None or found.record.fields != record.fields:
                raise
            return found.version

    async def is_configured(self, key: RecordKey) -> bool:
        """Tell whether the instance still has a config: what is deleted loses that first."""
        return await self.store.get(key._replace(part=Part.CONFIG)) is not None


@dataclass(frozen=True, slots=True, repr=False)
class Claimed:
    """A record that is ours to renew: the grant in it, claimed, at this version."""

    key: RecordKey
    grant: Grant
    version: int
    attempt: str
