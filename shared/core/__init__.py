"""The rules: what a lane does next. Only the standard library and msgspec (types and their JSON); no clock, no I/O."""
