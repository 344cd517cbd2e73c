"""The specification's CRM example, against a real upstream on loopback."""

from typing import Any

import orjson
from aiohttp import web

from credentials.model import Authorization
from executor.sender import AiohttpSender
from tests.fakes import FixedAuthorizer, PythonTransforms
from tests.unit.executor.world import Start, World, method

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "firstName": {"type": "string"},
        "lastName": {"type": "string"},
        "email": {"type": "string", "format": "email"},
        "phone": {"type": "string"},
        "company": {"type": "string"},
        "title": {"type": "string"},
    },
    "required": ["firstName", "lastName", "email"],
}
RESULT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "fullName": {"type": "string"},
        "email": {"type": "string"},
        "createdAt": {"type": "string", "format": "date-time"},
    },
}
JANE = {
    "firstName": "Jane",
    "lastName": "Smith",
    "email": "jane.smith@example.com",
    "phone": "+1-555-123-4567",
    "company": "Acme Inc.",
    "title": "Product Manager",
}
EXPECTED_BODY = (
    b'{"contact":{"first_name":"Jane","last_name":"Smith",'
    b'"email_address":"jane.smith@example.com","phone_number":"+1-555-123-4567",'
    b'"organization":"Acme Inc.","job_title":"Product Manager",'
    b'"custom_fields":{"source":"integration_service"}}}'
)


def to_crm(given: Any, _context: Any) -> Any:
    """Do what the example's requestTransform does."""
    return {
        "contact": {
            "first_name": given["firstName"],
            "last_name": given["lastName"],
            "email_address": given["email"],
            "phone_number": given.get("phone"),
            "organization": given.get("company"),
            "job_title": given.get("title"),
            "custom_fields": {"source": "integration_service"},
        }
    }


def from_crm(given: Any, _context: Any) -> Any:
    """Do what the example's responseTransform does."""
    contact = given["contact"]
    return {
        "id": given["contact_id"],
        "fullName": f"{contact['first_name']} {contact['last_name']}",
        "email": contact["email_address"],
        "createdAt": given["created_at"],
    }


async def test_the_example_calls_the_crm_as_written(
    upstream: Start, real_sender: AiohttpSender
) -> None:
    """The upstream gets the exact body and the key; the caller gets the transformed result."""
    seen: list[tuple[str, str, dict[str, str], bytes]] = []

    async def crm(request: web.Request) -> web.Response:
        body = await request.read()
        seen.append((request.method, request.raw_path, dict(request.headers), body))
        contact = orjson.loads(body)["contact"]
        return web.json_response(
            {
                "contact_id": "cont_12345",
                "contact": contact,
                "created_at": "2023-09-15T10:30:00Z",
            }
        )

    world = World(
        authorizer=FixedAuthorizer(Authorization((("Authorization", "Bearer crm-key"),))),
        transforms=PythonTransforms({"to": to_crm, "from": from_crm}),
        sender=real_sender,
    )
    world.offer(
        method(
            param_schema=PARAMETERS,
            result_schema=RESULT,
            request_transform="to",
            response_transform="from",
        ),
        auth_type="api_key",
        config={"baseUrl": await upstream(crm)},
    )
    data = await world.call("createContact", orjson.dumps(JANE))
    assert orjson.loads(data) == {
        "id": "cont_12345",
        "fullName": "Jane Smith",
        "email": "jane.smith@example.com",
        "createdAt": "2023-09-15T10:30:00Z",
    }
    (verb, path, headers, body) = seen[0]
    assert (verb, path, body) == ("POST", "/createContact", EXPECTED_BODY)
    assert headers["Authorization"] == "Bearer crm-key"
    assert headers["Content-Type"] == headers["Accept"] == "application/json"
    assert headers["User-Agent"] == "integration-service/test"
    assert headers["Accept-Encoding"] == "gzip, deflate"
