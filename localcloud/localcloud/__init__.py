"""A local Azure: the unmodified Azure SDKs talk to it over the wire, on 127.0.0.1 only."""
