"""Secrets sealed in rows of a database: SQLite beside the process, or PostgreSQL.

Three layers of keys: the master key, in a file outside the database, wraps one data key per tenant,
which seals that tenant's records. A copy of the database alone is worth nothing. Every row names
the key that it is sealed with, so that keys can be exchanged one row at a time.
"""
