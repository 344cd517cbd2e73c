"""Master keys of the local credential store: where they are, and new ones for old."""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

from credentials.errors import CredentialsError, MasterKeyExists
from credentials.stores.local.engine import open_engine
from credentials.stores.local.key_file import KeyFile
from credentials.stores.local.key_sources import KeyCommand, KeySetting
from credentials.stores.local.master_key import MasterKeySource
from credentials.stores.local.migrate import migrate
from credentials.stores.local.rotation import KeyRotation, Rotated
from services.settings import InvalidSettings, Settings

WHAT_NEXT = """\
A new master key is in {path}.
1. Put it in front of the old one, apart by a blank, where all processes get their keys from.
   Keys from a setting: restart the processes one after the other; until 2, the old key seals on.
2. Run `integration-service keys rotate` with the same settings, while they serve.
3. Take the old key away, but keep it with the backups that it opens. Delete {path}.
"""
TAKE_AWAY = """\
Now take the old master key away from {source}, but keep it with the backups that it opens.
"""


def credentials_url(settings: Settings) -> str:
    """Answer the URL of the local credential store's database."""
    return f"sqlite+aiosqlite:///{settings.data_dir / 'credentials.db'}"


def master_key_source(settings: Settings) -> MasterKeySource:
    """Answer where the master keys are; the first start makes one in the data directory."""
    if settings.master_key:
        return KeySetting(settings.master_key, "master_key")
    if settings.master_key_command:
        return KeyCommand(settings.master_key_command)
    if settings.master_key_file:
        return KeyFile(settings.master_key_file)
    path = settings.data_dir / "master-key"
    # Beside a database that is there already, a new key would only hide that the right one is lost.
    if not path.exists() and not (settings.data_dir / "credentials.db").exists():
        with suppress(MasterKeyExists):  # of two first starts one makes it, and both load it
            return KeyFile.create(path)
    return KeyFile(path)


def rotate_keys(settings: Settings, new_key_file: Path | None) -> int:
    """Rotate all keys of the credential store, or make a key for a rotation; answers the exit code.

    Processes that serve meanwhile go on, and follow by themselves.
    """
    if settings.credential_store != "local":
        problem = "credential_store: its keys are not kept here; rotate them in the Vault itself"
        raise InvalidSettings([problem])
    try:
        if new_key_file is not None:
            KeyFile.create(new_key_file)
            sys.stdout.write(WHAT_NEXT.format(path=new_key_file))
            return 0
        return asyncio.run(_rotate(settings))
    except CredentialsError as error:
        behind = f" ({error.__cause__})" if error.__cause__ else ""
        sys.stderr.write(f"integration-service: {error}{behind}\n")
        return 1


async def _rotate(settings: Settings) -> int:
    source = master_key_source(settings)
    source.load()  # before anything is touched
    engine = open_engine(credentials_url(settings))
    try:
        await migrate(engine, source)
        rotated = await KeyRotation(engine, source, _tell).run()
    finally:
        await engine.dispose()
    _tell_end(source, rotated)
    return 0


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _tell_end(source: MasterKeySource, rotated: Rotated) -> None:
    for key in rotated.left:
        sys.stderr.write(
            f"integration-service: {key.part} of {key.instance_id} ({key.tenant}) opens with no "
            "key and was left as it is; restore it or connect the instance again\n"
        )
    if not isinstance(source, KeyFile):
        sys.stdout.write(TAKE_AWAY.format(source=source.load().source))
    _tell(f"Done: {rotated.data_keys} data keys, {rotated.records} records.")
