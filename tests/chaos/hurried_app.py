"""A copy of the app with shorter times, so that a run does not wait minutes for what a kill has left behind.

A command that was never answered keeps its stage closed for `GRACE`, five minutes. At that pace, a thousand kills would
take days. Only the texts below differ from the app; each must occur in its file exactly once. Windows have minutes of a
day, so the clock that they are compared with runs faster, too.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
_IS_APP = ("function_app.py", "host.json", "functions", "shared")

#: A day of windows lasts a minute, and begins with it.
FASTER = 24 * 60
_OPENS = "def opens(windows: Sequence[Window], now: datetime) -> datetime:"
_OPENS_FASTER = f"""def opens(windows: Sequence[Window], now: datetime) -> datetime:
    beginning = datetime(2026, 1, 1, tzinfo=UTC)
    return beginning + (_opens(windows, beginning + (now - beginning) * {FASTER}) - beginning) / {FASTER}


{_OPENS.replace("opens", "_opens")}"""

#: By file: the text there, and the text in the copy.
SHORTER: Mapping[str, Mapping[str, str]] = {
    "shared/core/messages.py": {
        "MAY_ACT_FOR = timedelta(minutes=3)": "MAY_ACT_FOR = timedelta(seconds=10)",
        # The local cloud answers a change within seconds, where Azure may take over a minute.
        "GRACE = MAY_ACT_FOR + timedelta(minutes=2)": "GRACE = MAY_ACT_FOR + timedelta(seconds=15)",
    },
    "shared/core/lane.py": {
        "LONGEST_PAUSE = timedelta(minutes=5)": "LONGEST_PAUSE = timedelta(seconds=8)",
        "TELL_AFTER = timedelta(minutes=1)": "TELL_AFTER = timedelta(seconds=10)",
    },
    "shared/core/window.py": {_OPENS: _OPENS_FASTER},
    "shared/core/held_back.py": {"LOOK_AGAIN = timedelta(minutes=10)": "LOOK_AGAIN = timedelta(seconds=8)"},
    "shared/coordinator/published.py": {"REFRESH_SECONDS = 20.0": "REFRESH_SECONDS = 3.0"},
    "shared/core/late.py": {"PAUSE = timedelta(seconds=30)": "PAUSE = timedelta(seconds=4)"},
    "shared/worker/polls.py": {
        "FIRST_PAUSE = 1.0 ": "FIRST_PAUSE = 0.5 ",
        "LONGEST_PAUSE = 30.0 ": "LONGEST_PAUSE = 4.0 ",
    },
    "shared/worker/run.py": {"PAUSE = timedelta(seconds=5)": "PAUSE = timedelta(seconds=1)"},
    "shared/cloud/topic.py": {"PAUSE_SECONDS = 30.0": "PAUSE_SECONDS = 3.0"},
    "functions/reconcile.py": {
        'schedule="0 * * * * *"': 'schedule="*/5 * * * * *"',
        'schedule="0 */15 * * * *"': 'schedule="*/20 * * * * *"',
        'schedule="0 5/15 * * * *"': 'schedule="*/10 * * * * *"',
    },
}


class ChangedAppError(Exception):
    """A file of the app no longer contains a constant that should be shortened."""


def make(target: Path, app: Path = REPOSITORY, shorter: Mapping[str, Mapping[str, str]] = SHORTER) -> Path:
    """Copy the app into the folder `target`, which must not exist yet, and shorten its times. Return the folder."""
    target.mkdir(parents=True)
    for name in _IS_APP:
        source = app / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target / name)
    for name, changes in shorter.items():
        file = target / name
        text = file.read_text(encoding="utf-8")
        for long, short in changes.items():
            if text.count(long) != 1:
                raise ChangedAppError(f"{name} has {long!r} {text.count(long)} times, not once: mend {__name__}")
            text = text.replace(long, short)
        file.write_text(text, encoding="utf-8")
    return target
