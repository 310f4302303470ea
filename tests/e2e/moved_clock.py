"""Changes to a copy of the app, so that a test can move its clock ahead: no test waits for an hour of the day.

How far it is ahead, in seconds, is read from a file whenever the app asks for the time. The broker's clock stays as it
is, so what is due now is sent now.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

#: The setting that names the file.
FILE = "MLPROMOTE_CLOCK_AHEAD"

_AHEAD = """
def _ahead():
    import os
    from datetime import timedelta
    from pathlib import Path

    return timedelta(seconds=float(Path(os.environ["MLPROMOTE_CLOCK_AHEAD"]).read_text()))

"""
_SCHEDULED = "at if at and at > datetime.now(UTC) else None"
#: By file: the text there, and the text in the copy.
CHANGES: Mapping[str, Mapping[str, str]] = {
    "shared/app/connections.py": {
        "\ndef now() -> datetime:\n    return datetime.now(UTC)\n": (
            f"{_AHEAD}\ndef now() -> datetime:\n    return datetime.now(UTC) + _ahead()\n"
        )
    },
    "shared/cloud/bus.py": {
        "\nclass ServiceBus:": f"{_AHEAD}\nclass ServiceBus:",
        _SCHEDULED: "at - _ahead() if at and at - _ahead() > datetime.now(UTC) else None",
    },
}


def set_ahead(file: Path, ahead: timedelta) -> None:
    """Let the clock be so far ahead from now on."""
    draft = file.with_suffix(".new")
    draft.write_text(str(ahead.total_seconds()))
    draft.replace(file)
