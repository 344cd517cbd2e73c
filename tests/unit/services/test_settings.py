"""Settings from their three sources."""

from pathlib import Path

import pytest

from services.settings import InvalidSettings, Settings, load, parse


def test_defaults_are_embedded() -> None:
    """Without any setting the service is for this machine alone."""
    settings = parse({}, {}, {})
    assert settings == Settings()
    assert (settings.rest, settings.grpc) == ("127.0.0.1:8080", "127.0.0.1:50051")
    assert settings.egress_allow == ()


def test_a_flag_wins_over_a_variable_over_the_file() -> None:
    """The nearer a source is to the command, the more it says."""
    file = {"rest": "127.0.0.1:1", "grpc": "127.0.0.1:1", "log_level": "debug"}
    environ = {"INTEGRATION_REST": "127.0.0.1:2", "INTEGRATION_GRPC": "127.0.0.1:2", "HOME": "/"}
    settings = parse(environ, file, {"rest": "127.0.0.1:3"})
    assert (settings.rest, settings.grpc, settings.log_level) == (
        "127.0.0.1:3",
        "127.0.0.1:2",
        "debug",
    )


def test_every_problem_is_named_at_once() -> None:
    """What is wrong comes all together, each with the name it was given under."""
    environ = {
        "INTEGRATION_REST": "8080",
        "INTEGRATION_DATADIR": "x",
        "INTEGRATION_MAX_REQUEST_MB": "-3",
        "INTEGRATION_EGRESS_ALLOW": "10.0.0.0/8,nonsense",
        "INTEGRATION_REFLECTION": "perhaps",
        "INTEGRATION_DRAIN_SECONDS": "soon",
    }
    with pytest.raises(InvalidSettings) as refused:
        parse(environ, {"unknown": 1}, {"log-level": "loud"})
    text = str(refused.value)
    for word in ("DATADIR: no such setting; did you mean data_dir?", "MAX_REQUEST_MB", "nonsense"):
        assert word in text
    for word in ("REFLECTION", "DRAIN_SECONDS", "unknown", "--log-level"):
        assert word in text
    with pytest.raises(InvalidSettings, match="rest: must be HOST:PORT"):
        parse({"INTEGRATION_REST": "8080"}, {}, {})
    with pytest.raises(InvalidSettings, match="log_level: must be one of"):
        parse({"INTEGRATION_LOG_LEVEL": "loud"}, {}, {})


def test_a_database_that_is_not_spoken_to() -> None:
    """An address of another kind of database, or without its driver, is named at once."""
    for url in ("postgresql://db/registry", "mysql+pymysql://db/registry", "nonsense"):
        with pytest.raises(InvalidSettings, match=r"postgresql\+asyncpg://"):
            parse({"INTEGRATION_DATABASE_URL": url}, {}, {})


def test_networks_are_parsed() -> None:
    """Private networks come as a list, separated by commas or as TOML writes it."""
    text = parse({"INTEGRATION_EGRESS_ALLOW": "127.0.0.0/8, ::1/128"}, {}, {})
    listed = parse({}, {"egress_allow": ["127.0.0.0/8", "::1/128"]}, {})
    assert [str(network) for network in text.egress_allow] == ["127.0.0.0/8", "::1/128"]
    assert text == listed


def test_secrets_are_not_shown() -> None:
    """The settings that are printed hold neither keys nor a database's password."""
    settings = parse(
        {
            "INTEGRATION_ADMIN_KEY": "is_live_planted",
            "INTEGRATION_DATABASE_URL": "postgresql+asyncpg://me:planted@db/registry?key=planted",
        },
        {},
        {},
    )
    shown = settings.shown()
    assert "planted" not in str(shown)
    assert shown["admin_key"] == "***"
    assert shown["database_url"] == "postgresql+asyncpg://me:***@db/registry?***"


def test_a_file_is_read(tmp_path: Path) -> None:
    """A TOML file sets what no variable does; one that cannot be used is named."""
    file = tmp_path / "settings.toml"
    file.write_text('log_level = "error"\n')
    assert load({}, file).log_level == "error"
    file.write_text("log_level =")
    with pytest.raises(InvalidSettings, match="is no TOML"):
        load({}, file)
    with pytest.raises(InvalidSettings, match="cannot be read"):
        load({}, tmp_path / "absent.toml")
