"""The rules: what a lane does next. Standard library only; no clock, no I/O, no SDK."""
