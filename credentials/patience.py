"""What a process remembers while tokens do not come: endpoints that fail, and others' claims."""

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

from credentials.errors import CredentialsError, EndpointSilent
from credentials.grants import Claim
from credentials.model import RecordKey
from credentials.oauth.profile import OAuthProfile
from credentials.waiting import Timing

_KICK_SECONDS = 0.5
_MOST_KICKS = 10_000


@dataclass(frozen=True, slots=True)
class Pause:
    """An endpoint that failed is left alone until `until` (monotonic); `error` says why.

    A change of the profile ends it: what was wrong may be right now.
    """

    failures: int
    until: float
    error: CredentialsError
    profile: OAuthProfile


class _Seen(NamedTuple):
    attempt: str
    since: float


class Patience:
    """Counts time by the running loop, so that clocks of processes need not agree."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._pauses: dict[RecordKey, Pause] = {}
        self._claims: dict[RecordKey, _Seen] = {}
        self._kicks: dict[RecordKey, float] = {}

    def paused(self, key: RecordKey) -> Pause | None:
        """Answer why the endpoint of a credential is to be left alone now, if it is."""
        pause = self._pauses.get(key)
        return pause if pause is not None and monotonic() < pause.until else None

    def pause(self, key: RecordKey, profile: OAuthProfile, error: CredentialsError) -> None:
        """Leave the endpoint alone: longer after every failure, and as long as it asks for.

        A spent refresh token is good for the server's grace only: within it comes the next try.
        """
        before = self._pauses.get(key)
        failures = 1 if before is None else before.failures + 1
        asked = getattr(error, "retry_after_ms", 0) / 1000
        seconds = max(asked, self._timing.cooldown(failures))
        if profile.grace_seconds and isinstance(error, EndpointSilent):
            seconds = min(seconds, profile.grace_seconds / 2)
        self._pauses[key] = Pause(failures, monotonic() + seconds, error, profile)

    def resume(self, key: RecordKey) -> None:
        """Forget the failures: the endpoint has answered."""
        self._pauses.pop(key, None)

    def claim_stands(self, key: RecordKey, claim: Claim | None) -> bool:
        """Tell whether somebody is on it, as far as this process has seen."""
        if claim is None:
            self._claims.pop(key, None)
            return False
        seen = self._claims.get(key)
        if seen is None or seen.attempt != claim.attempt:
            seen = self._claims[key] = _Seen(claim.attempt, monotonic())
        return monotonic() - seen.since < self._timing.claim

    def may_kick(self, key: RecordKey) -> bool:
        """Tell, twice a second at most, that it is worth looking for the next token."""
        now = monotonic()
        if self.paused(key) or now < self._kicks.get(key, now):
            return False
        if len(self._kicks) >= _MOST_KICKS:
            self._kicks.clear()
        self._kicks[key] = now + _KICK_SECONDS
        return True


def monotonic() -> float:
    """Answer the seconds of the running loop."""
    return asyncio.get_running_loop().time()
