"""The tables of the local store, as the newest migration leaves them.

The references make the database itself keep every key that something is still sealed with: a key
goes only when nothing needs it, whoever writes at the same time.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

VERSION_TABLE = "credentials_alembic_version"

metadata = MetaData()

# One row per master key that wraps data keys here, numbered from 1; the one with the highest number
# wraps new ones. `check_value` opens only with that master key.
master_keys = Table(
    "credentials_master_keys",
    metadata,
    Column("key_id", Integer, primary_key=True, autoincrement=False),
    Column("check_value", LargeBinary, nullable=False),
)

# A tenant's data keys, numbered from 1; the one with the highest number seals. Those of tenant ""
# are the store's own, for what is kept beside the database.
data_keys = Table(
    "credentials_data_keys",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("key_id", Integer, primary_key=True, autoincrement=False),
    Column("master_key_id", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    ForeignKeyConstraint(
        ["master_key_id"],
        ["credentials_master_keys.key_id"],
        name="credentials_data_keys_master_key_fkey",
    ),
)

# One row per part of an instance that there ever was. After a deletion only the version is left.
records = Table(
    "credentials_records",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("instance_id", String(64), primary_key=True),
    Column("part", String(16), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("key_id", Integer, nullable=True),
    Column("sealed", LargeBinary, nullable=True),
    ForeignKeyConstraint(
        ["tenant", "key_id"],
        ["credentials_data_keys.tenant", "credentials_data_keys.key_id"],
        name="credentials_records_data_key_fkey",
    ),
)
