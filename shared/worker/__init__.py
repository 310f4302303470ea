"""What becomes of a command: running a step of an environment, and what it saw."""
