"""A candidate that takes traffic beside its champion: where the tests of the analysis start."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from shared.config.analysis import AnalysisSettings
from shared.core.replacing import replace
from shared.worker.analysis import Judgement, Watched, judged
from shared.worker.order import Rules
from shared.worker.target import Target
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import ENDPOINT, NOW, Stage

CANDIDATE = Stage(Path()).deployment
CHAMPION = "v2-champion"
MINUTE = timedelta(minutes=1)
#: What is said of a lack of figures while some of the step are still to come.
LATE = "; figures of the last 2m do not count yet"
#: A step of 10 minutes.
WATCHED = Watched(NOW, NOW + 10 * MINUTE, champion=CHAMPION)


def settings(*analysis: Mapping[str, Any], **more: Any) -> AnalysisSettings:
    """Without more: at most 1 % of errors, of 100 requests."""
    entries = analysis or ({"metric": "error_rate", "at_most": 0.01},)
    return AnalysisSettings.model_validate({"analysis": list(entries), **more})


def answers(good: float, errors: float = 0, status: int = 500) -> dict[int, float]:
    return {200: good, **({status: errors} if errors else {})}


def judged_after(
    minutes: float, workspace: FakeWorkspace, asked: AnalysisSettings, watched: Watched = WATCHED
) -> Judgement:
    """The judgement so many minutes after the step's beginning."""
    return judged(target_at(NOW + minutes * MINUTE, workspace), asked, watched)


def target_at(now: datetime, workspace: FakeWorkspace, stage: Stage | None = None) -> Target:
    stage = stage or Stage(Path())
    command = replace(stage.command("rollout"), not_before=now)
    return Target.of(command, workspace, stage.folder, Rules())


def has_minutes(workspace: FakeWorkspace, deployment: str, number: int, good: float, **more: Any) -> None:
    """Minutes from the step's beginning on, each with so many good answers."""
    failed, first = more.pop("errors", 0), more.pop("first", 0)
    status = more.pop("status", 500)
    start = NOW + first * MINUTE
    workspace.has_minutes(ENDPOINT, deployment, start, number, answers(good, failed, status), **more)
