"""Instances: tenants' connections to definitions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from registry.model.definitions import Definition


class InstanceStatus(StrEnum):
    """Whether an instance can be used."""

    PENDING_CONFIGURATION = "PENDING_CONFIGURATION"
    PENDING_AUTHENTICATION = "PENDING_AUTHENTICATION"
    CONNECTED = "CONNECTED"
    DISCONNECTED = "DISCONNECTED"
    AUTH_ERROR = "AUTH_ERROR"
    CONFIG_ERROR = "CONFIG_ERROR"


@dataclass(frozen=True, slots=True)
class InstanceError:
    """Why an instance is not connected; `code` is one of the service's reasons."""

    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Instance:
    """One tenant's connection to a definition. `config` has no secrets."""

    id: str
    tenant: str
    definition_id: str
    definition_digest: str
    name: str
    status: InstanceStatus
    config: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    etag: str
    secret_fields: tuple[str, ...] = ()
    error: InstanceError | None = None
    last_connected_at: datetime | None = None
    credentials_version: int = 0  # of the record that has the secrets meant for this config


@dataclass(frozen=True, slots=True)
class Target:
    """What an execution needs to know: the instance and the definition it is one of."""

    instance: Instance
    definition: Definition
