"""A local Event Grid: topics, webhook subscriptions with their handshake, retries and dead letters."""
