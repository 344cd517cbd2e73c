"""Logs: one event a line, as JSON for machines or as text for a terminal.

Everything in the house logs through the standard library. Nothing logs a message, a body or a
header whole, since any of them may hold a secret; and should one get into a line all the same, by
way of a library's error, say, it is found by its value and masked.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

from credentials.live_secrets import LiveSecrets
from services.runtime.masking import Mask, masked

# What every record has; whatever else one has was given as `extra`.
_STANDARD: Final = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime"))


def configure(level: str, style: str, secrets: LiveSecrets | None = None) -> None:
    """Send all logs to standard error; `style` is `json`, `text` or `auto` (by terminal).

    Every one of `secrets` is masked, in whatever form it gets into a line.
    """
    as_text = style == "text" or (style == "auto" and sys.stderr.isatty())
    mask = secrets.mask if secrets is not None else str
    handler = logging.StreamHandler()
    handler.setFormatter(TextLines(mask) if as_text else JsonLines(mask))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # Alembic tells of every plugin it has; a migration is told of by what went wrong with it.
    logging.getLogger("alembic").setLevel(logging.WARNING)


class JsonLines(logging.Formatter):
    """One JSON object for each event, a traceback within it."""

    def __init__(self, mask: Mask = str) -> None:
        super().__init__()
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        """Answer the line of a record."""
        facts = {"event": record.getMessage(), **_extra(record)}
        if record.exc_info:
            facts["exception"] = self.formatException(record.exc_info)
        line = {
            "timestamp": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            **masked(facts, self._mask),  # one by one: as a whole it might be JSON no more
        }
        return json.dumps(line, default=lambda thing: self._mask(str(thing)))


class TextLines(logging.Formatter):
    """Time, level, event, logger, and then what was given as `extra`; a traceback below it."""

    def __init__(self, mask: Mask = str) -> None:
        super().__init__()
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        """Answer the line of a record, its traceback below it."""
        return self._mask(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class names it
        """Answer the line of a record, without its traceback."""
        facts = [f"{name}={json.dumps(fact, default=str)}" for name, fact in _extra(record).items()]
        start = f"{_time(record)} {record.levelname.lower():8} {record.message}"
        return " ".join((start, f"[{record.name}]", *facts))


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: fact for name, fact in vars(record).items() if name not in _STANDARD}
