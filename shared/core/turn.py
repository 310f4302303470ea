"""One decision in the making."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.core.journal import JournalEntry
from shared.core.promotion import Lane, Promotion, StageRun, StepRun


@dataclass
class Turn:
    """What has become of the lane so far, and the lines that its journal gets for it."""

    lane: Lane
    now: datetime
    who: str = ""  #: as in `JournalEntry`
    journal: list[JournalEntry] = field(default_factory=list)
    _written: Counter[str] = field(default_factory=Counter)  #: by promotion: how many lines of the journal are its own

    def put(self, promotion: Promotion, stage: StageRun | None = None) -> Promotion:
        """Keep the promotion, with the stage if one is given, as it is now."""
        if stage is not None:
            promotion = promotion.with_stage(stage)
        self.lane = self.lane.with_promotion(promotion)
        return promotion

    def latest(self, promotion: Promotion) -> Promotion:
        """The promotion as it has become in this turn."""
        return self.lane.promotion(promotion.id) or promotion

    def note(
        self, promotion: Promotion, what: str, text: str, stage: StageRun | None = None, step: StepRun | None = None
    ) -> None:
        """Add a line to the journal."""
        self._written[promotion.id] += 1
        number = promotion.lines + self._written[promotion.id]
        names = (stage.name if stage else "", step.plan.name if step else "")
        self.journal.append(JournalEntry(self.now, promotion.id, number, *names, what, text, self.who))

    def stamped(self, before: Lane) -> Lane:
        """The lane with the time of change, and the length of its journal, on each promotion that changed."""

        def stamp(promotion: Promotion) -> Promotion:
            written = self._written[promotion.id]
            if not written and promotion == before.promotion(promotion.id):
                return promotion
            return replace(promotion, updated=self.now, lines=promotion.lines + written)

        return replace(self.lane, promotions=tuple(map(stamp, self.lane.promotions)))
