"""One call, end to end: from a method's name and parameters to its result."""
