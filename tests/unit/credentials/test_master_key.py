"""The master key's file."""

from base64 import b64encode
from pathlib import Path

import pytest

from credentials.errors import MasterKeyExists, MasterKeyMissing, MasterKeyWrong
from credentials.stores.local.master_key import create_master_key, load_master_key


def test_create_and_load(tmp_path: Path) -> None:
    """A new key has 256 bits, its file is the owner's only, and loading gives the same key."""
    path = tmp_path / "master-key"
    created = create_master_key(path)
    assert load_master_key(path) == created
    assert len(created.value) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["master-key"]


def test_keys_differ(tmp_path: Path) -> None:
    """No two keys are the same."""
    keys = {create_master_key(tmp_path / str(number)).value for number in range(10)}
    assert len(keys) == 10


def test_create_never_overwrites(tmp_path: Path) -> None:
    """A second creation fails, names the file and leaves it as it is."""
    path = tmp_path / "master-key"
    created = create_master_key(path)
    with pytest.raises(MasterKeyExists) as caught:
        create_master_key(path)
    assert caught.value.details == {"path": str(path)}
    assert load_master_key(path) == created
    assert [entry.name for entry in tmp_path.iterdir()] == ["master-key"]


def test_missing(tmp_path: Path) -> None:
    """A file that is not there is named, and so is what to do."""
    path = tmp_path / "master-key"
    with pytest.raises(MasterKeyMissing, match="backup") as caught:
        load_master_key(path)
    assert str(path) in caught.value.message
    assert not path.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"not base64!", b64encode(b"k" * 31), b64encode(b"k" * 33), b"k" * 32, b"\xff"],
)
def test_no_key(tmp_path: Path, content: bytes) -> None:
    """A file with anything but a key is refused by name, without its content."""
    path = tmp_path / "master-key"
    path.write_bytes(content)
    with pytest.raises(MasterKeyWrong) as caught:
        load_master_key(path)
    assert str(path) in caught.value.message
    assert path.read_bytes() == content


def test_blanks_around_a_key(tmp_path: Path) -> None:
    """An editor's line ends do not make a key wrong."""
    path = tmp_path / "master-key"
    created = create_master_key(path)
    path.write_bytes(b"  " + path.read_bytes() + b"\r\n")
    assert load_master_key(path) == created


def test_never_printed(tmp_path: Path) -> None:
    """A key does not show in its representation."""
    path = tmp_path / "master-key"
    created = create_master_key(path)
    shown = f"{created} {created!r}"
    assert path.read_text().strip() not in shown
    assert repr(created.value) not in shown
    assert str(path) in shown
