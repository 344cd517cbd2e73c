"""What a grant is, when it is fresh, and how it is kept."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.grants import (
    DELETED,
    Claim,
    Freshness,
    Grant,
    GrantState,
    doubted,
    due_at,
    ended,
    freshness,
    from_record,
    renewed,
    to_record,
    waits_for,
)
from credentials.oauth.answers import TokenAnswer
from credentials.records import decode, encode

texts = st.text(st.characters(codec="utf-8"), max_size=20)
times = st.floats(0, 4e9)
grants = st.builds(
    Grant,
    generation=st.integers(0, 10**9),
    access_token=texts,
    refresh_token=texts,
    token_type=texts,
    scope=texts,
    received_at=times,
    expires_at=st.none() | times,
    refresh_expires_at=st.none() | times,
    extras=st.dictionaries(texts, texts | st.integers() | st.none(), max_size=3),
    attempt=texts,
    margin=st.none() | times,
    claim=st.none() | st.builds(Claim, texts, texts),
    doubt=texts,
    state=st.sampled_from(GrantState),
    cause=texts,
)


@settings(deadline=None)
@given(grants)
def test_a_grant_survives_every_store(grant: Grant) -> None:
    """What is written is read again, and written alike: a write can be recognized."""
    record = decode(encode(to_record(grant)))
    assert from_record(record) == grant
    assert dict(record.fields) == dict(to_record(grant).fields)


def test_records_of_other_releases_are_read() -> None:
    """A record with fields unknown here, or without some that are known, is read."""
    record = decode(json.dumps({"fields": {"generation": 3, "later": True}}).encode())
    assert from_record(record) == Grant(generation=3)


def test_a_grant_is_never_printed() -> None:
    """No text of a grant shows its tokens."""
    assert "s3cret" not in f"{Grant(access_token='s3cret-a', refresh_token='s3cret-r')!r}"


@pytest.mark.parametrize(
    ("changes", "now", "expected"),
    [
        ({}, 999, Freshness.EXPIRED),  # no token at all
        ({"access_token": "a"}, 9e9, Freshness.FRESH),
        ({"access_token": "a", "expires_at": 1000.0}, 799, Freshness.FRESH),
        ({"access_token": "a", "expires_at": 1000.0}, 800, Freshness.DUE),
        ({"access_token": "a", "expires_at": 1000.0}, 1000, Freshness.EXPIRED),
        ({"access_token": "a", "expires_at": 200.0}, 139, Freshness.FRESH),
        ({"access_token": "a", "expires_at": 200.0}, 140, Freshness.DUE),
        (
            {"access_token": "a", "expires_at": 60.0},
            29,
            Freshness.FRESH,
        ),  # not before half its life
        ({"access_token": "a", "expires_at": 60.0}, 30, Freshness.DUE),
        ({"access_token": "a", "expires_at": 1000.0, "margin": 300.0}, 700, Freshness.DUE),
        ({"access_token": "a", "expires_at": 1000.0, "margin": 5000.0}, 499, Freshness.FRESH),
        ({"access_token": "a", "expires_at": 1000.0, "margin": 0.0}, 999, Freshness.FRESH),
    ],
)
def test_freshness(changes: dict[str, Any], now: float, expected: Freshness) -> None:
    """A token is fresh, then due for the last fifth of its life or its margin, then expired."""
    assert freshness(Grant(received_at=0.0, **changes), now) is expected


@settings(deadline=None)
@given(times, st.floats(0, 1e8), st.none() | st.floats(0, 1e8))
def test_due_within_its_life(received_at: float, lifetime: float, margin: float | None) -> None:
    """Whatever the margin, a token is due in the second half of its life."""
    end = received_at + lifetime
    due = due_at(Grant(received_at=received_at, expires_at=end, margin=margin))
    assert received_at + lifetime * 0.49 - 1e-3 <= due <= end


@pytest.mark.parametrize(
    ("seconds", "end"), [(None, None), (3600.0, 4570.0), (40.0, 1020.0), (0.0, 1000.0)]
)
def test_skew_is_taken_off(seconds: float | None, end: float | None) -> None:
    """For us a token ends thirty seconds earlier, and a short one after half its life."""
    answer = TokenAnswer("a", expires_in=seconds)
    assert renewed(Grant(), answer, 1000.0, "x", None).expires_at == end


@pytest.mark.parametrize("refresh_token", [None, ""])
def test_the_old_refresh_token_stays(refresh_token: str | None) -> None:
    """Without a new refresh token the old one stays, and with it its end and the scope."""
    before = Grant(7, "a-1", "r-1", scope="read", refresh_expires_at=9000.0, doubt="d", cause="c")
    after = renewed(before, TokenAnswer("a-2", refresh_token), 5.0, "x", 60.0)
    assert (after.generation, after.access_token, after.refresh_token) == (8, "a-2", "r-1")
    assert (after.scope, after.refresh_expires_at) == ("read", 9000.0)
    assert (after.doubt, after.cause, after.claim, after.margin) == ("", "", None, 60.0)


def test_doubts_add_up() -> None:
    """Every claim in doubt is waited for, up to eight of them, whatever has ended the grant."""
    grant = Grant(claim=Claim("o", "c-0"))
    for number in range(10):
        grant = doubted(grant, f"c-{number}")
    assert [waits_for(grant, f"c-{number}") for number in range(10)] == [False] * 2 + [True] * 8
    assert waits_for(ended(grant, "in_doubt"), "c-9")
    assert not waits_for(ended(grant, DELETED), "c-9")
    assert waits_for(Grant(claim=Claim("o", "c-1")), "c-1")
    assert not waits_for(Grant(), "")
