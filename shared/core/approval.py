"""What a stage asks for before it deploys: how many people, of which roles, and who may not be one of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from shared.core.messages import Evidence
from shared.core.promotion import Promotion, StageRun, StepRun
from shared.core.wire import from_json

#: The step that asks people.
APPROVE = "approve"


@dataclass(frozen=True)
class Author:
    """Who registered a model, or ran the job that made it."""

    id: str  #: object id in Entra ID: what a token has as `oid`
    name: str
    is_person: bool  #: else a service principal or a managed identity


@dataclass(frozen=True)
class GivenApproval:
    """What one person said."""

    id: str  #: of the Entra ID principal
    name: str
    at: datetime
    reason: str


@dataclass(frozen=True)
class ApprovalEvidence:
    """What the step that asks people leaves behind."""

    on: str = ""  #: digest of what was approved
    given: tuple[GivenApproval, ...] = ()
    taken_by: str = ""  #: the environment whose own app took them; empty for the coordinator

    @classmethod
    def of(cls, step: StepRun) -> "ApprovalEvidence":
        return from_json(cls, step.evidence)


@dataclass(frozen=True)
class _Made:
    """The part of a step's evidence that says who made the candidate."""

    authors: tuple[Author, ...] = ()


@dataclass(frozen=True)
class Approval:
    """The approval that a stage asks for, for one promotion."""

    least: int  #: different people
    roles: tuple[str, ...]  #: any one of them is enough
    not_requester: bool
    requester_is_unknown: bool = False  #: so that nobody can tell whether they approve their own request
    not_author: bool = False
    authors: tuple[str, ...] = ()  #: object ids of those who made the model, by the word of the source's worker
    author_is_unknown: bool = False  #: so that nobody can tell whether they approve their own model

    @classmethod
    def of(cls, promotion: Promotion, stage: StageRun) -> "Approval":
        asked = stage.approval
        made = [from_json(_Made, step.evidence) for step in promotion.travelling() if step.evidence]
        authors = [author for each in made for author in each.authors]
        known = bool(authors) and all(author.is_person for author in authors)
        return cls(
            least=asked.least,
            roles=asked.roles,
            not_requester=asked.not_requester,
            requester_is_unknown=asked.not_requester and promotion.by_somebody,
            not_author=asked.not_author,
            authors=tuple(author.id for author in authors),
            author_is_unknown=asked.not_author and not known,
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
