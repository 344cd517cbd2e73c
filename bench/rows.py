"""A measured row: what, how much, against what, and whether the bar is met."""

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the results. `met` is None where there is no bar."""

    what: str
    measured: str
    bar: str = ""
    met: bool | None = None


def median(values: Sequence[float]) -> float:
    """Answer the middle value."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """Answer the value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def load_average() -> str:
    """Answer how busy the machine is: the mean number of runnable processes over a minute."""
    return f"{os.getloadavg()[0]:.2f} on {os.cpu_count()} cores"


def table(rows: Sequence[Row]) -> str:
    """Write rows as a Markdown table."""
    words = {True: "met", False: "**missed**", None: ""}
    lines = ["| what | measured | bar | |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.measured} | {row.bar} | {words[row.met]} |" for row in rows]
    return "\n".join(lines)
