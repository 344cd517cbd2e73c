"""Definitions, their contents, and instances."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    _contents()
    _definitions()
    _instances()


def _contents() -> None:
    op.create_table(
        "registry_contents",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )


def _definitions() -> None:
    op.create_table(
        "registry_definitions",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("auth_type", sa.Text, nullable=False),
        sa.Column("method_count", sa.Integer, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True)),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("warnings", sa.Text, nullable=False),
        sa.Column("search", sa.Text, nullable=False),
        sa.UniqueConstraint("tenant", "name", "version", name="registry_definitions_version"),
        sa.ForeignKeyConstraint(
            ["tenant", "digest"],
            ["registry_contents.tenant", "registry_contents.digest"],
            name="registry_definitions_content",
        ),
    )


def _instances() -> None:
    op.create_table(
        "registry_instances",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("definition_id", sa.Text, nullable=False),
        sa.Column("definition_digest", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("config", sa.Text, nullable=False),
        sa.Column("secret_fields", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_connected_at", sa.DateTime(timezone=True)),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("credentials_version", sa.BigInteger, nullable=False),
        sa.Column("search", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "definition_id"],
            ["registry_definitions.tenant", "registry_definitions.id"],
            name="registry_instances_definition",
        ),
    )
    op.create_index(
        "registry_instances_of_definition", "registry_instances", ["tenant", "definition_id", "id"]
    )
