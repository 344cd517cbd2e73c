"""`make bench`: measure everything, or the parts named; `--record` writes it into RESULTS.md."""

import argparse
import platform
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench import credentials, execute, transform
from bench.rows import Row, load_average, table

PARTS: dict[str, Callable[[], list[Row]]] = {
    "transform": transform.rows,
    "execute": execute.rows,
    "credentials": credentials.rows,
}
RESULTS = Path(__file__).parent / "RESULTS.md"
MEASURED = re.compile(r"(?s)(<!-- measured -->\n).*(<!-- end -->)")


def main() -> None:
    """Measure, show, and record when asked to."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--record", action="store_true", help="write the tables into RESULTS.md")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    sections = [_section(name) for name in options.parts or PARTS]
    if options.record:
        text = "\n\n".join(sections)
        RESULTS.write_text(MEASURED.sub(lambda m: f"{m[1]}{text}\n{m[2]}", RESULTS.read_text()))


def _section(name: str) -> str:
    before = load_average()
    rows = PARTS[name]()
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    day = datetime.now(UTC).date()
    about = f"{day}, {machine}; load average {before} before, {load_average()} after"
    section = f"### {name}\n\n{about}\n\n{table(rows)}"
    print(f"{section}\n", flush=True)
    return section


if __name__ == "__main__":
    main()
