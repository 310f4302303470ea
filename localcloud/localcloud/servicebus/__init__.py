"""A local Service Bus: an AMQP 1.0 broker with queues, for the unmodified SDK over plain TCP."""
