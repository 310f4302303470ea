"""A local Service Bus: an AMQP 1.0 broker with queues, which the unmodified SDK talks to over plain TCP."""
