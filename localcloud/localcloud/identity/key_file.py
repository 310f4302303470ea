"""Key files: created at the first start, readable only by their owner."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def read_or_make_key(file: Path) -> bytes:
    """The bytes of a key file's text without blanks around it; a missing file is made, readable by its owner only."""
    return read_or_make(file, lambda: secrets.token_hex(32))


def read_or_make(file: Path, make: Callable[[], str]) -> bytes:
    """Like `read_or_make_key`, with the text that `make` returns."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f"{file.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(make(), encoding="ascii")
        # Another process that starts at the same time may have been first: its key stays.
        try:
            os.link(draft, file)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return file.read_text(encoding="ascii").strip().encode()
