"""A secret shows itself to nobody who does not ask for it."""

import copy
import dataclasses
import json
import logging
import pickle
import traceback
from collections.abc import Callable

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.secret import Secret

PLANTED = "planted-7c1f9be2"


@dataclasses.dataclass(frozen=True)
class Options:
    """Something that has a secret among its fields."""

    token: Secret


SHOWS: dict[str, Callable[[Secret], str]] = {
    "repr": repr,
    "str": str,
    "format": "{}".format,
    "a format with a width": "{:>40}".format,
    "a format with a conversion": "{!r:>9}".format,
    "an f-string": lambda secret: f"{secret}",
    "an interpolation": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - as logging does
    "a list of dicts": lambda secret: repr([secret, {"token": secret}]),
    "a dataclass": lambda secret: repr(Options(secret)),
    "a dataclass as a dict": lambda secret: str(dataclasses.asdict(Options(secret))),
    "an error": lambda secret: str(ValueError(secret)),
    "json with a default": lambda secret: json.dumps([secret], default=str),
    "orjson with a default": lambda secret: orjson.dumps([secret], default=str).decode(),
}
ENCODINGS: dict[str, Callable[[object], object]] = {
    "json": json.dumps,
    "orjson": orjson.dumps,
    "msgspec's JSON": msgspec.json.encode,
    "MessagePack": msgspec.msgpack.encode,
    "builtins": msgspec.to_builtins,
    "pickle": pickle.dumps,
    "the oldest pickle": lambda value: pickle.dumps(value, 0),
    "pickle 2": lambda value: pickle.dumps(value, 2),
}


@pytest.mark.parametrize("show", SHOWS.values(), ids=SHOWS)
def test_whatever_prints_it_shows_a_mask(show: Callable[[Secret], str]) -> None:
    """No way to turn a secret into text gives it away."""
    shown = show(Secret(PLANTED))

    assert "***" in shown
    assert PLANTED not in shown


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_nothing_encodes_it(encode: Callable[[object], object]) -> None:
    """JSON, MessagePack and pickle refuse a secret, alone and inside of something else."""
    for value in (Secret(PLANTED), [Secret(PLANTED)], Options(Secret(PLANTED))):
        with pytest.raises(TypeError) as caught:
            encode(value)
        assert PLANTED not in str(caught.value)


def test_a_log_line_and_a_traceback_with_locals_show_a_mask(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A secret that is logged, or lies in a frame that is dumped, stays hidden."""

    def fails(token: Secret) -> None:
        raise ValueError(token)

    logging.getLogger("test").warning("token %s of %r", Secret(PLANTED), [Secret(PLANTED)])
    with pytest.raises(ValueError, match=r"\*\*\*") as caught:
        fails(Secret(PLANTED))

    dump = "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    )
    assert "token ***" in caplog.text
    assert "token = ***" in dump
    assert PLANTED not in dump
    assert PLANTED not in caplog.text


def test_it_has_no_hash_and_cannot_be_changed() -> None:
    """A secret is no key of a dict, and nobody puts another text into it."""
    secret = Secret(PLANTED)

    with pytest.raises(TypeError):
        hash(secret)
    with pytest.raises(AttributeError):
        setattr(secret, "_text", "other")  # noqa: B010 - the plain form is refused before it runs
    with pytest.raises(AttributeError):
        delattr(secret, "_text")
    assert secret.reveal() == PLANTED


def test_a_copy_is_the_secret_itself() -> None:
    """Copying does not multiply a secret."""
    secret = Secret(PLANTED)

    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_it_equals_no_plain_text() -> None:
    """A secret compares with secrets only."""
    assert Secret(PLANTED) != PLANTED
    assert Secret(PLANTED) != PLANTED.encode()


def test_an_empty_one_is_false() -> None:
    """Whether there is a secret can be asked like of a text."""
    assert not Secret("")
    assert Secret("0")


@given(st.text(st.characters(codec=None)), st.text(st.characters(codec=None)))
def test_two_are_equal_when_their_texts_are(one: str, other: str) -> None:
    """Comparison answers as for texts, whatever characters they have."""
    assert (Secret(one) == Secret(other)) is (one == other)
    assert Secret(one) == Secret(one)
    assert Secret(one).reveal() == one
