"""What credentials are told of an instance."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from registry.model import Instance, InstanceError, InstanceStatus, Target
from registry.parse import parse
from services.credentials.connections import RegistryConnections

DEFINITION = {
    "name": "API",
    "version": "1.0.0",
    "type": "http",
    "authType": "oauth2",
    "methods": [{"name": "look", "http": {"method": "GET", "path": "/look"}}],
    "configSchema": {"type": "object", "properties": {"baseUrl": {"type": "string"}}},
    "oauth2Config": {
        "authorizationUrl": "https://auth.example.com/authorize",
        "tokenUrl": "https://auth.example.com/token",
        "captureFromToken": {"baseUrl": "instance_url"},
    },
    "verification": {"path": "/me"},
}


class OneInstance:
    """A registry with one instance."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        definition = parse(json.dumps(DEFINITION).encode()).definition
        now = datetime(2026, 1, 1, tzinfo=UTC)
        instance = Instance(
            id="int_inst_1",
            tenant="acme",
            definition_id="int_def_1",
            definition_digest=definition.digest,
            name="Mine",
            status=InstanceStatus.PENDING_AUTHENTICATION,
            config=config,
            created_at=now,
            updated_at=now,
            etag="1-aaaa",
        )
        self.target = Target(instance, definition)

    async def resolve(self, tenant: str, instance_id: str) -> Target:  # noqa: ARG002
        """Answer it."""
        return self.target

    async def update(self, tenant: str, instance_id: str, change: object) -> Instance:
        """Change nothing."""
        raise NotImplementedError

    async def report(
        self,
        tenant: str,  # noqa: ARG002
        instance_id: str,  # noqa: ARG002
        status: InstanceStatus,
        error: InstanceError | None,
        captured: Mapping[str, str],  # noqa: ARG002
    ) -> Instance:
        """Answer the instance as it was told."""
        return replace(self.target.instance, status=status, error=error)


async def test_an_address_that_is_still_to_come_keeps_nobody_from_connecting() -> None:
    """Where the API tells its address when somebody connects, only the probe waits for it."""
    before = await RegistryConnections(lambda: OneInstance({}), "ours").connection("acme", "i")
    assert before.verification is None
    assert "baseUrl" in before.unverifiable
    known = OneInstance({"baseUrl": "https://eu.example.com"})
    after = await RegistryConnections(lambda: known, "ours").connection("acme", "i")
    assert after.verification is not None
    assert after.verification.url == "https://eu.example.com/me"
    assert after.unverifiable == ""
