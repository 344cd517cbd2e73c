"""How long the parts of a refresh may take, and how long is waited after one that failed."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. `request` must be well below `claim`: whoever has claimed ends before others may.

    `claim` is how long one process lets another one's claim stand, counted from when it first saw
    it: so that clocks need not agree. `forced` is the least time between two refreshes that refused
    tokens cause. `whole` bounds all that one caller waits for.
    """

    request: float = 15.0
    claim: float = 30.0
    forced: float = 30.0
    whole: float = 120.0
    poll_least: float = 0.05
    poll_most: float = 0.15
    cooldown_first: float = 2.0
    cooldown_most: float = 900.0
    store_first: float = 0.05
    store_most: float = 0.5

    def poll(self) -> float:
        """Answer how long to wait for somebody else's refresh; those who wait should not march."""
        return random.uniform(self.poll_least, self.poll_most)  # noqa: S311 - no secret

    def cooldown(self, failures: int) -> float:
        """Answer how long an endpoint is left alone after so many failures in a row, from 1."""
        return float(min(self.cooldown_first * 2.0 ** (failures - 1), self.cooldown_most))

    def store_pause(self, tries: int) -> float:
        """Answer how long to wait before writing a store again that could not be written."""
        return float(min(self.store_first * 2.0 ** min(tries, 16), self.store_most))
