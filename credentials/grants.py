"""What an authorization server has given for an instance, how it is kept, and when it is fresh."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from math import inf
from typing import Any

from credentials.model import SecretRecord
from credentials.oauth.answers import TokenAnswer
from credentials.oauth.profile import OAuthProfile

SKEW = 30.0  # seconds that a token ends earlier for us than for its server
SMALLEST_MARGIN = 60.0
DELETED = "deleted"  # the cause of a grant that is being forgotten
_MARGIN_OF_LIFETIME = 0.2
_MOST_DOUBTS = 8


class GrantState(StrEnum):
    """Whether a grant can be used."""

    ACTIVE = "active"
    NEEDS_REAUTHORIZATION = "needs_reauthorization"


class Freshness(StrEnum):
    """What to do with an access token."""

    FRESH = "fresh"  # use it
    DUE = "due"  # use it, and fetch the next one
    EXPIRED = "expired"  # fetch the next one first


@dataclass(frozen=True, slots=True)
class Claim:
    """Who is fetching the next token right now; `attempt` is unique."""

    owner: str
    attempt: str


@dataclass(frozen=True, slots=True, repr=False)
class Grant:
    """The tokens of an instance. Never printed. Times are seconds since 1970.

    `generation` counts access tokens from 1. `attempt` is the claim that the present token came by,
    empty for one that was handed in.
    `margin` is how many seconds before its end the next one is fetched; None: a fifth of its life,
    at least a minute. `doubt` names, between blanks, the claims whose request was sent and whose
    answer nobody has: the refresh token may be spent.
    """

    generation: int = 0
    access_token: str = ""
    refresh_token: str = ""
    token_type: str = "Bearer"  # noqa: S105 - RFC 6750
    scope: str = ""
    received_at: float = 0.0
    expires_at: float | None = None
    refresh_expires_at: float | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
    attempt: str = ""
    margin: float | None = None
    claim: Claim | None = None
    doubt: str = ""
    state: GrantState = GrantState.ACTIVE
    cause: str = ""

    def __repr__(self) -> str:
        return f"Grant(generation {self.generation}: ***)"

    @property
    def expiry(self) -> datetime | None:
        """When the access token ends, for us."""
        return None if self.expires_at is None else datetime.fromtimestamp(self.expires_at, UTC)


def freshness(grant: Grant, now: float) -> Freshness:
    """Tell what to do with the access token."""
    if not grant.access_token:
        return Freshness.EXPIRED
    if grant.expires_at is None:
        return Freshness.FRESH
    if now >= grant.expires_at:
        return Freshness.EXPIRED
    return Freshness.DUE if now >= due_at(grant) else Freshness.FRESH


def due_at(grant: Grant) -> float:
    """Answer when the next token is to be fetched, at half its life at the earliest."""
    if grant.expires_at is None:
        return inf
    lifetime = grant.expires_at - grant.received_at
    wanted = max(SMALLEST_MARGIN, lifetime * _MARGIN_OF_LIFETIME)
    return grant.expires_at - min(wanted if grant.margin is None else grant.margin, lifetime / 2)


def margin_of(profile: OAuthProfile) -> float | None:
    """Answer the margin that a definition asks for; a manual strategy fetches nothing early."""
    return 0.0 if profile.refresh_strategy == "manual" else profile.refresh_margin


def renewed(
    grant: Grant, answer: TokenAnswer, received_at: float, attempt: str, margin: float | None
) -> Grant:
    """Answer the grant with the tokens of an answer; without a new refresh token the old stays."""
    return replace(
        grant,
        generation=grant.generation + 1,
        access_token=answer.access_token,
        refresh_token=answer.refresh_token or grant.refresh_token,
        token_type=answer.token_type or "Bearer",
        scope=answer.scope or grant.scope,
        received_at=received_at,
        expires_at=_end(received_at, answer.expires_in),
        refresh_expires_at=_end(received_at, answer.refresh_expires_in) or grant.refresh_expires_at,
        extras=answer.extras,
        attempt=attempt,
        margin=margin,
        claim=None,
        doubt="",
        state=GrantState.ACTIVE,
        cause="",
    )


def doubted(grant: Grant, attempt: str) -> Grant:
    """Answer the grant without its claim, and in doubt about what that has brought."""
    doubts = [*grant.doubt.split(), attempt][-_MOST_DOUBTS:]
    return replace(grant, claim=None, doubt=" ".join(doubts))


def ended(grant: Grant, cause: str) -> Grant:
    """Answer the grant as one that nobody refreshes any more."""
    return replace(grant, claim=None, state=GrantState.NEEDS_REAUTHORIZATION, cause=cause)


def waits_for(grant: Grant, attempt: str) -> bool:
    """Tell whether what this claim brings is still wanted."""
    claimed = grant.claim is not None and grant.claim.attempt == attempt
    return grant.cause != DELETED and (claimed or attempt in grant.doubt.split())


def to_record(grant: Grant) -> SecretRecord:
    """Write a grant as a record."""
    fields: dict[str, Any] = {
        name: getattr(grant, name)
        for name in Grant.__dataclass_fields__
        if name not in {"claim", "extras"}
    }
    claim = grant.claim
    fields["extras"] = dict(grant.extras)
    fields["claim"] = None if claim is None else {"owner": claim.owner, "attempt": claim.attempt}
    return SecretRecord(fields)


def from_record(record: SecretRecord) -> Grant:
    """Read what `to_record` wrote."""
    known = {name: value for name, value in record.fields.items() if name in _FIELDS}
    claim = known.pop("claim", None)
    known["state"] = GrantState(known.get("state", GrantState.ACTIVE))
    return Grant(**known, claim=None if claim is None else Claim(**claim))


_FIELDS = frozenset(Grant.__dataclass_fields__)


def _end(received_at: float, seconds: float | None) -> float | None:
    """Take the skew off; a token that lives shorter than it ends after half its life."""
    return None if seconds is None else received_at + max(seconds - SKEW, seconds / 2)
