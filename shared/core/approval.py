"""What a stage asks for before it deploys: how many people, of which roles, and who may not be one of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from shared.core.messages import Evidence
from shared.core.promotion import Promotion, StageRun

APPROVER = "Promotion.Approver"


@dataclass(frozen=True)
class Approval:
    """The `approval` of a stage, for one promotion."""

    least: int  #: different people
    roles: Sequence[str]  #: any one of them is enough
    not_requester: bool
    requester_is_unknown: bool = False  #: so that nobody can tell whether they approve their own request

    @classmethod
    def of(cls, promotion: Promotion, stage: StageRun) -> "Approval":
        """From the stage's settings as `StageSettings.frozen()` has them, with the defaults of the configuration."""
        asked = stage.settings.get("approval") or {}
        not_requester = asked.get("not_requester", True)
        roles = asked.get("roles") or [APPROVER]
        return cls(asked.get("min", 1), roles, not_requester, not_requester and promotion.by_somebody)

    def says(self, given: int) -> str:
        """What it waits for, in words."""
        return f"waits for approval: {given} of {self.least} given"


def digest(evidence: Mapping[str, Evidence]) -> str:
    """What an approval is bound to: changes when any of the evidence does."""
    return sha256(json.dumps(evidence, sort_keys=True, default=str).encode()).hexdigest()[:16]
