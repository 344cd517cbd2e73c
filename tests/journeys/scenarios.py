"""The specification's scenarios, told once for every door."""

import json
from pathlib import Path

import pytest

from examples.crm import Crm
from tests.journeys.doors import Door, Refused

DEFINITIONS = Path("examples/definitions")
CONTACT = {
    "firstName": "Jane",
    "lastName": "Smith",
    "email": "jane.smith@example.com",
    "phone": "+1-555-123-4567",
    "company": "Acme Inc.",
    "title": "Product Manager",
}
TRANSFORMED = {
    "contact": {
        "first_name": "Jane",
        "last_name": "Smith",
        "email_address": "jane.smith@example.com",
        "phone_number": "+1-555-123-4567",
        "organization": "Acme Inc.",
        "job_title": "Product Manager",
        "custom_fields": {"source": "integration_service"},
    }
}


def definition(name: str) -> bytes:
    """Answer a definition of the specification, as written."""
    return (DEFINITIONS / f"{name}.json").read_bytes()


async def create_contact(door: Door, crm: Crm, upstream: str) -> None:
    """The CRM receives the transformed contact and the key; the caller gets its own shape."""
    registered = await door.register(definition("crm"))
    assert registered["status"] == "PUBLISHED"
    assert registered["id"].startswith("int_def_")
    instance = await door.connect(registered["id"], {"baseUrl": upstream, "apiKey": crm.api_key})
    assert instance["status"] == "CONNECTED"
    assert instance["config"] == {"baseUrl": upstream}

    crm.received.clear()
    result = await door.execute(instance["id"], "createContact", json.dumps(CONTACT).encode())

    assert result.status == "SUCCESS"
    assert result.value == {
        "id": "cont_12345",
        "fullName": "Jane Smith",
        "email": "jane.smith@example.com",
        "createdAt": "2023-09-15T10:30:00Z",
    }
    assert list(result.value) == ["id", "fullName", "email", "createdAt"]
    [request] = crm.received
    assert (request.method, request.path) == ("POST", "/createContact")
    assert request.body == json.dumps(TRANSFORMED, separators=(",", ":")).encode()
    assert request.headers["Authorization"] == f"Bearer {crm.api_key}"
    assert request.headers["Content-Type"] == "application/json"


async def list_users(door: Door, crm: Crm, upstream: str) -> None:
    """A method without binding is a GET with its parameters, defaults included, in the query."""
    registered = await door.register(definition("users"))
    assert any("convention" in found["message"] for found in registered["warnings"])
    instance = await door.connect(registered["id"], {"baseUrl": upstream, "apiKey": crm.api_key})

    crm.received.clear()
    result = await door.execute(instance["id"], "getUsers", b'{"limit": 5}')

    assert result.value["pagination"] == {"total": 23, "pages": 5, "page": 1, "limit": 5}
    assert len(result.value["users"]) == 5
    [request] = crm.received
    assert (request.method, request.path) == ("GET", "/getUsers")
    assert sorted(request.query.split("&")) == ["limit=5", "page=1"]
    assert request.body == b""


async def calendar_waits_for_consent(door: Door) -> None:
    """An OAuth2 instance waits for authentication and says so when it is executed."""
    registered = await door.register(definition("google_calendar"))
    config = {
        "clientId": "your-google-client-id.apps.googleusercontent.com",
        "clientSecret": "your-google-client-secret",
        "redirectUri": "https://your-app.example.com/oauth/callback",
        "scope": "https://www.googleapis.com/auth/calendar.readonly",
    }
    instance = await door.connect(registered["id"], config)
    assert instance["status"] == "PENDING_AUTHENTICATION"
    assert instance["secretFields"] == ["clientSecret"]

    times = b'{"timeMin":"2023-09-01T00:00:00Z","timeMax":"2023-09-30T23:59:59Z"}'
    with pytest.raises(Refused) as refused:
        await door.execute(instance["id"], "listEvents", times)
    assert refused.value.code == "NOT_CONNECTED"
    assert refused.value.details["status"] == "PENDING_AUTHENTICATION"
    assert not refused.value.retryable


async def stripe_waits_for_verification(door: Door) -> None:
    """A webhook instance can be made; its method says that verification is not there yet."""
    registered = await door.register(definition("stripe_webhook"))
    instance = await door.connect(registered["id"], {"webhookSecret": "whsec_test"})
    assert instance["secretFields"] == ["webhookSecret"]

    event = b'{"event":{"id":"evt_1","type":"payment_intent.succeeded","data":{}}}'
    with pytest.raises(Refused) as refused:
        await door.execute(instance["id"], "processPaymentEvent", event)
    assert refused.value.code == "CONFIGURATION_ERROR"
    assert "verification" in refused.value.message
