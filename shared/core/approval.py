"""What a stage asks for before it deploys: how many people, of which roles, and who may not be one of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from shared.core.messages import Evidence

APPROVER = "Promotion.Approver"


@dataclass(frozen=True)
class Approval:
    """The `approval` of a stage's settings."""

    least: int  #: different people
    roles: Sequence[str]  #: any one of them is enough
    not_requester: bool

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Approval":
        """As `StageSettings.frozen()` has it; the defaults are those of the configuration."""
        asked = settings.get("approval") or {}
        return cls(asked.get("min", 1), asked.get("roles") or [APPROVER], asked.get("not_requester", True))

    def says(self, given: int) -> str:
        """What it waits for, in words."""
        return f"waits for approval: {given} of {self.least} given"


def digest(evidence: Mapping[str, Evidence]) -> str:
    """What an approval is bound to: changes when any of the evidence does."""
    return sha256(json.dumps(evidence, sort_keys=True, default=str).encode()).hexdigest()[:16]
