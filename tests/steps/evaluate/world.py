"""A stage that evaluates: its job, its gates, and what its environment sees."""

from dataclasses import replace
from typing import Any

from shared.config.policy import Policy
from shared.core.messages import Outcome, Succeeded
from shared.core.wire import from_json
from shared.ports import SubmittedJob
from shared.worker.evaluation import Evaluated
from shared.worker.order import Rules
from tests.fakes.jobs import JobOutcome
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import ENDPOINT, OURS, SHARED, Stage, champion

JOB = """
command: python evaluate.py --model ${{inputs.model}} $[[--champion ${{inputs.champion}}]] --data ${{inputs.data}}
code: src
environment: azureml:sklearn:1
compute: azureml:cpu
inputs: {model: {type: custom_model}, champion: {type: custom_model}, data: {type: uri_folder}}
"""
GATES = [
    {"metric": "auc", "at_least": 0.8},
    {"metric": "auc", "no_worse_than_champion_by": 0.01, "without_champion": "pass"},
]
NAME = "digits-3-abc-test-evaluate-1"
PASSING = JobOutcome(metrics={"auc": 0.9, "champion.auc": 0.89, "loss": 0.1})
CHAMPION = champion(share=SHARED)


def asking(stage: Stage, workspace: FakeWorkspace, **evaluate: Any) -> Stage:
    """The stage with other settings of its evaluation, validated."""
    settings = {**stage.settings["evaluate"], **evaluate}
    return stage.with_settings(evaluate=settings).with_(evidence={"share": SHARED}).validated(workspace)


def evaluated(outcome: Outcome) -> Evaluated:
    assert isinstance(outcome, Succeeded), outcome
    return from_json(Evaluated, outcome.evidence)


def serve_champion(workspace: FakeWorkspace, version: str = "2") -> None:
    """The champion's deployment takes the traffic."""
    tags = {**OURS, "mlpromote.promotion": "digits-2-xyz", "mlpromote.stage": "test", "mlpromote.model": "digits"}
    workspace.has_endpoint(ENDPOINT, OURS, {"v2-old": 100})
    made = workspace.has_deployment(ENDPOINT, "v2-old", tags)
    model = f"azureml://registries/reg/models/digits/versions/{version}"
    workspace.made[ENDPOINT, "v2-old"] = replace(made, model=model)


def squat(workspace: FakeWorkspace, stage: Stage, creator: str = "somebody", **changes: Any) -> None:
    """A job of somebody else has our name."""
    job = SubmittedJob(NAME, "/subscriptions/s/workspaces/ws-test", "Completed", command="echo")
    workspace.submitted[NAME] = replace(job, **changes)
    workspace.contents[NAME] = "another"
    workspace.creators[NAME] = creator
    workspace.job_metrics[NAME] = {"auc": 1.0, "champion.auc": 0.1}


def with_policy(stage: Stage, workspace: FakeWorkspace, digest: str = "", **more: Any) -> Stage:
    """The stage in an environment where nothing is deployed without this evaluation, validated."""
    job = digest or stage.evidence["validate"]["manifest"]["evaluation"]
    policy = Policy.model_validate({"evaluation": {"job": job, **more}})
    changed = stage.with_(rules=Rules(policy), evidence={"share": SHARED})
    outcome = changed.poll("validate", workspace)
    seen = {"validate": outcome.evidence} if isinstance(outcome, Succeeded) else {}
    return changed.with_(evidence={"share": SHARED, **seen})
