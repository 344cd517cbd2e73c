"""The vocabulary of the registry: definitions, their methods, and the instances of them.

Times are aware UTC datetimes. JSON that callers wrote stays as parsed values where it is a schema,
and as text where every digit counts (`Definition.document`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")

Schema = Mapping[str, Any] | bool
"""A JSON Schema."""


class DefinitionStatus(StrEnum):
    """Where a definition stands in its life."""

    DRAFT = "DRAFT"
    PUBLISHED = "PUBLISHED"
    DEPRECATED = "DEPRECATED"
    ARCHIVED = "ARCHIVED"


class InstanceStatus(StrEnum):
    """Whether an instance can be used."""

    PENDING_CONFIGURATION = "PENDING_CONFIGURATION"
    PENDING_AUTHENTICATION = "PENDING_AUTHENTICATION"
    CONNECTED = "CONNECTED"
    DISCONNECTED = "DISCONNECTED"
    AUTH_ERROR = "AUTH_ERROR"
    CONFIG_ERROR = "CONFIG_ERROR"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong or worth knowing.

    `path` is a JSON Pointer (RFC 6901) into what was sent; `line` and `column` count from 1 inside
    the script at that path, 0 where it is no script.
    """

    path: str
    message: str
    line: int = 0
    column: int = 0
    code_frame: str = ""


@dataclass(frozen=True, slots=True)
class HttpBinding:
    """How a method is bound to HTTP; `path` and the values of `headers` are RFC 6570 templates.

    `body` is `json`, `form` or `none`; `idempotency_header` names the header that carries the
    key of an idempotent call, empty where the API knows none.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = "json"
    by_convention: bool = False
    idempotency_header: str = ""


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """How failed calls are repeated; delays in milliseconds."""

    max_retries: int = 0
    initial_delay_ms: int = 1000
    backoff_multiplier: float = 2.0
    max_delay_ms: int = 30_000
    retryable_errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RateLimits:
    """How often a method may be called."""

    requests_per_minute: int
    burst_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """One thing that can be called. `timeout_ms` None means the service's default.

    `extensions` are its members beyond those named here, as written (`pagination`, `x-…`).
    """

    name: str
    http: HttpBinding
    description: str = ""
    param_schema: Schema = True
    result_schema: Schema = True
    request_transform: str | None = None
    response_transform: str | None = None
    timeout_ms: int | None = None
    rate_limits: RateLimits | None = None
    retry_config: RetryConfig | None = None
    extensions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuthPlacement:
    """Where credentials go in a request, and which fields of the config hold them."""

    location: str = "header"  # header, query or cookie
    name: str = "Authorization"
    prefix: str = "Bearer "
    field: str = "apiKey"
    username_field: str = "username"


@dataclass(frozen=True, slots=True)
class Definition:
    """What an API offers: the content of a definition, immutable and addressed by `digest`.

    `document` is the canonical JSON text it was parsed from, `digest` that text's SHA-256 in
    hexadecimal. `server` is an RFC 6570 template over `config`. `result_validation` is `warn`,
    `strict` or `off`. `secret_fields` are the config's fields that are kept secret. `extensions`
    are the members beyond the plain definition language, as written (`server`, `auth`, …).
    """

    name: str
    version: str
    type: str
    auth_type: str
    methods: tuple[Method, ...]
    document: bytes
    digest: str
    description: str = ""
    config_schema: Schema = True
    default_config: Mapping[str, Any] = field(default_factory=dict)
    oauth2_config: Mapping[str, Any] | None = None
    server: str = "{+config.baseUrl}"
    auth: AuthPlacement = field(default_factory=AuthPlacement)
    result_validation: str = "warn"
    secret_fields: tuple[str, ...] = ()
    extensions: Mapping[str, Any] = field(default_factory=dict)

    def method(self, name: str) -> Method | None:
        """Answer the method of this name."""
        return next((method for method in self.methods if method.name == name), None)


@dataclass(frozen=True, slots=True)
class ParsedDefinition:
    """What a text says: the definition, what is worth knowing about it, and where it starts."""

    definition: Definition
    warnings: tuple[Problem, ...] = ()
    status: DefinitionStatus = DefinitionStatus.PUBLISHED


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check of a text found; without `problems` it can be registered."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class DefinitionEntry:
    """A definition as a tenant registered it."""

    id: str
    tenant: str
    definition: Definition
    status: DefinitionStatus
    created_at: datetime
    updated_at: datetime
    etag: str
    published_at: datetime | None = None
    warnings: tuple[Problem, ...] = ()

    @property
    def summary(self) -> "DefinitionSummary":
        """What lists show of it."""
        return DefinitionSummary(
            id=self.id,
            name=self.definition.name,
            description=self.definition.description,
            version=self.definition.version,
            type=self.definition.type,
            auth_type=self.definition.auth_type,
            method_count=len(self.definition.methods),
            digest=self.definition.digest,
            status=self.status,
            created_at=self.created_at,
            updated_at=self.updated_at,
            etag=self.etag,
            published_at=self.published_at,
        )


@dataclass(frozen=True, slots=True)
class DefinitionSummary:
    """A definition as lists show it: without its methods and schemas."""

    id: str
    name: str
    description: str
    version: str
    type: str
    auth_type: str
    method_count: int
    digest: str
    status: DefinitionStatus
    created_at: datetime
    updated_at: datetime
    etag: str
    published_at: datetime | None = None


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
