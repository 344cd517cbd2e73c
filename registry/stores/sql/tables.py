"""The registry's tables as the statements see them; revisions make and change the real ones."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

VERSION_TABLE: Final = "registry_alembic_version"


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time. SQLite knows no zones: what it answers is UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the base class names it
        """Answer what the database holds as a time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class JsonText(TypeDecorator[Any]):
    """A JSON value as text, so that members keep their order and numbers their digits."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - the base class names it
        """Answer the text of a value; NULL for None."""
        return None if value is None else json.dumps(value, separators=(",", ":"), allow_nan=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 - the base class names it
        """Answer the value of a text."""
        return None if value is None else json.loads(value)


metadata: Final = MetaData()

contents: Final = Table(
    "registry_contents",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)

definitions: Final = Table(
    "registry_definitions",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("auth_type", Text, nullable=False),
    Column("method_count", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("published_at", UtcTime),
    Column("etag", Text, nullable=False),
    Column("warnings", JsonText, nullable=False),
    Column("search", Text, nullable=False),
    UniqueConstraint("tenant", "name", "version", name="registry_definitions_version"),
    ForeignKeyConstraint(
        ["tenant", "digest"],
        ["registry_contents.tenant", "registry_contents.digest"],
        name="registry_definitions_content",
    ),
)

instances: Final = Table(
    "registry_instances",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("definition_id", Text, nullable=False),
    Column("definition_digest", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("config", JsonText, nullable=False),
    Column("secret_fields", JsonText, nullable=False),
    Column("error", JsonText),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("last_connected_at", UtcTime),
    Column("etag", Text, nullable=False),
    Column("credentials_version", BigInteger, nullable=False),
    Column("search", Text, nullable=False),
    ForeignKeyConstraint(
        ["tenant", "definition_id"],
        ["registry_definitions.tenant", "registry_definitions.id"],
        name="registry_instances_definition",
    ),
    Index("registry_instances_of_definition", "tenant", "definition_id", "id"),
)
