"""The master key's file: one line, the base64 of 32 random bytes, readable by its owner only."""

import os
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path

from credentials.errors import MasterKeyExists, MasterKeyMissing, MasterKeyWrong
from credentials.stores.local.sealing import KEY_BYTES, new_key


@dataclass(frozen=True, slots=True, repr=False)
class MasterKey:
    """The key that wraps all others, and where it came from. Never printed."""

    value: bytes
    path: str

    def __repr__(self) -> str:
        return f"MasterKey({self.path}: ***)"


def load_master_key(path: Path) -> MasterKey:
    """Read the master key.

    Raises `MasterKeyMissing` when the file cannot be read, `MasterKeyWrong` when it holds no key.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise MasterKeyMissing(
            f"The master key cannot be read from {path} ({error.strerror}); "
            "put it back from its backup: without it the stored credentials stay closed",
            path=str(path),
        ) from error
    value = _decoded(text)
    if value is None:
        raise MasterKeyWrong(
            f"{path} holds no master key, base64 of {KEY_BYTES} bytes; put back its backup",
            path=str(path),
        )
    return MasterKey(value, str(path))


def create_master_key(path: Path) -> MasterKey:
    """Make a master key and its file (0600), on disk when this returns.

    The file appears whole or not at all. Raises `MasterKeyExists` when there is one, also when
    another process made it just now: load that one.
    """
    value = new_key()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write_durably(draft, b64encode(value) + b"\n")
        os.link(draft, path)  # unlike a rename, it never replaces a file
    except FileExistsError as error:
        message = f"There is a master key in {path} already; it is never overwritten"
        raise MasterKeyExists(message, path=str(path)) from error
    finally:
        draft.unlink(missing_ok=True)
    _sync_directory(path.parent)
    return MasterKey(value, str(path))


def _decoded(text: bytes) -> bytes | None:
    try:
        value = b64decode(text.strip(), validate=True)
    except ValueError:
        return None
    return value if len(value) == KEY_BYTES else None


def _write_durably(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
