"""`integration-service keys rotate`, and where master keys come from."""

import asyncio
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from credentials.errors import MasterKeyMissing, MasterKeyWrong
from credentials.model import RecordKey, SecretRecord
from credentials.stores.local.engine import open_engine
from credentials.stores.local.key_file import KeyFile
from credentials.stores.local.migrate import migrate
from credentials.stores.local.store import LocalSecretStore
from services.__main__ import main
from services.settings import InvalidSettings, Settings, parse
from services.wiring.master_keys import credentials_url, master_key_source, rotate_keys

RECORDS = 60
KEYS = [RecordKey(f"tenant-{number % 3}", f"int_inst_{number}") for number in range(RECORDS)]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Answer a data directory."""
    directory = tmp_path / "data"
    directory.mkdir()
    return directory


def settings_of(data_dir: Path, **more: object) -> Settings:
    """Answer settings with this data directory."""
    return parse({}, {}, {"data_dir": str(data_dir), **more})


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[LocalSecretStore]:
    """Open the store as `serve` does."""
    engine = open_engine(credentials_url(settings))
    try:
        source = master_key_source(settings)
        await migrate(engine)
        yield await LocalSecretStore.open(engine, source)
    finally:
        await engine.dispose()


async def filled(settings: Settings) -> None:
    """Make a store with some records of three tenants."""
    async with opened(settings) as store:
        for key in KEYS:
            await store.put(key, SecretRecord({"of": list(key)}), 0)


async def intact(settings: Settings) -> bool:
    """Tell whether all records are what and where they were."""
    async with opened(settings) as store:
        found = [await store.get(key) for key in KEYS]
    return [(each.record.fields["of"], each.version) for each in found if each] == [
        (list(key), 1) for key in KEYS
    ]


def test_rotate(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything is sealed anew, progress is told, and the key file holds one new key."""
    settings = settings_of(data_dir)
    asyncio.run(filled(settings))
    old = (data_dir / "master-key").read_text()
    assert main(["keys", "rotate", "--data-dir", str(data_dir)]) == 0
    out, err = capsys.readouterr()
    assert f"3 data keys, {RECORDS} records" in out
    assert err == ""
    new = (data_dir / "master-key").read_text()
    assert len(new.splitlines()) == 1
    assert new != old
    assert old.strip() not in out
    assert new.strip() not in out
    assert asyncio.run(intact(settings))


def test_rotate_with_the_wrong_key(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With another key nothing is changed: neither the file nor a byte of the database."""
    asyncio.run(filled(settings_of(data_dir)))
    path = data_dir / "master-key"
    path.rename(data_dir / "right-key")
    KeyFile.create(path)
    content, database = path.read_bytes(), (data_dir / "credentials.db").read_bytes()
    assert main(["keys", "--data-dir", str(data_dir), "rotate"]) == 1
    assert str(path) in capsys.readouterr().err
    assert path.read_bytes() == content
    path.unlink()
    assert main(["keys", "--data-dir", str(data_dir), "rotate"]) == 1
    assert not path.exists()
    assert (data_dir / "credentials.db").read_bytes() == database


@pytest.mark.parametrize("content", [b64encode(bytes(32)), b"no key", None])
async def test_starting_with_the_wrong_key(data_dir: Path, content: bytes | None) -> None:
    """A store is not opened with another key, no key or no file, and no byte of it changes."""
    settings = settings_of(data_dir)
    await filled(settings)
    database, path = data_dir / "credentials.db", data_dir / "master-key"
    before = database.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((MasterKeyWrong, MasterKeyMissing)):
        async with opened(settings):
            pytest.fail("it was opened")
    assert database.read_bytes() == before
    assert path.is_file() == (content is not None)


@pytest.mark.parametrize("name", ["master_key", "master_key_command"])
def test_keys_that_are_handed_in(
    data_dir: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever hands the key in is led through a rotation, step by step."""
    first, second, printed = tmp_path / "first", tmp_path / "second", tmp_path / "printed"

    def handed_in(*files: Path) -> str:
        text = " ".join(file.read_text().strip() for file in files)
        printed.write_text(text)
        value = text if name == "master_key" else f'/bin/cat "{printed}"'
        config = tmp_path / "settings.toml"
        config.write_text(f"data_dir = {str(data_dir)!r}\n{name} = {value!r}\n")
        return str(config)

    assert main(["keys", "rotate", "--new-key-file", str(first)]) == 0
    config = handed_in(first)
    value = first.read_text() if name == "master_key" else f'/bin/cat "{printed}"'
    asyncio.run(filled(settings_of(data_dir, **{name: value})))
    assert main(["keys", "rotate", "--config", config]) == 1
    assert "--new-key-file" in capsys.readouterr().err
    assert main(["keys", "rotate", "--config", config, "--new-key-file", str(second)]) == 0
    assert str(second) in capsys.readouterr().out
    assert main(["keys", "rotate", "--config", handed_in(second, first)]) == 0
    assert "take the old master key away" in capsys.readouterr().out
    handed_in(second)
    value = second.read_text() if name == "master_key" else value
    assert asyncio.run(intact(settings_of(data_dir, **{name: value})))
    assert not (data_dir / "master-key").exists()


def test_a_new_key_file_is_never_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key that is there already stays, and its file is named."""
    path = tmp_path / "key"
    path.write_text("precious")
    assert main(["keys", "rotate", "--new-key-file", str(path)]) == 1
    assert str(path) in capsys.readouterr().err
    assert path.read_text() == "precious"


@pytest.mark.parametrize("line", [1, 2, 3])
def test_killed_and_run_again(data_dir: Path, line: int) -> None:
    """A rotation that is killed at any of its words leaves everything readable, and is repaired."""
    settings = settings_of(data_dir)
    asyncio.run(filled(settings))
    command = [sys.executable, "-m", "services", "keys", "rotate", "--data-dir", str(data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(line):
            assert process.stdout.readline()
        process.kill()
    assert process.returncode != 0
    assert asyncio.run(intact(settings))
    assert main(["keys", "rotate", "--data-dir", str(data_dir)]) == 0
    assert len((data_dir / "master-key").read_text().splitlines()) == 1
    assert asyncio.run(intact(settings))


def test_nothing_to_rotate_with_a_vault(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the credentials are in a Vault, the command says that their keys are too."""
    with pytest.raises(InvalidSettings, match="in the Vault"):
        rotate_keys(replace(Settings(), credential_store="vault"), None)
    assert capsys.readouterr().out == ""


def test_only_one_source() -> None:
    """Of the three places for master keys one may be set, and the problem names those that are."""
    with pytest.raises(InvalidSettings) as caught:
        parse({}, {}, {"master_key": "k", "master_key_file": "f", "master_key_command": "c"})
    (problem,) = caught.value.problems
    assert problem.startswith("master_key and master_key_file and master_key_command:")


def test_commands_are_words() -> None:
    """A command is split as a shell would, or given as a list; keys are shown masked."""
    for command in ("/bin/vault read 'a b'", ["/bin/vault", "read", "a b"]):
        settings = parse({}, {"master_key_command": command}, {})
        assert settings.master_key_command == ("/bin/vault", "read", "a b")
        assert settings.shown()["master_key_command"] == "/bin/vault read 'a b'"
    assert parse({"INTEGRATION_MASTER_KEY": "s3cret"}, {}, {}).shown()["master_key"] == "***"
