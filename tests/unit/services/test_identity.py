"""API keys."""

import re

import pytest

from services.runtime.call import Caller
from services.runtime.identity import TENANT_METADATA, KeyRing, Unauthenticated, new_key

ADMIN = Caller(tenant="default", subject="admin")
SERVICE = Caller(tenant="default", subject="service", is_service=True)


@pytest.fixture
def ring() -> KeyRing:
    """A ring with an admin's key and a service's."""
    return KeyRing({"admin-key": ADMIN, "service-key": SERVICE})


def test_keys_can_be_recognised() -> None:
    """A key has the prefix that scanners look for, its id, 43 random characters and a checksum."""
    key = new_key("admin")
    assert re.fullmatch(r"is_live_admin_[0-9A-Za-z]{43}_[0-9a-f]{8}", key)
    assert key != new_key("admin")


def test_a_key_tells_who_calls(ring: KeyRing) -> None:
    """The word before the key may be in any case of letters."""
    assert ring.authenticate({"authorization": "Bearer admin-key"}) == ADMIN
    assert ring.authenticate({"authorization": "bearer admin-key"}) == ADMIN


@pytest.mark.parametrize("value", [None, "", "admin-key", "Basic admin-key", "Bearer ", "Bearer x"])
def test_nobody_else_gets_in(ring: KeyRing, value: str | None) -> None:
    """A missing, differently presented or unknown key is refused."""
    with pytest.raises(Unauthenticated):
        ring.authenticate({} if value is None else {"authorization": value})


def test_a_service_speaks_for_a_tenant(ring: KeyRing) -> None:
    """Only our own services may say for whom they call."""
    named = {TENANT_METADATA: "acme"}
    assert ring.authenticate({"authorization": "Bearer service-key", **named}).tenant == "acme"
    assert ring.authenticate({"authorization": "Bearer admin-key", **named}).tenant == "default"
