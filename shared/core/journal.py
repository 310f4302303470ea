"""The journal: what happened to a promotion, line by line, for people."""

from msgspec import Struct

from shared.core.wire import Moment


class JournalEntry(Struct, frozen=True):
    """One line of a promotion's history."""

    at: Moment
    promotion: str
    number: int  #: from 1, without gaps
    stage: str  #: empty if the line is about the whole promotion
    step: str  #: empty if the line is about the whole stage
    what: str  #: a fixed word: requested, stage-started, step-succeeded, …
    text: str
    who: str = ""  #: the person or the news that caused it; empty if it followed automatically
