"""What `make demo` shows: a model's way from a training job to production, on a local cloud."""
