"""`python -m tests.faults.report FILE`: writes what `make soak` has measured into RESULTS.md.

A test that failed has written nothing down, so its row is not there.
"""

import json
import platform
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.rows import Row, load_average, table
from services.runtime.clock import now

RESULTS = Path(__file__).parents[2] / "bench" / "RESULTS.md"
FAULTS = re.compile(r"(?s)(<!-- faults -->\n).*(<!-- end of faults -->)")

Figures = Mapping[str, Any]


class Kind(NamedTuple):
    """How the figures of some tests become a row; `p99` in seconds, 0: nothing to be compared."""

    tests: tuple[str, ...]
    what: str
    bar: str
    measured: Callable[[Sequence[Figures]], str]
    p99: float = 0.0


def _total(found: Sequence[Figures], name: str) -> int:
    return sum(int(each.get(name, 0)) for each in found)


def _most(found: Sequence[Figures], name: str) -> float:
    return max(float(each.get(name, 0)) for each in found)


def _race(found: Sequence[Figures]) -> str:
    [figures] = found
    return "{rounds} rounds: 1 call each, none failed, p99 {p99_seconds:.2f} s".format(**figures)


def _kills(found: Sequence[Figures]) -> str:
    recovered, flagged = _total(found, "recovered"), _total(found, "flagged")
    longest = _most(found, "longest_seconds")
    return (
        f"{_total(found, 'kills')} kills: {recovered} recovered, {flagged} flagged, "
        f"0 otherwise; at the latest after {longest:.1f} s"
    )


def _written(text: str) -> Callable[[Sequence[Figures]], str]:
    return lambda found: text.format(**found[0])


_SAFE = ("before_claim", "after_claim", "after_spool", "after_store")
_OPEN = ("request_sent", "answer_read")
KINDS = (
    Kind(
        ("T1 local",),
        "T1: 500 executions, 4 executors and 2 credential processes, one expired token that "
        "refreshes once",
        "1 token call a round, 0 failed, p99 ≤ 1.5 s",
        _race,
        p99=1.5,
    ),
    Kind(
        ("T1 vault",),
        "T1 with the credentials in OpenBao",
        "the same",
        _race,
        p99=1.5,
    ),
    Kind(
        ("T2",),
        "T2: many expired tokens, a server with 5 % 503 and 5 % stalls of 10 s",
        "no token redeemed twice, 0 lost",
        _written(
            "{credentials} credentials, {callers} callers each: {token_requests} requests, 0 lost"
        ),
    ),
    Kind(
        tuple(f"T3 {point}" for point in _SAFE),
        "T3: SIGKILL before and after the claim, after the spool, after the store",
        "100 % recovered",
        _kills,
    ),
    Kind(
        tuple(f"T3 {point}" for point in _OPEN),
        "T3: SIGKILL between sending and the spool, a server without grace",
        "100 % flagged within 60 s",
        _kills,
    ),
    Kind(
        tuple(f"T4 {point}" for point in (*_SAFE, *_OPEN)),
        "T4: SIGKILL at all six points, a server with 30 s of grace",
        "100 % recovered",
        _kills,
    ),
    Kind(
        ("T5",),
        "T5: callers leave after 50 to 100 ms",
        "every refresh ends and is stored",
        _written("{refreshes} of {refreshes}"),
    ),
    Kind(
        ("T6",),
        "T6: OpenBao sealed between claim and store",
        "callers have the token, stored ≤ 2 s after the unsealing",
        _written(
            "{credentials} credentials, sealed {sealed_seconds:.0f} s: 0 lost, stored after "
            "{stored_after:.2f} s"
        ),
    ),
    Kind(
        ("T7",),
        "T7: OpenBao sealed under load",
        "0 failed with a warm cache; cold ones refused ≤ 200 ms, no refresh meanwhile; "
        "recovery ≤ 2 s",
        _written(
            "{calls} calls at {rate:.0f}/s, {failed} failed; cold {cold_seconds:.3f} s; recovery "
            "{recovery_seconds:.2f} s"
        ),
    ),
    Kind(
        ("T9",),
        "T9: start, callback, execute, refresh, revoke; 5 % of OpenBao's writes done, not answered",
        "the same results as without",
        _written("{journeys} journeys, {lost} of {writes} answers lost: the same"),
    ),
    Kind(
        ("T17",),
        "T17: two credential processes with clocks 120 s fast and slow, tokens of an hour",
        "0 redeemed twice, 0 used when over",
        _written(
            "{hours:.0f} h in steps, {refreshes} refreshes: 0; the oldest in use was at most "
            "{oldest_seconds:.0f} s old"
        ),
    ),
    Kind(
        ("T26",),
        "T26: all keys rotated and client secrets changed under load",
        "0 failed",
        _written(
            "{rotations} rotations, {secret_changes} changes, {refreshes} refreshes, {calls} "
            "calls: {failed} failed"
        ),
    ),
)


def rows(found: Mapping[str, Figures]) -> list[Row]:
    """Make the rows of all that was measured."""
    made = []
    for kind in KINDS:
        figures = [found[name] for name in kind.tests if name in found]
        if len(figures) == len(kind.tests):
            met = not kind.p99 or _most(figures, "p99_seconds") <= kind.p99
            made.append(Row(kind.what, kind.measured(figures), kind.bar, met=met))
    return made


def main(path: Path) -> None:
    """Write the table; figures of a test that ran twice are those of the later run."""
    lines = map(json.loads, path.read_text().splitlines())
    found = {line["test"]: line for line in lines}
    about = (
        f"{now().date()}, {platform.machine()}, Python "
        f"{platform.python_version()}; load average {load_average()} at the end"
    )
    text = f"{about}\n\n{table(rows(found))}\n"
    RESULTS.write_text(FAULTS.sub(lambda m: f"{m[1]}{text}{m[2]}", RESULTS.read_text()))
    sys.stdout.write(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
