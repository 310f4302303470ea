"""A promotion of pipeline churn-training, as it ran in job train-7 of dev, to stage prod: where the tests start."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from shared.core.approval import ApprovalEvidence, GivenApproval, digest
from shared.core.messages import (
    MAY_ACT_FOR,
    Candidate,
    Champion,
    Evidence,
    Failed,
    Kind,
    LaneKey,
    Outcome,
    Retry,
    Running,
    RunStep,
    Succeeded,
    as_evidence,
)
from shared.ports import Bound, ChildJob, Component, EnvironmentAsset, Node, PipelineJob, SubmittedJob, Workspace
from shared.worker.order import Rules
from shared.worker.run import Workplace, run_step
from tests.fakes.work import Crash
from tests.fakes.workspace import FakeRegistry, FakeWorkspace
from tests.steps.promotion import DEV_WORKSPACE, NOW

JOB = "train-7"
CODE = f"{DEV_WORKSPACE}/codes/c0de/versions/1"
NAMED = f"{DEV_WORKSPACE}/environments/sklearn/versions/3"
INLINE = f"{DEV_WORKSPACE}/environments/CliV2AnonymousEnvironment/versions/abc"
CURATED = "azureml://registries/azureml/environments/sklearn-1.5/versions/33"
PREPARE = f"{DEV_WORKSPACE}/components/azureml_anonymous/versions/1"
TRAIN = f"{DEV_WORKSPACE}/components/train/versions/1"
FILES = {"train.py": b"print('train')", "lib/features.py": b"FEATURES = 3"}
SETTINGS: Mapping[str, Any] = {
    "environment": "prod",
    "run": {"compute": "cpu", "inputs": {"rows": "churn-production@latest"}},
    "validate": [{"metric": "auc", "no_worse_than_source_by": 0.02}, {"metric": "auc", "at_least": 0.8}],
    "register": {"output": "model", "model": "churn", "tags": {"promote": "true"}},
}
BEFORE = ("register_components", "inspect")
MOST_LOOKS = 30


def component(environment: str, code: str = CODE, command: str = "python train.py", **more: Any) -> Component:
    inputs = {"rows": {"type": "uri_folder"}, "rate": {"type": "number", "default": "0.1"}}
    return Component("command", code, environment, {"command": command, "inputs": inputs, **more})


def pipeline_job(**changes: Any) -> PipelineJob:
    """Two steps: `prepare` reads dev's data, `train` reads what it leaves, and has the output `model`."""
    nodes = {
        "prepare": Node(
            "command", PREPARE, {"rows": Bound("${{parent.inputs.rows}}"), "rate": Bound("${{parent.inputs.rate}}")}
        ),
        "train": Node(
            "command",
            TRAIN,
            {"rows": Bound("${{parent.jobs.prepare.outputs.clean}}"), "rate": Bound("7")},
            {"model": Bound("${{parent.outputs.model}}", mode="Upload")},
            {"resources": {"instance_count": "1", "instance_type": "Standard_DEV"}},
        ),
    }
    job = PipelineJob(
        name=JOB,
        status="Completed",
        experiment="churn-pipeline",
        nodes=nodes,
        inputs={
            "rows": Bound(data=f"{DEV_WORKSPACE}/data/churn-sample/versions/2", kind="uri_folder"),
            "rate": Bound("0.3"),
        },
        outputs={"model": "mlflow_model"},
        tags={"promote": "true"},
        properties={"mlflow.source.git.commit": "f00d"},
        compute="dev-cluster",
    )
    return replace(job, **changes)


def source(registry: FakeRegistry | None = None) -> FakeWorkspace:
    """dev, where the job has completed: `prepare` has an inline environment, `train` one of the workspace."""
    dev = FakeWorkspace(registry or FakeRegistry(), "ws-dev")
    dev.pipelines[JOB] = pipeline_job()
    dev.own.components[PREPARE] = component(INLINE, command="python lib/features.py")
    dev.own.components[TRAIN] = component(NAMED)
    dev.own.codes[CODE] = dict(FILES)
    own = "azureml://locations/west/workspaces/ws-dev/environments/sklearn/versions/3"
    dev.own.environments[NAMED] = EnvironmentAsset(NAMED, "sklearn", "3", "image:1", origin=own)
    conda = "name: x\ndependencies: [pip]\n"
    dev.own.environments[INLINE] = EnvironmentAsset(
        INLINE, "CliV2AnonymousEnvironment", "abc", "image:2", conda, is_anonymous=True
    )
    dev.children[JOB] = [(ChildJob("guid-1", "train", "Completed"), {"auc": 0.9})]
    return dev


