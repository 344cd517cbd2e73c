"""Lists: which things, which part of them."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from registry.model.definitions import DefinitionStatus
from registry.model.instances import InstanceStatus

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class DefinitionFilter:
    """Which definitions; `search` is part of name or description, in any case of letters."""

    search: str = ""
    status: DefinitionStatus | None = None
    type: str = ""


@dataclass(frozen=True, slots=True)
class InstanceFilter:
    """Which instances: `search` is part of the name, in any case of letters."""

    search: str = ""
    status: InstanceStatus | None = None
    definition_id: str = ""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list: by number, or after `token` (opaque, from an earlier page)."""

    page: int = 1
    limit: int = 20
    token: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Part of a list, newest first. `next_token` is empty when nothing follows."""

    items: tuple[Item, ...]
    total: int
    request: PageRequest
    next_token: str = ""

    @property
    def pages(self) -> int:
        """How many pages of this size there are."""
        return -(-self.total // self.request.limit)
