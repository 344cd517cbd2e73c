"""The doors a caller can come through, each as the same small object.

A journey is written once against `Door` and runs through all of them: rpcs dispatched in process,
rpcs over gRPC, and REST.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import ClientSession
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from protos.integration.v1 import credentials_service_pb2 as credentials
from protos.integration.v1 import executor_service_pb2 as executor
from protos.integration.v1 import registry_service_pb2 as registry
from protos.integration.v1.error_reason_pb2 import ErrorDetail
from protos.integration.v1.json_pb2 import Json
from services.runtime.dispatch import CallFailed, Dispatch
from services.runtime.identity import TENANT_METADATA

CREDENTIALS = "/integration.v1.CredentialService"
REGISTRY = "/integration.v1.RegistryService"
EXECUTOR = "/integration.v1.ExecutorService"

# The verb and the path, behind the instance's, of each rpc that callers have for credentials.
CREDENTIAL_ROUTES = {
    "StartOAuth2": ("POST", "auth/oauth2/start"),
    "CompleteOAuth2": ("POST", "auth/oauth2/callback"),
    "StoreCredentials": ("POST", "credentials"),
    "RevokeCredentials": ("DELETE", "credentials"),
    "GetCredentialsStatus": ("GET", "credentials/status"),
    "RefreshCredentials": ("POST", "credentials/refresh"),
    "VerifyCredentials": ("POST", "credentials/verify"),
}


@dataclass
class Refused(Exception):
    """A call ended with an error, told the same way by every door."""

    code: str
    message: str
    retryable: bool
    details: dict[str, Any] = field(default_factory=dict)
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A successful execution: `data` is the very text that came out."""

    status: str
    data: bytes
    warnings: list[Any]

    @property
    def value(self) -> Any:
        """Answer the data, parsed."""
        return json.loads(self.data)


