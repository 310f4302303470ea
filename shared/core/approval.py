"""What a stage asks for before it deploys: how many people, of which roles, and who may not be one of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from shared.core.messages import Evidence
from shared.core.promotion import Promotion, StageRun

APPROVER = "Promotion.Approver"
#: The step that asks people.
APPROVE = "approve"


@dataclass(frozen=True)
class Approval:
    """The `approval` of a stage, for one promotion."""

    least: int  #: different people
    roles: Sequence[str]  #: any one of them is enough
    not_requester: bool
    requester_is_unknown: bool = False  #: so that nobody can tell whether they approve their own request
    not_author: bool = False
    authors: tuple[str, ...] = ()  #: object ids of those who made the model, by the word of the source's worker
    author_is_unknown: bool = False  #: so that nobody can tell whether they approve their own model

    @classmethod
    def of(cls, promotion: Promotion, stage: StageRun) -> "Approval":
        """From the stage's settings as `StageSettings.frozen()` has them, with the defaults of the configuration."""
        asked = stage.settings.get("approval") or {}
        not_requester = asked.get("not_requester", True)
        roles = asked.get("roles") or [APPROVER]
        not_author = asked.get("not_author", False)
        authors = promotion.evidence_for(stage).get("share", {}).get("authors") or []
        known = bool(authors) and all(each["is_person"] for each in authors)
        return cls(
            least=asked.get("min", 1),
            roles=roles,
            not_requester=not_requester,
            requester_is_unknown=not_requester and promotion.by_somebody,
            not_author=not_author,
            authors=tuple(each["id"] for each in authors),
            author_is_unknown=not_author and not known,
        )

    def says(self, given: int) -> str:
        """What it waits for, in words."""
        return self.waits_for(given, self.least)

    @staticmethod
    def waits_for(given: int, least: int) -> str:
        """The same for numbers."""
        return f"waits for approval: {given} of {least} given"


#: Of a digest, in hexadecimal digits: who could choose what is hashed must not find two alike.
DIGEST_LENGTH = 40


def digest(evidence: Mapping[str, Evidence]) -> str:
    """What an approval is bound to: changes when any of the evidence does."""
    return sha256(json.dumps(evidence, sort_keys=True, default=str).encode()).hexdigest()[:DIGEST_LENGTH]
