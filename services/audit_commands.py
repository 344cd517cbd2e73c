"""`integration-service audit`: what an operator does with the audit log."""

import json
import sys
from pathlib import Path

from credentials.audit_check import CheckedFile, check
from credentials.errors import AuditBroken


def verify(directory: Path, *, as_json: bool = False) -> int:
    """Check every chain in a directory, and print each good file and the first break.

    Answers 0 when all is as it was written, 1 when it is not or cannot be read.
    """
    files: list[CheckedFile] = []
    problem: dict[str, object] | None = None
    try:
        for file in check(directory):
            files.append(file)
            if not as_json:
                sys.stdout.write(_line(file))
    except AuditBroken as error:
        problem = {"message": error.message, **error.details}
    except OSError as error:
        problem = {"message": f"{directory} cannot be read ({error.strerror})"}
    if as_json:
        _write_json(files, problem)
    elif problem is None:
        sys.stdout.write(f"The audit log is as it was written: {_counted(len(files), 'file')}.\n")
    else:
        sys.stderr.write(f"integration-service: {problem['message']}\n")
    return 0 if problem is None else 1


def _line(file: CheckedFile) -> str:
    facts = [_counted(file.entries, "entry")]
    if file.entries:
        facts.append(f"{file.first} to {file.head.n}")
    if file.unfinished:
        facts.append(f"{_counted(file.unfinished, 'byte')} unfinished")
    return f"{file.path.name}: {', '.join(facts)}, head {file.head.hash}\n"


def _write_json(files: list[CheckedFile], problem: dict[str, object] | None) -> None:
    shown = [
        {
            "path": str(file.path),
            "entries": file.entries,
            "first": file.first,
            "last": file.head.n,
            "head": file.head.hash,
            "unfinishedBytes": file.unfinished,
        }
        for file in files
    ]
    answer = {"ok": problem is None, "files": shown, "break": problem}
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")


def _counted(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun.removesuffix('y')}ies" if noun.endswith("y") else f"{number} {noun}s"
