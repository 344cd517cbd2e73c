"""Key files of a data directory."""

import stat
from pathlib import Path

import pytest

from services.keys import load_keys, make_data_dir
from services.settings import InvalidSettings, Settings, parse


def settings_in(directory: Path, **more: object) -> Settings:
    """Answer settings with this data directory."""
    return parse({}, {}, {"data_dir": str(directory / "data"), **more})


def test_the_first_start_makes_keys(tmp_path: Path) -> None:
    """The first start makes the keys for their owner alone; the next one finds the same."""
    settings = settings_in(tmp_path)
    make_data_dir(settings)
    first, second = load_keys(settings), load_keys(settings)
    assert first.admin_is_new
    assert not second.admin_is_new
    assert (first.admin, first.service) == (second.admin, second.service)
    assert first.admin != first.service
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700
    for name in ("admin-key", "service-key"):
        assert stat.S_IMODE((settings.data_dir / name).stat().st_mode) == 0o600


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    """A key file that a setting names is never made up, and never taken when it is empty."""
    named = tmp_path / "shared-key"
    settings = settings_in(tmp_path, admin_key_file=str(named))
    make_data_dir(settings)
    with pytest.raises(InvalidSettings, match="cannot be read"):
        load_keys(settings)
    named.write_text("\n")
    with pytest.raises(InvalidSettings, match="is empty"):
        load_keys(settings)
    named.write_text("is_live_shared\n")
    assert load_keys(settings).admin == "is_live_shared"


def test_the_two_keys_differ(tmp_path: Path) -> None:
    """A key that were both an admin's and a service's would open every tenant to the admin."""
    settings = settings_in(tmp_path, admin_key="is_live_same", service_key="is_live_same")
    make_data_dir(settings)
    with pytest.raises(InvalidSettings, match="must differ"):
        load_keys(settings)


def test_an_open_directory_is_closed(tmp_path: Path) -> None:
    """A data directory that others could read is closed to them."""
    settings = settings_in(tmp_path)
    settings.data_dir.mkdir(mode=0o755)
    make_data_dir(settings)
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700


def test_keys_are_not_printed(tmp_path: Path) -> None:
    """The object that holds the keys shows none of them."""
    settings = settings_in(tmp_path, admin_key="is_live_planted")
    make_data_dir(settings)
    assert "planted" not in repr(load_keys(settings))


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A data directory below a file is named as the problem."""
    (tmp_path / "data").write_text("")
    with pytest.raises(InvalidSettings, match="data_dir"):
        make_data_dir(settings_in(tmp_path / "data"))
