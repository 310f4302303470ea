"""Runs the commands of an environment: one step at a time, with a report of what it saw."""
