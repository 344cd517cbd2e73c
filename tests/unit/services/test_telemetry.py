"""Logs as an operator and a machine read them."""

import json
import logging
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from credentials.live_secrets import LiveSecrets
from credentials.secret import Secret
from services.runtime import telemetry

PLANTED = "planted+key/4f6c=1b9e77d0"
FORMS = {
    "plain": PLANTED,
    "base64": b64encode(PLANTED.encode()).decode(),
    "base64url": urlsafe_b64encode(PLANTED.encode()).decode(),
    "Basic": "Basic " + b64encode(f"user:{PLANTED}".encode()).decode(),
    "in a URL": quote(PLANTED, safe=""),
    "in a form": urlencode({"client_secret": PLANTED}),
    "JSON": json.dumps({"token": PLANTED, "note": "\n"}),
    "hexadecimal": PLANTED.encode().hex(),
}
TRACES = (
    PLANTED,
    b64encode(PLANTED.encode()).decode()[:12],
    b64encode(f"user:{PLANTED}".encode()).decode()[8:20],
    quote(PLANTED, safe=""),
    PLANTED.encode().hex(),
)
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


both_styles = pytest.mark.parametrize("style", ["json", "text"])


def plant(style: str) -> None:
    """Log in a style, with a live secret that is a text and one that is a number."""
    secrets = LiveSecrets()
    secrets.add(PLANTED, "1234567890")
    telemetry.configure("debug", style, secrets)


@both_styles
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_live_secret_gets_into_no_line(
    form: str, style: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever way a secret takes into a record, and in whatever form, the line has a mask."""
    plant(style)
    log.info("refused: " + form)  # noqa: G003 - as some libraries do it
    log.info("refused: %s %r", form, [form])
    log.info("refused", extra={"url": f"https://api.test/?q={form}"})
    log.info("refused", extra={"facts": {form: [form, (form, {"deep": form})]}})
    log.info("refused", extra={"error": ValueError(form)})
    log.info("refused", exc_info=_error(form))

    written = capsys.readouterr().err
    assert written.count("refused") == 6
    assert written.count("***") >= 6
    assert not [trace for trace in TRACES if trace in written]


@both_styles
def test_the_rest_of_a_line_stays_readable(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A number that is a secret is masked, others stay; so does what surrounds a secret."""
    plant(style)
    facts = {"pin": 1234567890, "tries": 3, "isLast": True, "wait": 0.5, "none": None}
    log.info("token=%s was refused", PLANTED, extra=facts)

    line = capsys.readouterr().err
    assert "token=*** was refused" in line
    assert "1234567890" not in line
    if line.startswith("{"):
        event = json.loads(line)
        assert {name: event[name] for name in facts} == {**facts, "pin": "***"}


@both_styles
def test_a_traceback_is_masked_down_to_its_cause(
    style: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Errors behind errors, and their notes, are masked as well."""
    plant(style)
    log.error("broke", exc_info=_error(PLANTED))

    written = capsys.readouterr().err
    assert "RuntimeError: outer ***" in written
    assert "ValueError: inner ***" in written
    assert "note ***" in written
    assert PLANTED not in written


def test_a_secret_that_nobody_told_of_is_hidden_by_its_type(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A `Secret` shows itself neither as an argument nor as an extra."""
    telemetry.configure("info", "json")
    facts: dict[str, Any] = {"token": Secret(PLANTED), "all": [Secret(PLANTED)]}
    log.info("has %s", Secret(PLANTED), extra=facts)

    event = json.loads(capsys.readouterr().err)
    assert (event["event"], event["token"], event["all"]) == ("has ***", "***", ["***"])


def _error(text: str) -> Exception:
    try:
        _fail(text)
    except RuntimeError as error:
        return error
    raise AssertionError


def _fail(text: str) -> None:
    try:
        raise ValueError(f"inner {text}")  # noqa: TRY301 - a cause is what this is about
    except ValueError as error:
        error.add_note(f"note {text}")
        raise RuntimeError(f"outer {text}") from error
