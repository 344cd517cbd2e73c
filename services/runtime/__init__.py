"""What every process has: server, channel, interceptors, the error table, telemetry."""
