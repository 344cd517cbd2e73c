"""Records by part, and references that keep a key in place for as long as something needs it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# What is there was sealed before there were parts: it is what owners gave.
_COPY = """
INSERT INTO credentials_records_by_part
    (tenant, instance_id, part, version, key_id, sealed)
SELECT tenant, instance_id, 'config', version, key_id, sealed FROM credentials_records
"""


def upgrade() -> None:
    """Add the part to the key of a record, and both references."""
    # SQLite can change neither a key nor a reference: there is a new table for each.
    with op.batch_alter_table("credentials_data_keys") as table:
        table.create_foreign_key(
            "credentials_data_keys_master_key_fkey",
            "credentials_master_keys",
            ["master_key_id"],
            ["key_id"],
        )
    op.create_table(
        "credentials_records_by_part",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("instance_id", sa.String(64), primary_key=True),
        sa.Column("part", sa.String(16), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("key_id", sa.Integer, nullable=True),
        sa.Column("sealed", sa.LargeBinary, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant", "key_id"],
            ["credentials_data_keys.tenant", "credentials_data_keys.key_id"],
            name="credentials_records_data_key_fkey",
        ),
    )
    op.execute(_COPY)
    op.drop_table("credentials_records")
    op.rename_table("credentials_records_by_part", "credentials_records")
