"""The journal: what happened to a promotion, line by line, for people."""

from dataclasses import dataclass
from datetime import datetime


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
