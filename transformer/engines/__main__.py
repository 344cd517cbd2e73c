"""Makes the machine code ahead of the first start: `python -m transformer.engines DIRECTORY`."""

import sys
from pathlib import Path

from transformer.engines.wasm import new_engine
from transformer.errors import EngineUnavailable


def main() -> int:
    """Start an engine once and return the exit status."""
    try:
        new_engine(Path(sys.argv[1])).close()
    except EngineUnavailable as error:
        sys.stderr.write(f"error: {error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
