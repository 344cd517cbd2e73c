"""The executor over gRPC: servicer, client, and the conversions between model and contract."""
