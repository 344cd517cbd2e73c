"""Errors leave the process with the live secrets in them masked."""

from typing import Any

import orjson
import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from credentials.live_secrets import LiveSecrets
from executor.errors import UpstreamFailed
from registry.errors import InstanceNotFound
from services.runtime import trimming
from services.runtime.call import Call
from services.runtime.dispatch import CallFailed
from services.runtime.errors import from_status, to_status
from services.runtime.interceptors import errors
from services.runtime.masking import masked

PLANTED = "planted+key/4f6c=1b9e77d0"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def live() -> LiveSecrets:
    """Answer the secrets in use."""
    secrets = LiveSecrets()
    secrets.add(PLANTED, "1234567890")
    return secrets


@given(json_values)
def test_what_holds_no_secret_is_the_same(value: Any) -> None:
    """Masking leaves every JSON value as it is that has no secret in it."""
    assert masked(value, live().mask) == value


def test_secrets_are_masked_wherever_they_stand() -> None:
    """Names, texts and numbers are masked, at any depth."""
    value = {PLANTED: [f"a {PLANTED} b", {"deep": (1234567890, 12345678901, True)}]}

    assert masked(value, live().mask) == {
        "***": ["a *** b", {"deep": ["***", "***1", True]}],
    }


def test_an_error_goes_over_the_wire_masked() -> None:
    """Neither message nor details of an error show a live secret, and its class stays."""
    error = UpstreamFailed(f"it said {PLANTED}", body={"echo": [PLANTED]}, status=500)

    arrived = from_status(to_status(error, "r1", live().mask))

    assert isinstance(arrived, UpstreamFailed)
    assert str(arrived) == "it said ***"
    assert arrived.details == {"body": {"echo": ["***"]}, "status": 500}


def test_a_secret_is_masked_before_a_text_is_cut() -> None:
    """Where a message is cut, no half of a secret is left."""
    text = "x" * (trimming.MESSAGE_BYTES - 10) + PLANTED

    status = to_status(InstanceNotFound(text), mask=live().mask)

    assert status.message.endswith("x***")


async def test_every_door_masks() -> None:
    """The interceptor around all rpcs masks what a servicer raises."""

    async def endpoint(_: Message, __: Call) -> Message:
        raise InstanceNotFound(f"no {PLANTED}", instanceId=PLANTED)

    with pytest.raises(CallFailed) as caught:
        await errors(endpoint, live().mask)(Message(), Call("/a/B"))

    status = caught.value.status
    assert status.message == "no ***"
    assert PLANTED.encode() not in status.SerializeToString()
    assert orjson.dumps(PLANTED)[1:-1] not in status.SerializeToString()
