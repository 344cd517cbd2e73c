"""Registry: model ↔ contract."""

from services.registry.wire.definitions import (
    OWN_FIELDS,
    definition,
    definition_schema,
    definition_summary,
    methods,
    problem,
    problem_model,
    registered,
)
from services.registry.wire.instances import (
    config,
    instance,
    instance_change,
    instance_model,
    report,
    resolved_instance,
    standing,
    update_request,
)
from services.registry.wire.lists import (
    DEFAULT_LIMIT,
    definition_filter,
    instance_filter,
    page_request,
    pagination,
)
from services.registry.wire.values import (
    json_value,
    parsed,
    time,
    timestamp,
)

__all__ = [
    "DEFAULT_LIMIT",
    "OWN_FIELDS",
    "config",
    "definition",
    "definition_filter",
    "definition_schema",
    "definition_summary",
    "instance",
    "instance_change",
    "instance_filter",
    "instance_model",
    "json_value",
    "methods",
    "page_request",
    "pagination",
    "parsed",
    "problem",
    "problem_model",
    "registered",
    "report",
    "resolved_instance",
    "standing",
    "time",
    "timestamp",
    "update_request",
]
