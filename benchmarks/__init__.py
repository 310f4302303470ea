"""Measures the app against bare SDKs and an empty function app, side by side: `python -m benchmarks`."""
