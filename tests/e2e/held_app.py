"""A copy of the app that waits for Azure as long as a test holds an answer back, and that gives up old commands early
once it was killed.

So a test can catch it in the middle of calls and kill it there, however slow the machine is: the app itself waits a
minute for an answer. Then, nothing of the app that was killed can act any more; this copy waits for one minute, and not
for five, before it asks again.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from localcloud.up import Description
from tests.chaos import hurried_app
from tests.e2e.azure import HELD_SECONDS
from tests.e2e.conftest import Cloud

#: By file: the text there, and the text in the copy.
Changes = Mapping[str, Mapping[str, str]]

_MAY_ACT, _GRACE = "MAY_ACT_FOR = timedelta(minutes=3)", "GRACE = MAY_ACT_FOR + timedelta(minutes=2)"
PATIENT: Changes = {
    "shared/cloud/azureml_rest.py": {"READ_TIMEOUT = 60": f"READ_TIMEOUT = {HELD_SECONDS + 60}"},
    # Longer than anything is held, so that nobody asks again meanwhile.
    "shared/core/messages.py": {_GRACE: f"GRACE = MAY_ACT_FOR + timedelta(seconds={HELD_SECONDS})"},
    "functions/reconcile.py": {'schedule="0 * * * * *"': 'schedule="*/5 * * * * *"'},
}
#: What the copy may do for how long after a kill, and when it asks again.
ACTS_FOR, ASKS_AGAIN = timedelta(seconds=40), timedelta(seconds=60)
#: In place of the app's own times, once it was killed. What is sent then may act for a shorter time, too.
_AFTER_A_KILL = {
    _MAY_ACT: f"MAY_ACT_FOR = timedelta(seconds={ACTS_FOR.seconds})",
    PATIENT["shared/core/messages.py"][_GRACE]: f"GRACE = timedelta(seconds={ASKS_AGAIN.seconds})",
}


def held(described: Description, folder: Path, *more: Changes) -> Description:
    """The same local cloud, with such a copy of its app in the folder, which must not exist yet."""
    app = described.app
    assert app is not None
    configuration = app.folder / app.settings["MLPROMOTE_CONFIGURATION"]
    settings = {**app.settings, "MLPROMOTE_CONFIGURATION": str(configuration)}
    copy = app.model_copy(update={"folder": make(folder, *more), "settings": settings})
    return described.model_copy(update={"app": copy})


def make(target: Path, *more: Changes) -> Path:
    """Copy the app into the folder `target`, which must not exist yet, with `more` changes. Return the folder."""
    changes = dict(PATIENT)
    for each in more:
        changes |= each
    return hurried_app.make(target, shorter=changes)


async def killed(cloud: Cloud) -> None:
    """Kill the app, and start it again. From now on it gives up early what is not answered."""
    await cloud.parts.kill("functions")
    app = cloud.parts.layout.description.app
    assert app is not None
    messages = app.folder / "shared" / "core" / "messages.py"
    text = messages.read_text(encoding="utf-8")
    for before, after in _AFTER_A_KILL.items():
        text = text.replace(before, after)
    messages.write_text(text, encoding="utf-8")
    await cloud.parts.restart("functions")
