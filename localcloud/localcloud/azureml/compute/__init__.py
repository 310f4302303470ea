"""What Azure ML runs on its machines: scoring servers and jobs, here as real processes, and the MLflow tracking API."""
