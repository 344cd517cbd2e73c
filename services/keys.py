"""The key files of a data directory: made at first start, readable by their owner alone."""

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from services.runtime.call import Caller
from services.runtime.identity import KeyRing, new_key
from services.settings import InvalidSettings, Settings

DEFAULT_TENANT = "default"


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """The keys of this process; `admin_is_new` when this start made the admin key."""

    admin: str
    service: str
    admin_is_new: bool = False

    def ring(self) -> KeyRing:
        """Answer who may call."""
        return KeyRing(
            {
                self.admin: Caller(tenant=DEFAULT_TENANT, subject="admin"),
                self.service: Caller(tenant=DEFAULT_TENANT, subject="service", is_service=True),
            }
        )


def make_data_dir(settings: Settings) -> None:
    """Make the data directory, closed to others; raises `InvalidSettings` when that fails."""
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(PermissionError):  # a mounted volume may be somebody else's
            settings.data_dir.chmod(0o700)
    except OSError as error:
        problem = f"data_dir: {settings.data_dir} cannot be made ({error.strerror})"
        raise InvalidSettings([problem]) from error


def load_keys(settings: Settings) -> Keys:
    """Read the keys, and make those that no setting names and no file holds yet.

    Raises `InvalidSettings` when a file that a setting names is missing or unreadable.
    """
    admin, is_new = _key(settings, "admin")
    service, _ = _key(settings, "service")
    if admin == service:
        problem = "admin_key and service_key: must differ, for the service key opens every tenant"
        raise InvalidSettings([problem])
    return Keys(admin=admin, service=service, admin_is_new=is_new)


def _key(settings: Settings, name: str) -> tuple[str, bool]:
    given: str = getattr(settings, f"{name}_key")
    if given:
        return given, False
    named: Path | None = getattr(settings, f"{name}_key_file")
    path = named or settings.data_dir / f"{name}-key"
    if named is None and not path.exists():
        _write(path, new_key(name))
        return _read(path, name), True
    return _read(path, name), False


def _read(path: Path, name: str) -> str:
    try:
        key = path.read_text().strip()
    except OSError as error:
        problem = f"{name}_key_file: {path} cannot be read ({error.strerror})"
        raise InvalidSettings([problem]) from error
    if not key:
        raise InvalidSettings([f"{name}_key_file: {path} is empty"])
    return key


def _write(path: Path, key: str) -> None:
    # A link appears whole or not at all, and only where nothing is: of two processes that start at
    # once, one makes the key and both read it.
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:  # mode 0600
            file.write(f"{key}\n")
            file.flush()
            with suppress(FileExistsError):
                os.link(file.name, path)
    except OSError as error:
        problem = f"data_dir: {path} cannot be written ({error.strerror})"
        raise InvalidSettings([problem]) from error
