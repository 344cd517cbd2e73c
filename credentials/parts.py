"""What the use cases of OAuth 2 have in common to work with."""

from collections.abc import Callable
from dataclasses import dataclass, field

from credentials.grants import Grant
from credentials.model import RecordKey
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


@dataclass(frozen=True, slots=True, repr=False)
class Claimed:
    """A record that is ours to renew: the grant in it, claimed, at this version."""

    key: RecordKey
    grant: Grant
    version: int
    attempt: str
