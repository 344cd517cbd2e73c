"""Sealing bytes to the place where they belong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.stores.local.sealing import Place, SealBroken, new_key, seal, unseal

KEYS = st.binary(min_size=32, max_size=32)
PLACES: st.SearchStrategy[Place] = st.lists(st.text(max_size=3) | st.integers(), max_size=4).map(
    tuple
)


@given(key=KEYS, plain=st.binary(max_size=200), place=PLACES)
def test_round_trip(key: bytes, plain: bytes, place: Place) -> None:
    """What was sealed opens with the same key at the same place."""
    assert unseal(key, seal(key, plain, place), place) == plain


@given(key=KEYS, sealed_for=PLACES, opened_at=PLACES)
def test_other_place(key: bytes, sealed_for: Place, opened_at: Place) -> None:
    """What was sealed for one place opens at no other."""
    sealed = seal(key, b"plain", sealed_for)
    if sealed_for != opened_at:
        with pytest.raises(SealBroken):
            unseal(key, sealed, opened_at)


@given(data=st.data())
def test_changed(data: st.DataObject) -> None:
    """One changed bit anywhere, or a missing end, and it does not open."""
    key = new_key()
    sealed = seal(key, b"plain", ("record", 1))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    changed = bytearray(sealed)
    changed[bit // 8] ^= 1 << bit % 8
    shortened = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    for broken in (bytes(changed), shortened):
        with pytest.raises(SealBroken):
            unseal(key, broken, ("record", 1))


def test_other_key() -> None:
    """Another key does not open it."""
    with pytest.raises(SealBroken):
        unseal(new_key(), seal(new_key(), b"plain", ()), ())


def test_nonces_differ() -> None:
    """The same bytes sealed twice look different."""
    key = new_key()
    assert len({seal(key, b"plain", ())[:12] for _ in range(100)}) == 100