class Door(Protocol):
    """A way in. Every method raises `Refused`."""

    async def register(self, definition: bytes) -> dict[str, Any]:
        """Register a definition."""
        ...

    async def connect(self, definition_id: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """Make an instance."""
        ...

    async def reconfigure(self, instance_id: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """Change fields of an instance's config."""
        ...

    async def disconnect(self, instance_id: str) -> None:
        """Delete an instance."""
        ...

    async def instance(self, instance_id: str) -> dict[str, Any]:
        """Look at an instance."""
        ...

    async def credentials(self, rpc: str, instance_id: str, **fields: Any) -> dict[str, Any]:
        """Do something with an instance's credentials: an rpc of `CREDENTIAL_ROUTES`.

        Fields and answer have the names that they have in JSON; values of JSON are values.
        """
        ...

    async def execute(
        self, instance_id: str, method: str, parameters: bytes = b"{}", timeout: float | None = None
    ) -> Result:
        """Execute a method with parameters as JSON text."""
        ...


class RpcDoor:
    """Comes in through rpcs, wherever they are dispatched."""

    def __init__(self, dispatch: Dispatch, key: str, tenant: str = "") -> None:
        self._dispatch = dispatch
        self._metadata = [("authorization", f"Bearer {key}")] if key else []
        if tenant:
            self._metadata.append((TENANT_METADATA, tenant))

    async def register(self, definition: bytes) -> dict[str, Any]:
        """Register a definition."""
        request = registry.CreateDefinitionRequest(definition=Json(utf8=definition))
        answer = await self._call(f"{REGISTRY}/CreateDefinition", request)
        return {
            "id": answer.id,
            "name": answer.name,
            "status": answer.Status.Name(answer.status),
            "warnings": [
                {"path": found.path, "message": found.message} for found in answer.warnings
            ],
        }

    async def connect(self, definition_id: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """Make an instance."""
        request = registry.CreateInstanceRequest(
            integration_definition_id=definition_id,
            name="An instance",
            config=Json(utf8=json.dumps(config).encode()),
        )
        return _instance(await self._call(f"{REGISTRY}/CreateInstance", request))

    async def reconfigure(self, instance_id: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """Change fields of an instance's config."""
        text = Json(utf8=json.dumps(config).encode())
        request = registry.UpdateInstanceRequest(id=instance_id, config=text)
        return _instance(await self._call(f"{REGISTRY}/UpdateInstance", request))

    async def disconnect(self, instance_id: str) -> None:
        """Delete an instance."""
        request = registry.DeleteInstanceRequest(id=instance_id)
        await self._call(f"{REGISTRY}/DeleteInstance", request)

    async def instance(self, instance_id: str) -> dict[str, Any]:
        """Look at an instance."""
        request = registry.GetInstanceRequest(id=instance_id)
        return _instance(await self._call(f"{REGISTRY}/GetInstance", request))

    async def credentials(self, rpc: str, instance_id: str, **fields: Any) -> dict[str, Any]:
        """Do something with an instance's credentials."""
        kind = getattr(credentials, f"{rpc}Request")
        request = kind(instance_id=instance_id)
        for field_ in kind.DESCRIPTOR.fields:
            if field_.json_name in fields:
                value = fields.pop(field_.json_name)
                if field_.message_type is None:
                    setattr(request, field_.name, value)
                else:
                    getattr(request, field_.name).utf8 = json.dumps(value).encode()
        assert not fields, "the rpc has fields of these names"
        return MessageToDict(await self._call(f"{CREDENTIALS}/{rpc}", request))

    async def execute(
        self, instance_id: str, method: str, parameters: bytes = b"{}", timeout: float | None = None
    ) -> Result:
        """Execute a method with parameters as JSON text."""
        request = executor.ExecuteMethodRequest(
            instance_id=instance_id, method=method, parameters=Json(utf8=parameters)
        )
        answer = await self._call(f"{EXECUTOR}/ExecuteMethod", request, timeout)
        warnings = [{"path": found.path, "message": found.message} for found in answer.warnings]
        return Result(answer.Status.Name(answer.status), answer.data.utf8, warnings)

    async def _call(self, method: str, request: Message, timeout: float | None = 30) -> Any:
        try:
            return await self._dispatch(method, request, self._metadata, timeout)
        except CallFailed as failure:
            raise _refused(failure.status) from None


class RestDoor:
    """Comes in through REST."""

    def __init__(self, session: ClientSession, base_url: str, key: str) -> None:
        self._session = session
        self._base = f"{base_url}/api/v1"
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def register(self, definition: bytes) -> dict[str, Any]:
        """Register a definition."""
        return json.loads(await self.send("POST", "/integration-definitions", definition))

    async def connect(self, definition_id: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """Make an instance."""
        body = {
            "integrationDefinitionId": definition_id,
            "name": "An instance",
            "config": dict(config),
        }
        text = json.dumps(body).encode()
        return json.loads(await self.send("POST", "/integration-instances", text))

    async def reconfigure(self, instance_id: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """Change fields of an instance's config."""
        text = json.dumps({"config": dict(config)}).encode()
        return json.loads(await self.send("PATCH", f"/integration-instances/{instance_id}", text))

    async def disconnect(self, instance_id: str) -> None:
        """Delete an instance."""
        await self.send("DELETE", f"/integration-instances/{instance_id}")

    async def instance(self, instance_id: str) -> dict[str, Any]:
        """Look at an instance."""
        return json.loads(await self.send("GET", f"/integration-instances/{instance_id}"))

    async def credentials(self, rpc: str, instance_id: str, **fields: Any) -> dict[str, Any]:
        """Do something with an instance's credentials."""
        verb, path = CREDENTIAL_ROUTES[rpc]
        body = json.dumps(fields).encode() if verb == "POST" else b""
        text = await self.send(verb, f"/integration-instances/{instance_id}/{path}", body)
        return json.loads(text or b"{}")

    async def execute(
        self, instance_id: str, method: str, parameters: bytes = b"{}", timeout: float | None = None
    ) -> Result:
        """Execute a method with parameters as JSON text."""
        path = f"/integration-instances/{instance_id}/methods/{method}/execute"
        headers = {"Grpc-Timeout": f"{round(timeout * 1000)}m"} if timeout else {}
        text = await self.send("POST", path, b'{"parameters":' + parameters + b"}", headers)
        answer = json.loads(text)
        prefix = b'{"status":"SUCCESS","data":'
        assert text.startswith(prefix), "the status comes first, then the data"
        raw = text.removeprefix(prefix).removesuffix(b"}")
        return Result(answer["status"], raw, answer.get("warnings", []))

    async def send(
        self, verb: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Send a request; raises `Refused` for anything but success."""
        async with self._session.request(
            verb,
            f"{self._base}{path}",
            data=body or None,
            headers={**self._headers, "Content-Type": "application/json", **(headers or {})},
        ) as response:
            text = await response.read()
            if response.ok:
                return text
            answer = json.loads(text)
            assert answer["status"] == "ERROR"
            error = answer["error"]
            assert error["requestId"] == response.headers["X-Request-Id"]
            raise Refused(
                error["code"],
                error["message"],
                error["retryable"],
                error.get("details", {}),
                error.get("retryAfterMs"),
            )


def _instance(message: registry.Instance) -> dict[str, Any]:
    return {
        "id": message.id,
        "status": message.Status.Name(message.status),
        "config": json.loads(message.config.utf8 or b"{}"),
        "secretFields": list(message.secret_fields),
        "error": {"code": message.error.code, "message": message.error.message},
    }


def _refused(status: Status) -> Refused:
    info, detail, retry = ErrorInfo(), ErrorDetail(), RetryInfo()
    for packed in status.details:
        for message in (info, detail, retry):
            packed.Unpack(message)
    return Refused(
        info.reason,
        status.message,
        detail.retryable,
        json.loads(detail.details.utf8 or b"{}"),
        retry.retry_delay.ToMilliseconds() if retry.HasField("retry_delay") else None,
    )
