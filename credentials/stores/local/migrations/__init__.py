"""The history of the local store's tables, for Alembic."""
