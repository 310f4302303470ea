"""The approval that a stage requires before it deploys: how many people, in which roles, and who is excluded."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from shared.core.messages import Evidence
from shared.core.promotion import Promotion, StageRun, StepRun
from shared.core.wire import Moment, from_json, if_readable

#: The step that asks for approval.
APPROVE = "approve"


@dataclass(frozen=True)
class Author:
    """Who registered a model, or ran the job that made it."""

    id: str  #: object id in Entra ID, the claim `oid` of a token
    name: str
    is_person: bool  #: else a service principal or a managed identity


@dataclass(frozen=True)
class GivenApproval:
    """One person's approval."""

    id: str  #: of the Entra ID principal
    name: str
    at: Moment
    reason: str
    #: Those in the person's token that let them decide. None: recorded by a version that did not keep them.
    roles: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ApprovalEvidence:
    """The evidence of the step that asks for approval."""

    on: str = ""  #: digest of what is approved
    given: tuple[GivenApproval, ...] = ()
    taken_by: str = ""  #: the environment whose own app took them; empty if the coordinator did

    @classmethod
    def of(cls, step: StepRun) -> "ApprovalEvidence":
        return from_json(cls, step.evidence)


@dataclass(frozen=True)
class _Manifest:
    digest: str = ""


@dataclass(frozen=True)
class _Approvable:
    """The part of a step's evidence that says what an environment's own app binds an approval to."""

    approves: str = ""  #: what was measured, together with the manifest
    manifest: _Manifest = field(default_factory=_Manifest)


@dataclass(frozen=True)
class _Made:
    """The part of a step's evidence that names the candidate's authors."""

    authors: tuple[Author, ...] = ()


@dataclass(frozen=True)
class Approval:
    """The approval that a stage requires, for one promotion."""

    least: int  #: different people
    roles: tuple[str, ...]  #: any one of them is enough
    not_requester: bool
    requester_is_unknown: bool = False  #: then people may be approving their own request
    not_author: bool = False
    authors: tuple[str, ...] = ()  #: object ids of the model's authors, as the source's worker reported them
    author_is_unknown: bool = False  #: then people may be approving their own model
    groups: tuple[str, ...] = ()  #: object ids; a person must be in one of them, unless it is empty

    @classmethod
    def of(cls, promotion: Promotion, stage: StageRun) -> "Approval":
        asked = stage.approval
        made = [from_json(_Made, step.evidence) for step in promotion.travelling() if step.evidence]
        authors = [author for each in made for author in each.authors]
        known = bool(authors) and all(author.is_person for author in authors)
        return cls(
            least=asked.least,
            roles=asked.roles,
            groups=asked.groups,
            not_requester=asked.not_requester,
            requester_is_unknown=asked.not_requester and promotion.by_somebody,
            not_author=asked.not_author,
            authors=tuple(author.id for author in authors),
            author_is_unknown=asked.not_author and not known,
        )

    def says(self, given: int) -> str:
        """What the step waits for, in words."""
        return self.waits_for(given, self.least)

    @staticmethod
    def waits_for(given: int, least: int) -> str:
        """The same for numbers."""
        return f"waits for approval: {given} of {least} given"


#: In hexadecimal digits. Long enough that nobody who chooses the content can find a collision.
DIGEST_LENGTH = 40


def digest(evidence: Mapping[str, Evidence]) -> str:
    """The digest that an approval is bound to. It changes when any of the evidence does."""
    return sha256(json.dumps(evidence, sort_keys=True, default=str).encode()).hexdigest()[:DIGEST_LENGTH]


def digest_in_environment(stage: StageRun) -> str | None:
    """What the environment's own app binds an approval to: what would be deployed, and what was measured of it, if a
    step has done that since."""
    found = [if_readable(_Approvable, step.evidence) for step in stage.steps]
    digests = [each.approves or each.manifest.digest for each in found if each]
    return next((each for each in reversed(digests) if each), None)
