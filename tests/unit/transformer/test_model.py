"""The values that go in and come out."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.model import Call, Limits, Script


@given(st.text())
def test_digest_is_the_sources(source: str):
    """A script's digest is the SHA-256 of its source, whatever its name."""
    expected = hashlib.sha256(source.encode()).hexdigest()
    assert Script(source).digest == Script(source, "other.js").digest == expected


def test_lone_surrogates_have_a_digest():
    """A source that is no valid Unicode still has a digest: it fails when it compiles."""
    assert len(Script("\ud800").digest) == 64


def test_scripts_compare_by_what_was_given():
    """Two scripts are equal when source and name are."""
    assert Script("a") == Script("a")
    assert Script("a") != Script("a", "b.js")


def test_default_limits():
    """Without limits of their own, calls get these."""
    limits = Limits()
    assert limits.ticks == 20_000_000
    assert limits.memory_bytes == 32 * 1024 * 1024
    assert limits.input_bytes == limits.output_bytes == 5 * 1024 * 1024
    assert limits.source_bytes == 256 * 1024
    assert limits.console_bytes == 64 * 1024


def test_a_call_names_clock_and_seed():
    """Clock and seed have no default: a run that cannot be repeated must be wanted."""
    assert Call(b"1", now_ms=1, seed=2).context == b"{}"
    with pytest.raises(TypeError):
        Call(b"1")  # type: ignore[call-arg]
