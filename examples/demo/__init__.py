"""What `make demo` shows: a model goes from a training job to production, on a local cloud."""
