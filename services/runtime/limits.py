"""What our gRPC servers and channels carry, and for how long a silent peer is waited for."""

KiB = 1024
MiB = 1024 * KiB

# Over what callers may send to REST: between our services a message has an envelope around it and
# may hold a part of the request twice, as the input of a transform and in its context.
MESSAGE_LIMIT = 24 * MiB

CARRIED = (
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    # Errors are kept far below: between our services nothing may be lost that a caller could read.
    ("grpc.max_metadata_size", 32 * KiB),
    ("grpc.absolute_max_metadata_size", 64 * KiB),
)

KEEPALIVE_MS = 60_000
KEEPALIVE_TIMEOUT_MS = 20_000
# A process that hangs leaves its connections open; only a ping that stays unanswered tells.
PINGING = (
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    # For every other ping, such as the one that goes with a call; a minute by default.
    ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    ("grpc.http2.max_pings_without_data", 0),
)
# By default a server takes pings more often than every five minutes for an attack.
PINGED = (("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 2),)
