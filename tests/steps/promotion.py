"""A promotion of model digits, version 3, through stage test of route digits: where the tests of the steps start."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.core.approval import ApprovalEvidence, GivenApproval, digest
from shared.core.messages import (
    MAY_ACT_FOR,
    Candidate,
    Champion,
    Evidence,
    Failed,
    FailureKind,
    Kind,
    LaneKey,
    Outcome,
    Retry,
    Running,
    RunStep,
    Succeeded,
    as_evidence,
)
from shared.core.replacing import replace
from shared.ports import Workspace
from shared.worker.lineage import Lineage
from shared.worker.order import Rules
from shared.worker.run import Workplace, run_step
from shared.worker.steps.deploy import Deployed
from shared.worker.steps.share import Shared
from shared.worker.target import Target
from tests.fakes.work import Crash
from tests.fakes.workspace import FakeWorkspace

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DEV_WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/ws-dev"
ORIGIN = "azureml://locations/west/workspaces/ws-dev/models/digits/versions/3"
SHARED: Evidence = as_evidence(
    Shared(
        registry_model="azureml://registries/reg/models/digits/versions/3",
        origin=ORIGIN,
        tags={"promote": "true"},
        job=Lineage("train-3", "Completed"),
        metrics={"accuracy": 0.95, "loss": 0.2},
    )
)
SETTINGS: Mapping[str, Any] = {
    "environment": "test",
    "endpoint": "{model}-test",
    "deployment": "deployment.yml",
    "smoke": {"requests": "smoke.jsonl"},
}
ENDPOINT = "digits-test"
OURS = {"mlpromote.route": "digits"}

MOST_LOOKS = 40


@dataclass(frozen=True)
class Stage:
    """Where the promotion is; `with_` gives a changed one."""

    folder: Path
    settings: Mapping[str, Any] = field(default_factory=lambda: SETTINGS)
    evidence: Mapping[str, Evidence] = field(default_factory=lambda: {"share": SHARED})
    champion: Champion | None = None
    attempt: int = 1
    kind: Kind = Kind.MODEL
    version: str = "3"
    promotion: str = "digits-3-abc"
    rules: Rules = field(default_factory=Rules)
    options: Mapping[str, Any] = field(default_factory=dict)  #: what the plan says of the step
    state: Mapping[str, Any] = field(default_factory=dict)  #: the state that the step's last poll kept for this one
    source: str = DEV_WORKSPACE  #: id of what the model comes from
    asset: str | None = None  #: `workspace` where that workspace's own asset is deployed
    started_late: timedelta = timedelta(0)  #: between the step's first poll and this one

    def with_(self, **changes: Any) -> "Stage":
        return replace(self, **changes)

    def with_settings(self, **settings: Any) -> "Stage":
        return replace(self, settings={**self.settings, **settings})

    @property
    def deployment(self) -> str:
        return Target.of(self.command("deploy"), FakeWorkspace(), self.folder, self.rules).deployment

    @property
    def its_tags(self) -> dict[str, str]:
        return {**OURS, "mlpromote.promotion": self.promotion, "mlpromote.attempt": str(self.attempt)}

    def put(self, name: str, content: str | None) -> None:
        """Replace a file that the settings name; None removes it."""
        file = self.folder / name
        file.unlink()
        if content is not None:
            file.write_text(content)

    def command(self, step: str, poll: int = 1) -> RunStep:
        return RunStep(
            lane=LaneKey("digits", "digits"),
            promotion=self.promotion,
            stage="test",
            step=step,
            environment="test",
            attempt=self.attempt,
            poll=poll,
            not_before=NOW + self.started_late,
            not_after=NOW + self.started_late + MAY_ACT_FOR,
            started=NOW,
            deadline=NOW + timedelta(hours=1),
            candidate=Candidate(self.kind, "digits", self.version, "dev", self.source),
            settings=self._frozen(),
            evidence=self.evidence,
            champion=self.champion,
            options=self.options,
            state=self.state,
        )

    def _frozen(self) -> Mapping[str, Any]:
        """The settings in the form of a promotion of the kind."""
        if self.kind is Kind.JOB:
            return self.settings
        stage = {name: value for name, value in self.settings.items() if name != "require_tags"}
        asset = {"asset": self.asset} if self.asset else {}
        return {"stage": stage, "require_tags": self.settings.get("require_tags", {}), **asset}

    def poll(self, step: str, workspace: Workspace, poll: int = 1, now: datetime = NOW) -> Outcome:
        """One poll of a step."""
        return self.run_command(self.command(step, poll), workspace, now)

    def run_command(self, command: RunStep, workspace: Workspace, now: datetime = NOW) -> Outcome:
        """One poll for a command of the test's own."""
        return run_step(command, Workplace(lambda _: workspace, lambda _: self.rules, self.folder, lambda: now))

    def validated(self, workspace: Workspace) -> "Stage":
        """The stage after `validate` has succeeded, with its evidence."""
        outcome = self.poll("validate", workspace)
        assert isinstance(outcome, Succeeded), outcome
        return self.with_(evidence={**self.evidence, "validate": outcome.evidence})

    def approved(self, workspace: Workspace, *people: str) -> "Stage":
        """The stage after these people have approved it in the coordinator."""
        validated = self.validated(workspace)
        given = tuple(GivenApproval(each, each, NOW, "seen") for each in people)
        approve = ApprovalEvidence(digest(validated.evidence), given)
        return validated.with_(evidence={**validated.evidence, "approve": as_evidence(approve)})

    def run(self, step: str, workspace: Workspace) -> Outcome:
        """Poll a step until it ends. A poll that crashes is delivered again. Each poll gets the state that the last one
        kept."""
        state: Mapping[str, Any] = {}
        for poll in range(1, MOST_LOOKS):
            command = replace(self.command(step, poll), state=state)
            try:
                outcome = self.run_command(command, workspace)
            except Crash:
                outcome = self.run_command(command, workspace)
            state = outcome.state if isinstance(outcome, Running) else state
            if not isinstance(outcome, (Running, Retry)):
                return outcome
        raise AssertionError(f"{step} did not come to an end: {outcome}")


def failed(outcome: Outcome, kind: FailureKind, *words: str) -> Failed:
    """The failure that the outcome must be."""
    assert isinstance(outcome, Failed), outcome
    assert outcome.kind is kind, outcome
    for each in words:
        assert each in outcome.reason
    return outcome


def deploy_saw(deployment: str, **traffic_before: int) -> Evidence:
    """The evidence of `deploy`. The traffic is by deployment, with underscores for hyphens."""
    before = {name.replace("_", "-"): percent for name, percent in traffic_before.items()}
    return as_evidence(Deployed(ENDPOINT, deployment, None, None, before))


def champion(version: str = "2", **evidence: Evidence) -> Champion:
    candidate = Candidate(Kind.MODEL, "digits", version, "dev", DEV_WORKSPACE)
    return Champion("digits-2-xyz", candidate, NOW, evidence)
