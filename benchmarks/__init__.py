"""Measures the app side by side with bare SDKs and with an empty function app: `python -m benchmarks`."""
