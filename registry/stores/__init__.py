"""Where definitions and instances are kept."""
