"""Data in, data out: authors' JavaScript run in a sandbox that starts fresh for every call."""
