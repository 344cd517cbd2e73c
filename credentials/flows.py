"""Authorizations under way: what is remembered between their start and their end.

A state has 256 random bits and is kept as its SHA-256 only, beside what it is bound to. All flows
of an instance share one record, so that taking one out is one compare-and-set.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from credentials.model import SecretRecord

LIFETIME = 600.0  # seconds
MOST = 20  # at once for one instance; the oldest gives way
_STATE_BYTES = 32


@dataclass(frozen=True, slots=True, repr=False)
class Flow:
    """One authorization under way. Never printed. `expires_at` in seconds since 1970.

    `actor` started it and nobody else may end it. A device flow has a `device_code`, asked for
    every `interval` seconds. `taken` names who ends it now: it is used up. What it brings goes to
    `token_url` and nowhere else, wherever a change of the config may lead meanwhile.
    """

    actor: str
    redirect_uri: str
    verifier: str
    expires_at: float
    device_code: str = ""
    interval: float = 0.0
    taken: str = ""
    token_url: str = ""

    def __repr__(self) -> str:
        return f"Flow({self.redirect_uri}: ***)"


@dataclass(frozen=True, slots=True, repr=False)
class Begun:
    """Where the owner has to go, and the state that comes back. Never printed.

    A device flow has a code for the owner to type in at the address; it completes by itself.
    """

    authorization_url: str
    state: str
    expires_at: datetime
    user_code: str = ""
    verification_url: str = ""

    def __repr__(self) -> str:
        return "Begun(***)"


def new_state() -> str:
    """Make a state."""
    return secrets.token_urlsafe(_STATE_BYTES)


def place(state: str) -> str:
    """Name the place of a state in its record; the state itself is never kept."""
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()


def begun(record: SecretRecord | None, state: str, flow: Flow, now: float) -> SecretRecord:
    """Answer the record with one more flow, and without those that have ended."""
    live = {name: kept for name, kept in _flows(record).items() if _is_live(kept, now)}
    newest = dict(sorted(live.items(), key=lambda item: item[1]["expires_at"])[-(MOST - 1) :])
    return SecretRecord({**newest, place(state): asdict(flow)})


def find(record: SecretRecord | None, state: str, now: float) -> Flow | None:
    """Answer the flow of a state; None where there is none, or no longer."""
    kept = _flows(record).get(place(state))
    return Flow(**kept) if kept is not None and _is_live(kept, now) else None


def taken(record: SecretRecord, state: str, flow: Flow, taker: str) -> SecretRecord:
    """Answer the record with this flow used up, by a taker whose name is unique.

    The name makes it a record that nobody else writes, without the secrets of the flow.
    """
    used = replace(flow, verifier="", device_code="", taken=taker)
    return SecretRecord({**_flows(record), place(state): asdict(used)})


def _is_live(kept: Mapping[str, Any], now: float) -> bool:
    return kept["expires_at"] > now and not kept.get("taken")


def _flows(record: SecretRecord | None) -> Mapping[str, Any]:
    return {} if record is None else record.fields
