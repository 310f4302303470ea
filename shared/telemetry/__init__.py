"""Traces, logs and measures."""
