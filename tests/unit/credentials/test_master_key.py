"""Master keys, from a file, a setting or a command."""

import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from credentials.errors import (
    CredentialsError,
    MasterKeyExists,
    MasterKeyMissing,
    MasterKeyNotWritable,
    MasterKeyWrong,
    RotationUnderWay,
)
from credentials.stores.local.key_file import KeyFile
from credentials.stores.local.key_sources import KeyCommand, KeySetting
from credentials.stores.local.master_key import MasterKeySource

FIRST, SECOND = b"1" * 32, b"2" * 32
NEW_IN_FRONT = b64encode(SECOND) + b"\n" + b64encode(FIRST) + b"\n"


def of_file(tmp_path: Path, content: bytes) -> MasterKeySource:
    """Put the content in a file."""
    path = tmp_path / "master-key"
    path.write_bytes(content)
    return KeyFile(path)


def of_setting(_: Path, content: bytes) -> MasterKeySource:
    """Put the content in a setting."""
    return KeySetting(content.decode(errors="replace"), "master_key")


def of_command(tmp_path: Path, content: bytes) -> MasterKeySource:
    """Let a command print the content."""
    path = tmp_path / "printed"
    path.write_bytes(content)
    return KeyCommand(["/bin/cat", str(path)])


Make = Callable[[Path, bytes], MasterKeySource]


@pytest.fixture(params=[of_file, of_setting, of_command])
def make(request: pytest.FixtureRequest) -> Make:
    """Answer each kind of source in turn."""
    made: Make = request.param
    return made


def python(code: str, seconds: float = 10.0) -> KeyCommand:
    """Make a source of what a Python program prints."""
    return KeyCommand([sys.executable, "-c", code], seconds)


@pytest.mark.parametrize(
    "content",
    [
        NEW_IN_FRONT,
        NEW_IN_FRONT.replace(b"\n", b"\r\n"),
        NEW_IN_FRONT.replace(b"\n", b" "),
        NEW_IN_FRONT.replace(b"\n", b",", 1),
        b"\n  " + NEW_IN_FRONT.strip(),
        NEW_IN_FRONT + b64encode(SECOND),
    ],
)
def test_several_keys(make: Make, tmp_path: Path, content: bytes) -> None:
    """A source may hold several keys, apart by any white space; their order counts."""
    assert make(tmp_path, content).load().values == (SECOND, FIRST)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"not base64!",
        b64encode(b"k" * 31),
        b64encode(b"k" * 33),
        b"k" * 32,
        b"\xff",
        NEW_IN_FRONT + b"and something else",
        NEW_IN_FRONT[:-4],
    ],
)
def test_no_key(make: Make, tmp_path: Path, content: bytes) -> None:
    """Anything but keys is refused with the name of the source, without what it holds."""
    with pytest.raises(MasterKeyWrong) as caught:
        make(tmp_path, content).load()
    shown = f"{caught.value} {caught.value.details}"
    assert str(caught.value.details["source"]) in caught.value.message
    assert not any(word.decode() in shown for word in content.split() if len(word) > 20)


def test_never_printed(make: Make, tmp_path: Path) -> None:
    """A key shows neither in the representation of a source nor in that of what it loads."""
    source = make(tmp_path, NEW_IN_FRONT)
    loaded = source.load()
    shown = f"{source} {source!r} {loaded} {loaded!r}"
    for value in loaded.values:
        assert repr(value) not in shown
        assert b64encode(value).decode() not in shown
    assert loaded.source in shown


def test_create_and_load(tmp_path: Path) -> None:
    """A new key has 256 bits, its file is the owner's only, and loading gives that one key."""
    path = tmp_path / "master-key"
    loaded = KeyFile.create(path).load()
    assert loaded.values == (b64decode(path.read_bytes()),)
    assert len(loaded.values[0]) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["master-key"]


def test_keys_differ(tmp_path: Path) -> None:
    """No two keys are the same."""
    keys = {KeyFile.create(tmp_path / str(number)).load().values for number in range(10)}
    assert len(keys) == 10


def test_create_never_overwrites(tmp_path: Path) -> None:
    """A second creation fails, names the file and leaves it as it is."""
    path = tmp_path / "master-key"
    created = KeyFile.create(path).load()
    with pytest.raises(MasterKeyExists) as caught:
        KeyFile.create(path)
    assert caught.value.details == {"source": str(path)}
    assert KeyFile(path).load() == created
    assert [entry.name for entry in tmp_path.iterdir()] == ["master-key"]


