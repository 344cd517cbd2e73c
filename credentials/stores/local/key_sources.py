"""Master keys that are handed in: by a setting, or by a command such as a secret manager's."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from credentials.errors import MasterKeyMissing, MasterKeyNotWritable
from credentials.stores.local.master_key import MasterKeys, parse_master_keys

COMMAND_SECONDS = 10.0


class _Source(Protocol):
    def load(self) -> MasterKeys: ...


@contextmanager
def _handed_in(source: _Source) -> Iterator[MasterKeys]:
    """Rotate with the keys that are there: only whoever hands them in can change them."""
    keys = source.load()
    if len(keys.values) == 1:
        raise MasterKeyNotWritable(
            f"{keys.source} holds one master key, and a new one cannot be written there. Make one "
            "with `integration-service keys rotate --new-key-file FILE`, put it in front of the "
            "old one, apart by a blank, where all processes get their keys from, and run this "
            "command again; afterwards take the old one away",
            source=keys.source,
        )
    yield keys


class KeySetting:
    """A `MasterKeySource` of a setting's text, which stays as it is while a process lives."""

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name

    def load(self) -> MasterKeys:
        """Answer the keys in the setting; raises `MasterKeyWrong`."""
        return parse_master_keys(self._text.encode(), self._name)

    def rotating(self) -> AbstractContextManager[MasterKeys]:
        """Hold the keys as they are; raises `MasterKeyNotWritable` where no new one is."""
        return _handed_in(self)


class KeyCommand:
    """A `MasterKeySource` of what a command prints on its standard output.

    The command is started without a shell, with nothing on its standard input, and may take 10
    seconds; its standard error is that of this process.
    """

    def __init__(self, argv: Sequence[str], seconds: float = COMMAND_SECONDS) -> None:
        self._argv = tuple(argv)
        self._seconds = seconds

    def load(self) -> MasterKeys:
        """Answer the keys that the command prints; raises `MasterKeyMissing`, `MasterKeyWrong`."""
        try:
            ended = subprocess.run(  # noqa: S603 - the operator's own command
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                timeout=self._seconds,
                check=False,
            )
        except OSError as error:
            raise self._missing(f"cannot be run ({error.strerror})") from error
        except subprocess.TimeoutExpired:
            # Not chained: it carries what was printed so far.
            raise self._missing(f"did not end within {self._seconds:g} seconds") from None
        if ended.returncode:
            raise self._missing(f"ended with code {ended.returncode}")
        return parse_master_keys(ended.stdout, self._name)

    def rotating(self) -> AbstractContextManager[MasterKeys]:
        """Hold the keys as they are; raises `MasterKeyNotWritable` where no new one is."""
        return _handed_in(self)

    @property
    def _name(self) -> str:
        return f"the output of {self._argv[0]}"  # arguments may be secret

    def _missing(self, what: str) -> MasterKeyMissing:
        message = f"The command for the master key, {self._argv[0]}, {what}; run it by hand"
        return MasterKeyMissing(message, source=self._argv[0])
