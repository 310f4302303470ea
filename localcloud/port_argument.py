"""The port of a part, as the command line gives it."""

import argparse

HIGHEST = 65_535


def port_number(text: str) -> int:
    """A TCP port, 0 for one that is free; for `add_argument(type=...)`."""
    if not text.isascii() or not text.isdigit() or int(text) > HIGHEST:
        raise argparse.ArgumentTypeError(f"{text} is no port: a whole number from 0 (any free one) to {HIGHEST}")
    return int(text)
