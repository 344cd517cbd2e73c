"""Audit logs on disk, for tests: opened, read and harmed."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from credentials.model import AuditEntry
from credentials.stores.audit_log import FileAudit, Writing

STORED = AuditEntry("credentials.stored", "acme", "int_inst_1", "admin")
USED = AuditEntry("credentials.used", "acme", "int_inst_1", "admin", details={"method": "getUser"})
DAY = datetime(2026, 1, 2, 12, tzinfo=UTC)
FIRST = "slot-00.000001.jsonl"


def noon() -> datetime:
    """Answer the same moment always."""
    return DAY


@asynccontextmanager
async def opened(
    directory: Path, *, clock: Callable[[], datetime] = noon, **options: Any
) -> AsyncIterator[FileAudit]:
    """Open an audit log, and close it; `options` are those of `Writing`."""
    audit = await FileAudit.open(directory, clock, "host:1", Writing(**options))
    try:
        yield audit
    finally:
        await audit.close()


def entries(directory: Path, pattern: str = "*.jsonl") -> list[dict[str, Any]]:
    """Answer all entries, chain by chain."""
    paths = sorted(directory.glob(pattern))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def actions(directory: Path, pattern: str = "*.jsonl") -> list[str]:
    """Answer the actions of all entries."""
    return [entry["action"] for entry in entries(directory, pattern)]


def contents(directory: Path, pattern: str) -> dict[str, bytes]:
    """Answer what the files hold."""
    return {path.name: path.read_bytes() for path in directory.glob(pattern)}
