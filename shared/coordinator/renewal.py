"""The files that a retry uses: those of the newest bundle of the promotion's route."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from shared.config import named_paths
from shared.config.platform import source_of
from shared.config.team_changes import changed_files
from shared.core.events import NotNowError, Renewed
from shared.core.plan import DEFINITION
from shared.core.promotion import Promotion, StageStatus
from shared.ports import RejectedError

if TYPE_CHECKING:
    from shared.config import Configuration

#: What a promotion's retry uses, or None if its own files are the newest. Raises `NotNowError`.
Renewal = Callable[[Promotion], Renewed | None]


def renewed(promotion: Promotion, configuration: "Configuration", folder: Callable[[str], Path]) -> Renewed | None:
    """The newest bundle of the promotion's route; None if the promotion uses that already, or if there is none.

    `folder` is that of a bundle by its digest. Raises `NotNowError` if the bundle lacks one of the promotion's files.
    """
    route = configuration.routes.get(promotion.lane.route)
    if route is None or route.bundle in ("", promotion.bundle):
        return None
    stages = [stage.settings for stage in promotion.stages if stage.status is not StageStatus.SUCCEEDED]
    now = folder(route.bundle)
    missing = [text for _, text in named_paths.named(stages) if not (now / text).exists()]
    if missing:
        source = source_of(route.name)
        raise NotNowError(
            f"the newest bundle of {source} has no {missing[0]}, which the promotion needs. Start a new promotion"
        )
    before = _before(promotion, folder)
    _refuse_another_pipeline(promotion, before, now)
    return Renewed(route.bundle, tuple(changed_files(before, now, stages, stages)))


def _refuse_another_pipeline(promotion: Promotion, before: Path | None, now: Path) -> None:
    """Raise `NotNowError` if the files define another pipeline than the one that a stage has already run: later stages
    run what that stage did."""
    for stage in promotion.stages:
        defined = {DEFINITION: stage.settings.get(DEFINITION)}
        if stage.status is StageStatus.SUCCEEDED and (changed := changed_files(before, now, defined, defined)):
            raise NotNowError(
                f"the newest bundle defines another pipeline than the one that ran in {stage.name}: {changed[0]} "
                "differs. Start a new promotion"
            )


def _before(promotion: Promotion, folder: Callable[[str], Path]) -> Path | None:
    """The folder of the files that it used; None if they are gone, so that all count as changed."""
    try:
        return folder(promotion.bundle) if promotion.bundle else None
    except RejectedError:
        return None
