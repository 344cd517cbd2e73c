"""`integration-service audit verify`, as an operator and a machine use it."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from credentials.model import AuditEntry
from credentials.stores.audit_log import FileAudit
from services.__main__ import main

FIRST = "slot-00.000001.jsonl"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory with an audit log of three entries."""
    asyncio.run(_write(tmp_path / "audit"))
    return tmp_path


async def _write(directory: Path) -> None:
    audit = await FileAudit.open(directory, lambda: datetime(2026, 1, 2, tzinfo=UTC), "host:1")
    for number in range(3):
        await audit.before(AuditEntry("credentials.stored", "acme", f"i{number}", "admin"))
    await audit.close()


def head(path: Path) -> str:
    """Answer the hash of the last entry."""
    answer: str = json.loads(path.read_text().splitlines()[-1])["hash"]
    return answer


def test_a_good_log_is_told_file_by_file(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every file is printed with its count and the hash of its last entry, and all is well."""
    code = main(["audit", "verify", "--data-dir", str(data_dir)])

    first, last = capsys.readouterr().out.splitlines()
    assert code == 0
    assert first == f"{FIRST}: 3 entries, 1 to 3, head {head(data_dir / 'audit' / FIRST)}"
    assert last == "The audit log is as it was written: 1 file."


def test_a_break_is_told_with_its_place(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 1, and the message names file and line."""
    path = data_dir / "audit" / FIRST
    path.write_bytes(path.read_bytes().replace(b'"i1"', b'"i2"'))

    code = main(["audit", "verify", "--dir", str(path.parent)])

    assert code == 1
    assert f"line 2 of {path} was changed" in capsys.readouterr().err


def test_a_directory_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be read has not been proven."""
    code = main(["audit", "verify", "--dir", str(tmp_path / "nowhere")])

    assert code == 1
    assert "nowhere cannot be read (No such file or directory)" in capsys.readouterr().err


def test_machines_get_json(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` answers the files, and the break where there is one."""
    path = data_dir / "audit" / FIRST
    good = main(["audit", "verify", "--json", "--dir", str(path.parent)])
    answer = json.loads(capsys.readouterr().out)
    with path.open("ab") as file:
        file.write(b'{"action":')
    crashed = main(["audit", "verify", "--json", "--dir", str(path.parent)])
    unfinished = json.loads(capsys.readouterr().out)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    bad = main(["audit", "verify", "--json", "--dir", str(path.parent)])
    cut = json.loads(capsys.readouterr().out)

    assert (good, crashed, bad) == (0, 0, 1)
    assert answer["ok"] is True
    assert answer["break"] is None
    assert answer["files"] == [
        {
            "path": str(path),
            "entries": 3,
            "first": 1,
            "last": 3,
            "head": answer["files"][0]["head"],
            "unfinishedBytes": 0,
        }
    ]
    assert unfinished["files"][0]["unfinishedBytes"] == 10
    assert cut["ok"] is False
    assert (cut["break"]["path"], cut["break"]["line"]) == (str(path), 3)
