"""Definitions and their methods."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from registry.model.auth import AuthPlacement, Verification

Schema = Mapping[str, Any] | bool
"""A JSON Schema."""


class DefinitionStatus(StrEnum):
    """Where a definition stands in its life."""

    DRAFT = "DRAFT"
    PUBLISHED = "PUBLISHED"
    DEPRECATED = "DEPRECATED"
    ARCHIVED = "ARCHIVED"


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
class Definition:
    """What an API offers: the content of a definition, immutable and addressed by `digest`.

    `document` is the canonical JSON text it was parsed from, `digest` that text's SHA-256 in
    hexadecimal. `server` is an RFC 6570 template over `config`. `result_validation` is `warn`,
    `strict` or `off`. `secret_fields` are the config's fields that are kept secret,
    `captured_fields` those that the API tells when somebody connects. `extensions` are the members
    beyond the plain definition language, as written (`server`, `auth`, …).
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
    captured_fields: tuple[str, ...] = ()
    verification: Verification | None = None
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
