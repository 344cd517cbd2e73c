"""Logs as an operator and a machine read them."""

import json
import logging
from collections.abc import Iterator

import pytest

from services.runtime import telemetry

log = logging.getLogger("integration.test")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave the root logger as it was."""
    root = logging.getLogger()
    before = root.handlers, root.level
    yield
    root.handlers, root.level = before


def test_json_holds_an_event_with_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    """A JSON line tells when, how bad, who, what, and everything given as extra."""
    telemetry.configure("info", "json")
    log.info("call failed: %s", "A\nB", extra={"method": "/a/B", "requestId": "r1"})
    [line] = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "level": "info",
        "logger": "integration.test",
        "event": "call failed: A\nB",
        "method": "/a/B",
        "requestId": "r1",
    }


def test_json_keeps_a_traceback_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What went wrong stands in the one line of its event."""
    telemetry.configure("info", "auto")
    log.error("broke", exc_info=ValueError("why"))
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["exception"] == "ValueError: why"


def test_text_is_for_reading(capsys: pytest.CaptureFixture[str]) -> None:
    """A text line has the same, and the traceback is below it."""
    telemetry.configure("info", "text")
    log.warning("broke %d times", 2, exc_info=ValueError("why"), extra={"requestId": "a\nb"})
    line, traceback = capsys.readouterr().err.splitlines()
    _, level, rest = line.split(maxsplit=2)
    assert (level, rest) == ("warning", 'broke 2 times [integration.test] requestId="a\\nb"')
    assert traceback == "ValueError: why"


def test_less_than_the_level_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing below the level that was set is written."""
    telemetry.configure("error", "json")
    log.warning("not so bad")
    assert not capsys.readouterr().err
