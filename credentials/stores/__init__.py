"""Where secrets are kept: one adapter per kind of store, all with the same promise."""
