"""Authorizations under way: what is remembered between their start and their end.

A state has 256 random bits and is kept as its SHA-256 only, beside what it is bound to. All flows
of an instance share one record, so that taking one out is one compare-and-set.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from credentials.model import SecretRecord

LIFETIME = 600.0  # seconds
MOST = 20  # at once for one instance; the oldest gives way
_STATE_BYTES = 32


@dataclass(frozen=True, slots=True, repr=False)
class Flow:
    """One authorization under way. Never printed. `expires_at` in seconds since 1970.

    `actor` started it and nobody else may end it. A device flow has a `device_code`, asked for
    every `interval` seconds.
    """

    actor: str
    redirect_uri: str
    verifier: str
    expires_at: float
    device_code: str = ""
    interval: float = 0.0

    def __repr__(self) -> str:
        return f"Flow({self.redirect_uri}: ***)"


def new_state() -> str:
    """Make a state."""
    return secrets.token_urlsafe(_STATE_BYTES)


def place(state: str) -> str:
    """Name the place of a state in its record; the state itself is never kept."""
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()


def begun(record: SecretRecord | None, state: str, flow: Flow, now: float) -> SecretRecord:
    """Answer the record with one more flow, and without those that have ended."""
    live = {name: kept for name, kept in _flows(record).items() if kept["expires_at"] > now}
    newest = dict(sorted(live.items(), key=lambda item: item[1]["expires_at"])[-(MOST - 1) :])
    return SecretRecord({**newest, place(state): asdict(flow)})


def find(record: SecretRecord | None, state: str, now: float) -> Flow | None:
    """Answer the flow of a state; None where there is none, or no longer."""
    kept = _flows(record).get(place(state))
    return Flow(**kept) if kept is not None and kept["expires_at"] > now else None


def without(record: SecretRecord, state: str) -> SecretRecord:
    """Answer the record without the flow of this state."""
    return SecretRecord(
        {name: flow for name, flow in _flows(record).items() if name != place(state)}
    )


def _flows(record: SecretRecord | None) -> Mapping[str, Any]:
    return {} if record is None else record.fields
