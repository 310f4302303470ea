"""The journal: what happened to a promotion, line by line, for people."""

from dataclasses import dataclass, field
from datetime import datetime

from shared.core.promotion import Promotion, StageRun, StepRun


@dataclass(frozen=True)
class JournalEntry:
    """One line of a promotion's history."""

    at: datetime
    promotion: str
    number: int  #: from 1, without gaps
    stage: str  #: empty where it concerns the promotion as a whole
    step: str  #: empty where it concerns the stage as a whole
    what: str  #: a fixed word: requested, stage-started, step-succeeded, …
    text: str
    who: str = ""  #: whose request, or what news, brought it about; empty where it followed by itself


@dataclass
class Notes:
    """Collects the journal of one decision."""

    now: datetime
    who: str = ""  #: as in `JournalEntry`
    entries: list[JournalEntry] = field(default_factory=list)

    def add(
        self, promotion: Promotion, what: str, text: str, stage: StageRun | None = None, step: StepRun | None = None
    ) -> None:
        """Add a line."""
        number = promotion.lines + 1 + sum(entry.promotion == promotion.id for entry in self.entries)
        names = (stage.name if stage else "", step.plan.name if step else "")
        self.entries.append(JournalEntry(self.now, promotion.id, number, *names, what, text, self.who))
