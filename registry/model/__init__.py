"""The vocabulary of the registry: definitions, their methods, and the instances of them.

Times are aware UTC datetimes. JSON that callers wrote stays as parsed values where it is a schema,
and as text where every digit counts (`Definition.document`).
"""

from registry.model.auth import (
    AuthPlacement,
    AwsPlacement,
    CertificatePlacement,
    SigningPlacement,
    Verification,
)
from registry.model.definitions import (
    Definition,
    DefinitionEntry,
    DefinitionStatus,
    DefinitionSummary,
    HttpBinding,
    Method,
    ParsedDefinition,
    Problem,
    RateLimits,
    RetryConfig,
    Schema,
    Verdict,
)
from registry.model.instances import (
    Instance,
    InstanceError,
    InstanceStatus,
    Target,
)
from registry.model.lists import (
    DefinitionFilter,
    InstanceFilter,
    Item,
    Page,
    PageRequest,
)

__all__ = [
    "AuthPlacement",
    "AwsPlacement",
    "CertificatePlacement",
    "Definition",
    "DefinitionEntry",
    "DefinitionFilter",
    "DefinitionStatus",
    "DefinitionSummary",
    "HttpBinding",
    "Instance",
    "InstanceError",
    "InstanceFilter",
    "InstanceStatus",
    "Item",
    "Method",
    "Page",
    "PageRequest",
    "ParsedDefinition",
    "Problem",
    "RateLimits",
    "RetryConfig",
    "Schema",
    "SigningPlacement",
    "Target",
    "Verdict",
    "Verification",
]
