"""The local cloud for measurements: that of `make up`, with another app or another deployment time."""

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.children import REPOSITORY
from localcloud.up import LocalCloud, read_description
from localcloud.up.description import App

APPS = Path(__file__).with_name("apps")


#: `localcloud.yml` publishes and traces every change, for people to see. The baselines do neither.
UNOBSERVED = {"MLPROMOTE_TOPIC_ENDPOINT": "", "MLPROMOTE_TRACES": ""}


@asynccontextmanager
async def running_cloud(
    folder: Path, app: Path, settings: Mapping[str, str], **changes: Any
) -> AsyncIterator[LocalCloud]:
    """A fresh local cloud with its state in `folder` that runs the function app in `app`.

    `settings` are added to those in `localcloud.yml`, and `changes` replace other parts of that file.
    """
    shutil.rmtree(folder, ignore_errors=True)
    described = read_description(REPOSITORY / "localcloud.yml")
    usual = described.app.settings if described.app else {}
    changes["app"] = App(folder=app, settings={**usual, **UNOBSERVED, **settings})
    async with LocalCloud(described.model_copy(update=changes), folder) as cloud:
        yield cloud
