"""What each answer of a Vault means, by status and text as servers were seen to write them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.stores.vault.answers import Meaning, answered

CAS = "check-and-set parameter did not match the current version"
DENIED = "1 error occurred:\n\t* permission denied\n\n"
DELETED = {"data": {"data": None, "metadata": {"version": 3, "destroyed": False}}}


@pytest.mark.parametrize(
    ("status", "errors", "meaning"),
    [
        (400, [CAS], Meaning.LOST_RACE),
        (400, ["check-and-set parameter required for this call"], Meaning.CAS_MISSING),
        (400, ["Upgrading from non-versioned to versioned data."], Meaning.PASSING),
        (400, ["invalid role or secret ID"], Meaning.REFUSED),
        (400, ["wrapping token is not valid or does not exist"], Meaning.REFUSED),
        (401, [], Meaning.FORBIDDEN),
        (403, [DENIED], Meaning.FORBIDDEN),
        (403, ["permission denied"], Meaning.FORBIDDEN),
        (404, [], Meaning.NOTHING_THERE),
        (404, ["namespace not found"], Meaning.NO_SUCH_PLACE),
        (404, ["no handler for route 'kv/data/x'"], Meaning.NO_SUCH_PLACE),
        (405, ["unsupported operation"], Meaning.REFUSED),
        (412, ["required index state not present"], Meaning.PASSING),
        (413, [], Meaning.TOO_LARGE),
        (429, ['request path "kv/data/x": rate limit quota exceeded'], Meaning.OVER_QUOTA),
        (473, [], Meaning.PASSING),
        (500, ["local node not active but active cluster node not found"], Meaning.PASSING),
        (500, ["put failed due to value being too large"], Meaning.TOO_LARGE),
        (500, ["leadership lost while committing log"], Meaning.FAILED),
        (502, [], Meaning.FAILED),
        (503, ["Vault is sealed"], Meaning.SEALED),
        (503, ["OpenBao is sealed"], Meaning.SEALED),
        (503, ["no server is available"], Meaning.FAILED),
        (307, [], Meaning.FAILED),
    ],
)
def test_the_table(status: int, errors: list[str], meaning: Meaning) -> None:
    """Status and text together tell what is to be done."""
    answer = answered(status, json.dumps({"errors": errors}).encode())
    assert (answer.status, answer.meaning) == (status, meaning)


def test_a_deleted_secret() -> None:
    """A deletion is a 404 with metadata, which the caller may read."""
    answer = answered(404, json.dumps(DELETED).encode())
    assert answer.meaning is Meaning.NOTHING_THERE
    assert answer.body == DELETED


def test_a_404_of_somebody_else() -> None:
    """The page of a proxy does not pass for an absent secret."""
    assert answered(404, b"<html>Not Found</html>").meaning is Meaning.NO_SUCH_PLACE


@given(st.integers(300, 599), st.binary())
def test_any_answer(status: int, data: bytes) -> None:
    """Whatever is answered has a meaning, and its text is short."""
    answer = answered(status, data)
    assert isinstance(answer.meaning, Meaning)
    assert len(answer.text) <= 200


@given(st.integers(300, 599), st.recursive(st.none() | st.text(), st.lists, max_leaves=5))
def test_any_errors(status: int, errors: object) -> None:
    """So it is with errors of any form."""
    answer = answered(status, json.dumps({"errors": errors}).encode())
    assert isinstance(answer.meaning, Meaning)
    assert len(answer.text) <= 200