def test_create_where_nothing_can_be_written(tmp_path: Path) -> None:
    """A directory that is not there is named."""
    with pytest.raises(MasterKeyNotWritable) as caught:
        KeyFile.create(tmp_path / "absent" / "master-key")
    assert "absent" in caught.value.message


def test_missing(tmp_path: Path) -> None:
    """A file that is not there is named, and so is what to do."""
    path = tmp_path / "master-key"
    with pytest.raises(MasterKeyMissing, match="backup") as caught:
        KeyFile(path).load()
    assert caught.value.details == {"source": str(path)}
    assert not path.exists()


def test_rotating_a_file(tmp_path: Path) -> None:
    """A new key stands in front of the old one inside, and alone after that."""
    source = KeyFile.create(tmp_path / "master-key")
    (old,) = source.load().values
    with source.rotating() as keys:
        new, second = keys.values
        assert (second, source.load().values) == (old, (new, old))
    assert source.load().values == (new,)
    assert new != old
    assert [entry.name for entry in tmp_path.iterdir()] == ["master-key"]


def test_a_rotation_that_fails_keeps_all_keys(tmp_path: Path) -> None:
    """What was cut short leaves both keys, and the next one goes on with the same."""
    source = KeyFile.create(tmp_path / "master-key")
    with pytest.raises(CredentialsError), source.rotating() as first:
        raise CredentialsError("cut short")
    assert source.load() == first
    with source.rotating() as second:
        assert second == first
    assert source.load().values == first.values[:1]


def test_one_rotation_at_a_time(tmp_path: Path) -> None:
    """While one rotates a file, another is refused; afterwards it is not."""
    path = tmp_path / "master-key"
    KeyFile.create(path)
    with (
        KeyFile(path).rotating() as keys,
        pytest.raises(RotationUnderWay),
        KeyFile(path).rotating(),
    ):
        pytest.fail("two at once")
    assert KeyFile(path).load().values == keys.values[:1]
    with KeyFile(path).rotating() as again:
        assert again.values[1:] == keys.values[:1]


def test_rotating_keeps_mode_and_links(tmp_path: Path) -> None:
    """The new file has the mode of the old one, and a symbolic link to it stays one."""
    path, link = tmp_path / "kept-elsewhere", tmp_path / "master-key"
    KeyFile.create(path)
    path.chmod(0o640)
    link.symlink_to(path)
    with KeyFile(link).rotating() as keys:
        assert path.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert KeyFile(path).load().values == keys.values[:1]


@pytest.mark.parametrize("make_handed_in", [of_setting, of_command])
def test_rotating_what_is_handed_in(make_handed_in: Make, tmp_path: Path) -> None:
    """One key that cannot be replaced is refused with what to do; several are held as they are."""
    source = make_handed_in(tmp_path, b64encode(FIRST))
    with pytest.raises(MasterKeyNotWritable, match="--new-key-file"), source.rotating():
        pytest.fail("there is no new key")
    with make_handed_in(tmp_path, NEW_IN_FRONT).rotating() as keys:
        assert keys.values == (SECOND, FIRST)


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (KeyCommand(["/nowhere/to-be-found", "s3cret"]), "cannot be run"),
        (python("import sys; print('s3cret'); sys.exit(3)"), "code 3"),
        (python("import os, signal; os.kill(os.getpid(), signal.SIGTERM)"), "code -15"),
        (python("import time; print('s3cret', flush=True); time.sleep(60)", 0.3), "0.3 seconds"),
    ],
)
def test_commands_that_fail(source: KeyCommand, what: str) -> None:
    """A command that cannot be run, fails or hangs is named, without arguments and output."""
    with pytest.raises(MasterKeyMissing, match=what) as caught:
        source.load()
    assert "s3cret" not in f"{caught.value} {caught.value.details} {caught.value.__cause__}"


def test_commands_have_no_shell(tmp_path: Path) -> None:
    """What would mean something to a shell is an argument like any other."""
    path = tmp_path / "$(touch owned); #"
    path.write_bytes(NEW_IN_FRONT)
    assert KeyCommand(["/bin/cat", str(path)]).load().values == (SECOND, FIRST)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_commands_read_nothing() -> None:
    """A command that reads its input finds the end of it, and does not wait for a terminal."""
    code = f"import sys; print(sys.stdin.read() + {b64encode(FIRST).decode()!r})"
    assert python(code).load().values == (FIRST,)
