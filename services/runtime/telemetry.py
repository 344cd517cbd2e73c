"""Logs: one event a line, as JSON for machines or as text for a terminal.

Everything in the house logs through the standard library. Nothing logs a message, a body or a
header whole, since any of them may hold a secret.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

# What every record has; whatever else one has was given as `extra`.
_STANDARD: Final = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime"))


def configure(level: str, style: str) -> None:
    """Send all logs to standard error; `style` is `json`, `text` or `auto` (by terminal)."""
    as_text = style == "text" or (style == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(TextLines() if as_text else JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # Alembic tells of every plugin it has; a migration is told of by what went wrong with it.
    logging.getLogger("alembic").setLevel(logging.WARNING)


class JsonLines(logging.Formatter):
    """One JSON object for each event, a traceback within it."""

    def format(self, record: logging.LogRecord) -> str:
        """Answer the line of a record."""
        line = {
            "timestamp": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextLines(logging.Formatter):
    """Time, level, event, logger, and then what was given as `extra`; a traceback below it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class names it
        """Answer the line of a record, without its traceback."""
        facts = [f"{name}={json.dumps(fact, default=str)}" for name, fact in _extra(record).items()]
        start = f"{_time(record)} {record.levelname.lower():8} {record.message}"
        return " ".join((start, f"[{record.name}]", *facts))


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: fact for name, fact in vars(record).items() if name not in _STANDARD}
