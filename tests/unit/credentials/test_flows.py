"""Authorizations under way, as they are kept."""

from hypothesis import given, settings
from hypothesis import strategies as st

from credentials import flows
from credentials.flows import Flow
from credentials.model import SecretRecord

FLOW = Flow("user-1", "https://app.example.com/cb", "s3cret-verifier", 600.0)


def test_states_are_unguessable() -> None:
    """States are different, and have 256 bits."""
    states = {flows.new_state() for _ in range(1000)}
    assert len(states) == 1000
    assert {len(state) for state in states} == {43}


@settings(deadline=None)
@given(st.text())
def test_a_state_is_kept_as_its_hash(state: str) -> None:
    """Any text can be asked for, and none is kept."""
    record = flows.begun(None, "the-state", FLOW, 0.0)
    assert "the-state" not in str(dict(record.fields))
    assert flows.find(record, state, 0.0) == (FLOW if state == "the-state" else None)


def test_a_flow_ends() -> None:
    """A flow is found until its time is over, and the next one that begins clears it away."""
    record = flows.begun(None, "first", FLOW, 0.0)
    assert flows.find(record, "first", 599.9) == FLOW
    assert flows.find(record, "first", 600.0) is None
    assert list(flows.begun(record, "next", FLOW, 600.0).fields) == [flows.place("next")]


def test_a_taken_flow_is_used_up() -> None:
    """A taken flow is found no more, has no secret left, and is another record for every taker."""
    record = flows.begun(None, "first", FLOW, 0.0)
    taken = [flows.taken(record, "first", FLOW, taker) for taker in ("one", "two")]
    assert flows.find(taken[0], "first", 0.0) is None
    assert "s3cret-verifier" not in str(dict(taken[0].fields))
    assert taken[0] != taken[1]
    assert flows.place("first") not in flows.begun(taken[0], "next", FLOW, 0.0).fields


def test_the_oldest_give_way() -> None:
    """Twenty are kept, the newest."""
    record: SecretRecord | None = None
    for number in range(25):
        flow = Flow("user-1", "", "", 600.0 + number)
        record = flows.begun(record, str(number), flow, 0.0)
    found = [flows.find(record, str(number), 0.0) is not None for number in range(25)]
    assert found == [False] * 5 + [True] * 20


def test_a_flow_is_never_printed() -> None:
    """No text of a flow shows its verifier."""
    assert "s3cret" not in repr(FLOW)
