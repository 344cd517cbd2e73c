"""The outside: transport, wiring, processes."""
