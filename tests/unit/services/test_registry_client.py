"""The registry at the other end of a channel, as the executor sees it."""

import json
from typing import Any

from google.protobuf.message import Message

from protos.integration.v1 import registry_service_pb2 as rpc
from protos.integration.v1.json_pb2 import Json
from registry.parse import parse
from services.registry import client
from services.registry.client import RegistryClient
from services.runtime.channel import Peer


class CountingPeer(Peer):
    """Answers an instance of the definition that its id names, and counts what is fetched."""

    def __init__(self) -> None:
        self.fetched: list[str] = []

    async def call(self, method: str, request: Message, answer: Any, tenant: str) -> Any:
        """Answer instead of a registry."""
        assert (method.startswith(client.SERVICE), tenant) == (True, "acme")
        if isinstance(request, rpc.ResolveInstanceRequest):
            instance = rpc.Instance(
                id=request.id, definition_digest=request.id, status=rpc.Instance.CONNECTED
            )
            return answer(instance=instance, credentials_version=7)
        assert isinstance(request, rpc.GetDefinitionContentRequest)
        self.fetched.append(request.digest)
        text = {
            "name": request.digest,
            "version": "1.0.0",
            "type": "http",
            "authType": "none",
            "methods": [{"name": "m"}],
        }
        document = parse(json.dumps(text).encode()).definition.document
        return answer(digest=request.digest, document=Json(utf8=document))


async def test_content_is_fetched_once_and_memory_is_bounded() -> None:
    """A definition's content is known after the first time, unless a thousand came since."""
    peer = CountingPeer()
    registry = RegistryClient(peer)
    for _ in range(2):
        target = await registry.resolve("acme", "first")
    assert (target.definition.name, target.instance.credentials_version) == ("first", 7)
    assert peer.fetched == ["first"]
    for number in range(client.MOST_DEFINITIONS):
        await registry.resolve("acme", f"d{number}")
    await registry.resolve("acme", "first")
    assert peer.fetched.count("first") == 2
