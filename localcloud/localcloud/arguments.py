"""What the command lines of the parts share."""

import argparse

HIGHEST_PORT = 65_535


def port_number(text: str) -> int:
    """A TCP port, 0 for one that is free; for `add_argument(type=...)`."""
    if not text.isascii() or not text.isdigit() or int(text) > HIGHEST_PORT:
        raise argparse.ArgumentTypeError(
            f"{text} is not a port: use a whole number from 0 (any free port) to {HIGHEST_PORT}"
        )
    return int(text)


def add_port(parser: argparse.ArgumentParser) -> None:
    """The required `--port` of a part for which Azure has no standard port."""
    parser.add_argument(
        "--port",
        type=port_number,
        required=True,
        metavar="P",
        help="port on 127.0.0.1 to listen on; 0 chooses a free one",
    )


def show_example(parser: argparse.ArgumentParser, example: str) -> None:
    """Lets `--help` end with an example of the configuration file."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"FILE, for example:\n\n{example}\nAll keys: docs/parts.md"