def target(registry: FakeRegistry) -> FakeWorkspace:
    """prod, with data of its own."""
    prod = FakeWorkspace(registry, "ws-prod")
    prod.has_data("churn-production", "7")
    return prod


@dataclass(frozen=True)
class Line:
    """Where the promotion is; `with_` gives a changed one."""

    folder: Path
    dev: FakeWorkspace
    prod: FakeWorkspace
    settings: Mapping[str, Any] = field(default_factory=lambda: SETTINGS)
    task: Mapping[str, Any] = field(
        default_factory=lambda: {"experiment": "churn-pipeline", "job_tags": {"promote": "true"}}
    )
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    champion: Champion | None = None
    rules: Rules = field(default_factory=Rules)
    attempt: int = 1
    promotion: str = "churn-training-train-7-abc"
    version: str = JOB
    now: datetime = NOW  #: when the steps run

    @classmethod
    def new(cls, folder: Path) -> "Line":
        registry = FakeRegistry()
        return cls(folder, source(registry), target(registry))

    def with_(self, **changes: Any) -> "Line":
        return replace(self, **changes)

    def with_settings(self, **settings: Any) -> "Line":
        return replace(self, settings={**self.settings, **settings})

    def command(self, step: str, poll: int = 1, state: Mapping[str, Any] | None = None) -> RunStep:
        here = "dev" if step == "register_components" else "prod"
        return RunStep(
            lane=LaneKey("churn-training", "churn-training"),
            promotion=self.promotion,
            stage="prod",
            step={"approve_run": "approve"}.get(step, step),
            environment=here,
            attempt=self.attempt,
            poll=poll,
            not_before=self.now,
            not_after=self.now + MAY_ACT_FOR,
            started=self.now,
            deadline=self.now + timedelta(hours=1),
            candidate=Candidate(Kind.PIPELINE, "churn-training", self.version, "dev", "/subscriptions/s/ws-dev"),
            settings={"stage": dict(self.settings), **self.task},
            evidence=self.evidence,
            champion=self.champion,
            uses=step,
            options={"metrics": ["auc"]} if step == "register_components" else {"undoes": "run"},
            state=state or {},
        )

    def poll(self, step: str, poll: int = 1, state: Mapping[str, Any] | None = None) -> Outcome:
        command = self.command(step, poll, state)
        workspaces: dict[str, Workspace] = {"dev": self.dev, "prod": self.prod}
        return run_step(command, Workplace(workspaces.__getitem__, lambda _: self.rules, self.folder, lambda: self.now))

    def run(self, step: str) -> Outcome:
        """Poll a step until it ends. A poll that crashes is delivered again."""
        state: Mapping[str, Any] = {}
        for poll in range(1, MOST_LOOKS):
            try:
                outcome = self.poll(step, poll, state)
            except Crash:
                outcome = self.poll(step, poll, state)
            if not isinstance(outcome, (Running, Retry)):
                return outcome
            state = outcome.state if isinstance(outcome, Running) else state
        raise AssertionError(f"{step} did not come to an end: {outcome}")

    def after(self, *steps: str) -> "Line":
        """The promotion after these steps have succeeded, with their evidence; `approve` is by ann."""
        line = self
        for step in steps:
            line = line._approved("ann") if step == "approve" else line._succeeded(step)
        return line

    def _succeeded(self, step: str) -> "Line":
        if step == "run":
            self._run_will_log({"auc": 0.89})
        outcome = self.run(step)
        assert isinstance(outcome, Succeeded), outcome
        return self.with_(evidence={**self.evidence, step: outcome.evidence})

    def _run_will_log(self, metrics: Mapping[str, float]) -> None:
        self.prod.children[self.job_name] = [(ChildJob("guid-2", "train", "Completed"), metrics)]

    def _approved(self, *people: str) -> "Line":
        given = tuple(GivenApproval(each, each, NOW, "seen") for each in people)
        approve = ApprovalEvidence(digest(self.evidence), given)
        return self.with_(evidence={**self.evidence, "approve": as_evidence(approve)})

    @property
    def job_name(self) -> str:
        return f"{self.promotion}-prod-run-{self.attempt}"

    @property
    def submitted(self) -> SubmittedJob:
        return self.prod.submitted[self.job_name]


#: The steps of the plan, in order.
ALL = ("register_components", "inspect", "approve", "run", "compare", "register_model")


def up_to(line: Line, last: str) -> Line:
    """After this step and all before it."""
    return line.after(*ALL[: ALL.index(last) + 1])


def failed(line: Line, step: str) -> Failed:
    outcome = line.run(step)
    assert isinstance(outcome, Failed), outcome
    return outcome
