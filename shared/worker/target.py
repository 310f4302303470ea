"""What a command refers to in Azure ML: the names of endpoint and deployment, the files, and the tags that mark
ours."""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Self

from shared.config.stage import ModelStage, StageSettings
from shared.core import awaiting
from shared.core.asset_names import is_of_registry
from shared.core.messages import RunStep
from shared.ports import Deployment, Endpoint, EndpointKind, Workspace
from shared.worker.order import BundleFolder, Order, Rules, no_bundles

#: Tag on every endpoint and deployment that we create: the route that it belongs to.
ROUTE = "mlpromote.route"
PROMOTION = awaiting.PROMOTION
ATTEMPT = "mlpromote.attempt"
STAGE = "mlpromote.stage"
MODEL = "mlpromote.model"
VERSION = "mlpromote.version"

#: Azure ML's states of an endpoint or deployment on which no operation is running.
READY = "Succeeded"
BROKEN = ("Failed", "Canceled")
SETTLED = (READY, *BROKEN)
DELETING = "Deleting"

_DIGEST_LENGTH = 10
_LONGEST_NAME = 32


@dataclass(frozen=True)
class Target(Order[ModelStage]):
    """Where one candidate is deployed in one stage. The same promotion and stage always produce the same names.

    The endpoints of `workspace` are of the stage's kind: for a batch endpoint, its default has all of the traffic.
    """

    parses = ModelStage

    @classmethod
    def of(
        cls,
        command: RunStep,
        workspace: Workspace,
        folder: Path,
        rules: Rules,
        bundles: BundleFolder = no_bundles,
    ) -> Self:
        found = super().of(command, workspace, folder, rules, bundles)
        return replace(found, workspace=workspace.with_endpoints(EndpointKind.BATCH)) if found.is_batch else found

    @property
    def stage(self) -> StageSettings:
        return self.settings.stage

    @property
    def is_batch(self) -> bool:
        """Whether its endpoint is a batch endpoint."""
        return self.stage.is_batch

    @property
    def uses_registry(self) -> bool:
        """Whether the registry's asset is deployed, not the workspace's own."""
        return self.settings.asset != "workspace"

    @property
    def is_born_in_registry(self) -> bool:
        """Whether the candidate was registered in the registry directly."""
        return is_of_registry(self.command.candidate.workspace)

    @cached_property
    def endpoint(self) -> str:
        return self.stage.endpoint_for(self.command.candidate.name)

    @cached_property
    def deployment(self) -> str:
        """`v`, the version, and a digest of promotion and stage: at most 32 letters, digits and hyphens."""
        digest = sha256(f"{self.command.promotion}\n{self.command.stage}".encode()).hexdigest()[:_DIGEST_LENGTH]
        version = re.sub(r"[^a-z0-9]+", "-", self.command.candidate.version.lower())
        return f"v{version}"[: _LONGEST_NAME - _DIGEST_LENGTH - 1].rstrip("-") + f"-{digest}"

    @property
    def deployment_file(self) -> Path:
        return self.folder / self.stage.deployment

    @property
    def endpoint_file(self) -> Path | None:
        return self.folder / self.stage.endpoint_file if self.stage.endpoint_file else None

    @property
    def monitor_file(self) -> Path | None:
        return self.folder / self.stage.monitor if self.stage.monitor else None

    @property
    def smoke_file(self) -> Path | None:
        return self.folder / self.stage.smoke.requests if self.stage.smoke else None

    @property
    def endpoint_tags(self) -> dict[str, str]:
        return {ROUTE: self.command.lane.route}

    def owns(self, found: Endpoint | Deployment) -> bool:
        """Whether this app created it, for this route."""
        return found.tags.get(ROUTE) == self.command.lane.route

    def is_of_this_promotion(self, found: Deployment) -> bool:
        return self.owns(found) and found.tags.get(PROMOTION) == self.command.promotion

    def is_of_later_attempt(self, found: Deployment) -> bool:
        """Whether a retry of this promotion created it after this command's attempt."""
        attempt = found.tags.get(ATTEMPT, "")
        return attempt.isdecimal() and int(attempt) > self.command.attempt

    def is_of_this_lane(self, found: Deployment) -> bool:
        """Whether this app created it for this route, stage and model, in any promotion."""
        command = self.command
        wanted = {STAGE: command.stage, MODEL: command.candidate.name}
        return self.owns(found) and all(found.tags.get(tag) == value for tag, value in wanted.items())

    def not_ours(self) -> str:
        """The failure for an endpoint name that is taken."""
        return (
            f"Endpoint {self.endpoint} was not made by route {self.command.lane.route} (it lacks the tag "
            f"{ROUTE}={self.command.lane.route}). Choose another `{self.stage.endpoint_key}` for stage "
            f"{self.command.stage}, or set the tag to let the route take the endpoint over."
        )
