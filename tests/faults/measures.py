"""How much of a fault test is run, and where its figures go.

`make soak` sets SOAK=FILE: then everything is run at full length, and every figure written there.
"""

import json
import os
from pathlib import Path

SOAK = os.environ.get("SOAK", "")  # noqa: TID251 - a switch of the tests, none of the service
FULL = bool(SOAK)


def record(name: str, **figures: float) -> None:
    """Write down what was measured."""
    if SOAK:
        with Path(SOAK).open("a") as file:
            file.write(json.dumps({"test": name, **figures}) + "\n")
