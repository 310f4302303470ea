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
    because: str = ""  #: why it takes more people than the settings say

    @classmethod
    def of(cls, promotion: Promotion, stage: StageRun) -> "Approval":
        """From the stage's settings as `StageSettings.frozen()` has them, with the defaults of the configuration.

        Where the requester may not approve and nobody knows who that is, one person more has to: then at least as many
        as were asked for are not the requester.
        """
        asked = stage.settings.get("approval") or {}
        least, not_requester = asked.get("min", 1), asked.get("not_requester", True)
        roles = asked.get("roles") or [APPROVER]
        if not_requester and promotion.by_somebody:
            return cls(least + 1, roles, not_requester, "one more than usual, as whoever started it had not signed in")
        return cls(least, roles, not_requester)

    def says(self, given: int) -> str:
        """What it waits for, in words."""
        return f"waits for approval: {given} of {self.least} given"


def digest(evidence: Mapping[str, Evidence]) -> str:
    """What an approval is bound to: changes when any of the evidence does."""
    return sha256(json.dumps(evidence, sort_keys=True, default=str).encode()).hexdigest()[:16]
