"""The state of one decision while it is made."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from shared.core.holds import NO_HOLDS, Holds
from shared.core.journal import JournalEntry
from shared.core.promotion import Lane, Promotion, StageRun, StepRun
from shared.core.replacing import replace


@dataclass
class Turn:
    """The lane as changed so far, and the new lines of its journal."""

    lane: Lane
    now: datetime
    who: str = ""  #: as in `JournalEntry`
    holds: Holds = NO_HOLDS  #: of operators
    journal: list[JournalEntry] = field(default_factory=list)
    _written: Counter[str] = field(default_factory=Counter)  #: by promotion: how many lines of the journal are its own

    def put(self, promotion: Promotion, stage: StageRun | None = None) -> Promotion:
        """Put the promotion into the lane, with the stage if one is given."""
        if stage is not None:
            promotion = promotion.with_stage(stage)
        self.lane = self.lane.with_promotion(promotion)
        return promotion

    def latest(self, promotion: Promotion) -> Promotion:
        """The promotion as changed so far in this turn."""
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
        """The lane, with the time and the length of the journal updated in each promotion that changed."""

        def stamp(promotion: Promotion) -> Promotion:
            written = self._written[promotion.id]
            if not written and promotion == before.promotion(promotion.id):
                return promotion
            return replace(promotion, updated=self.now, lines=promotion.lines + written)

        return replace(self.lane, promotions=tuple(map(stamp, self.lane.promotions)))
