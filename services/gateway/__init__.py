"""REST for the annotated rpcs, read from their descriptors."""
