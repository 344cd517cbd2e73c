"""Files that are whole and on disk, or not there: what they hold cannot be had again."""

import os
from pathlib import Path

OWNER_ONLY = 0o600


def write_durably(path: Path, content: bytes, like: os.stat_result | None = None) -> None:
    """Write a new file, on disk when this returns; raises `OSError`, also when there is one.

    Its owner alone may read it; with `like` it has the mode and the owner of that file.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        if like is not None:
            _liken(descriptor, like)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Put the names of a directory's files on disk; raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _liken(descriptor: int, like: os.stat_result) -> None:
    mine = os.fstat(descriptor)
    if (mine.st_uid, mine.st_gid) != (like.st_uid, like.st_gid):
        os.fchown(descriptor, like.st_uid, like.st_gid)
    os.fchmod(descriptor, like.st_mode & 0o777)
