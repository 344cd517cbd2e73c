"""Lists: model ↔ contract."""

from collections.abc import Iterable
from typing import Any

from protos.integration.v1 import definition_pb2 as contract
from protos.integration.v1 import registry_service_pb2 as rpc
from registry.model import (
    DefinitionFilter,
    DefinitionStatus,
    InstanceFilter,
    InstanceStatus,
    Page,
    PageRequest,
    Problem,
)
from registry.problems import invalid_page_request

DEFAULT_LIMIT = 20


def page_request(
    message: rpc.ListDefinitionsRequest | rpc.ListInstancesRequest,
) -> PageRequest:
    """Contract → model; absent numbers mean the first page of the usual size."""
    return PageRequest(
        page=message.page or 1, limit=message.limit or DEFAULT_LIMIT, token=message.page_token
    )


def pagination(page: Page[Any]) -> contract.Pagination:
    """Model → contract."""
    return contract.Pagination(
        page=page.request.page,
        limit=page.request.limit,
        total=page.total,
        pages=page.pages,
        next_page_token=page.next_token,
    )


def definition_filter(message: rpc.ListDefinitionsRequest) -> DefinitionFilter:
    """Contract → model."""
    name = _status(contract.Definition.Status.items(), message.status)
    status = DefinitionStatus(name) if name else None
    return DefinitionFilter(search=message.search, status=status, type=message.type)


def instance_filter(message: rpc.ListInstancesRequest) -> InstanceFilter:
    """Contract → model."""
    name = _status(rpc.Instance.Status.items(), message.status)
    status = InstanceStatus(name) if name else None
    return InstanceFilter(search=message.search, status=status, definition_id=message.definition_id)


def _status(known: Iterable[tuple[str, int]], number: int) -> str:
    """Answer the name of a status, empty for none; any number may come over the wire."""
    names = {value: name for name, value in known if value}
    if number and number not in names:
        message = f"must be one of {', '.join(names.values())}"
        raise invalid_page_request([Problem("/status", message)])
    return names.get(number, "")
