"""The rules: what a lane does next. Standard library and msgspec (JSON) only; no clock, no I/O, no SDK."""
