"""Master keys in a file, a line each, readable by its owner only."""

import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from credentials.errors import (
    MasterKeyExists,
    MasterKeyMissing,
    MasterKeyNotWritable,
    RotationUnderWay,
)
from credentials.stores.durable import sync_directory, write_durably
from credentials.stores.local.master_key import MasterKeys, parse_master_keys, written
from credentials.stores.local.sealing import new_key


class KeyFile:
    """A `MasterKeySource` that can rotate by itself."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make a master key and its file (0600), on disk when this returns.

        The file appears whole or not at all. Raises `MasterKeyExists` when there is one, also when
        another process made it just now: load that one.
        """
        draft = _draft_of(path)
        try:
            write_durably(draft, written([new_key()]))
            os.link(draft, path)  # unlike a rename, it never replaces a file
        except FileExistsError as error:
            message = f"There is a master key in {path} already; it is never overwritten"
            raise MasterKeyExists(message, source=str(path)) from error
        except OSError as error:
            raise _not_writable(path, error) from error
        finally:
            draft.unlink(missing_ok=True)
        sync_directory(path.parent)
        return cls(path)

    def load(self) -> MasterKeys:
        """Answer the keys in the file; raises `MasterKeyMissing` and `MasterKeyWrong`."""
        try:
            text = self.path.read_bytes()
        except OSError as error:
            raise MasterKeyMissing(
                f"The master key cannot be read from {self.path} ({error.strerror}); "
                "put it back from its backup: without it the stored credentials stay closed",
                source=str(self.path),
            ) from error
        return parse_master_keys(text, str(self.path))

    @contextmanager
    def rotating(self) -> Iterator[MasterKeys]:
        """Hold a new key in front of the old one inside, and it alone after that."""
        with self._locked():
            keys = self.load()
            if len(keys.values) == 1:
                keys = MasterKeys((new_key(), *keys.values), keys.source)
                self._replace(keys.values)
            yield keys
            self._replace(keys.values[:1])

    def _replace(self, values: Iterable[bytes]) -> None:
        path = self.path.resolve()  # a rename would put a file in the place of a symbolic link
        draft = _draft_of(path)
        try:
            write_durably(draft, written(values), like=path.stat())
            draft.replace(path)
            sync_directory(path.parent)
        except OSError as error:
            raise _not_writable(self.path, error) from error
        finally:
            draft.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # The directory and not the file, which is another one after each change.
        try:
            descriptor = os.open(self.path.resolve().parent, os.O_RDONLY)
        except OSError as error:
            raise _not_writable(self.path, error) from error
        try:
            self._lock(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"The keys in {self.path} are being rotated by another process; let it finish"
            raise RotationUnderWay(message, source=str(self.path)) from error


def _draft_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")


def _not_writable(path: Path, error: OSError) -> MasterKeyNotWritable:
    return MasterKeyNotWritable(
        f"A master key cannot be written to {path} ({error.strerror}), and nothing was changed; "
        "make its directory writable, or put a new key in front of the old one by hand",
        source=str(path),
    )
