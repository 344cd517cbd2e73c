"""Logs: one event a line, as JSON for machines or as text for a terminal.

Everything in the house logs through the standard library; structlog renders it. Nothing logs a
message, a body or a header whole, since any of them may hold a secret.
"""

import logging
import sys

import structlog

SHARED: tuple[structlog.typing.Processor, ...] = (
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure(level: str, style: str) -> None:
    """Send all logs to standard error; `style` is `json`, `text` or `auto` (by terminal)."""
    as_text = style == "text" or (style == "auto" and sys.stderr.isatty())
    rendered: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta
    ]
    if as_text:
        rendered.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    else:
        rendered += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=SHARED, processors=rendered)
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # Alembic tells of every plugin it has; a migration is told of by what went wrong with it.
    logging.getLogger("alembic").setLevel(logging.WARNING)
