"""All steps on the real adapter: what a promotion does in Azure ML, look by look."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.cloud.azureml import AzureMLWorkspace
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
)
from shared.worker.order import Rules
from shared.worker.run import run_step
from tests.cloud.conftest import Registered
from tests.cloud.local_azure import LocalAzure, until

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Promotion:
    """Runs the steps of one model version as the core would, one look at a time."""

    def __init__(
        self,
        workspaces: Mapping[str, AzureMLWorkspace],
        folder: Path,
        name: str,
        version: str,
        champion: Champion | None,
    ) -> None:
        self._workspaces = workspaces
        self._folder = folder
        self._command = RunStep(
            lane=LaneKey("digits", name),
            promotion=f"{name}-{version}",
            stage="test",
            step="",
            environment="test",
            attempt=1,
            poll=1,
            not_before=NOW,
            not_after=NOW + MAY_ACT_FOR,
            started=NOW,
            deadline=NOW + timedelta(hours=1),
            candidate=Candidate(Kind.MODEL, name, version, "dev", "/subscriptions/s/workspaces/ws-dev"),
            settings={
                "stage": {
                    "environment": "test",
                    "endpoint": "{model}-test",
                    "deployment": "deployment.yml",
                    "smoke": {"requests": "smoke.jsonl", "max_latency": "10s"},
                },
                "require_tags": {"promote": "true"},
            },
            evidence={},
            champion=champion,
        )
        self.evidence: dict[str, Evidence] = {}

    def run(self, step: str) -> Outcome:
        looks, ended = iter(range(1, 1000)), list[Outcome]()

        def look() -> bool:
            environment = "dev" if step == "share" else "test"
            command = replace(
                self._command, step=step, environment=environment, poll=next(looks), evidence=dict(self.evidence)
            )
            outcome = run_step(
                command, lambda name: self._workspaces[name], self._folder, lambda: command.started, lambda _: Rules()
            )
            if not isinstance(outcome, (Running, Retry)):
                ended.append(outcome)
            return bool(ended)

        until(look, step)
        if isinstance(ended[0], Succeeded):
            self.evidence[step] = ended[0].evidence
        return ended[0]

    def run_all(self, *steps: str) -> None:
        for step in steps:
            outcome = self.run(step)
            assert isinstance(outcome, Succeeded), outcome

    @property
    def deployment(self) -> Any:
        return self.evidence["deploy"]["deployment"]

    def as_champion(self) -> Champion:
        return Champion(self._command.promotion, self._command.candidate, NOW, self.evidence)


def test_versions_replace_each_other_and_a_broken_one_leaves_the_champion_alone(
    dev: AzureMLWorkspace, test: AzureMLWorkspace, name: str, registered: Registered, folder: Path
) -> None:
    workspaces, endpoint = {"dev": dev, "test": test}, f"{name}-test"

    def traffic() -> dict[str, int]:
        found = test.endpoint(endpoint)
        return dict(found.traffic) if found else {}

    registered(name, "1", promote="true")
    first = Promotion(workspaces, folder, name, "1", None)
    first.run_all("share", "validate", "deploy", "smoke", "shift", "retire")
    assert traffic() == {first.deployment: 100}
    assert first.evidence["smoke"]["answers"] == 1

    registered(name, "2", '{"crash": true}', promote="true")
    broken = Promotion(workspaces, folder, name, "2", first.as_champion())
    broken.run_all("share", "validate")
    outcome = broken.run("deploy")
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONTAINER_CRASH
    assert "KeyError: 'the model is of no use'" in outcome.reason
    assert outcome.diagnosis.startswith("KeyError: 'the model is of no use'")
    broken.run_all("remove")
    assert traffic() == {first.deployment: 100}

    registered(name, "3", promote="true")
    second = Promotion(workspaces, folder, name, "3", first.as_champion())
    second.run_all("share", "validate", "deploy", "smoke")
    assert traffic() == {first.deployment: 100}
    second.run_all("shift")
    assert traffic() == {second.deployment: 100}
    second.run_all("restore")
    assert traffic() == {first.deployment: 100}
    second.run_all("shift", "retire")
    assert traffic() == {second.deployment: 100}


def test_a_model_without_the_required_tag_is_refused(
    dev: AzureMLWorkspace, test: AzureMLWorkspace, name: str, registered: Registered, folder: Path
) -> None:
    registered(name, "1")
    promotion = Promotion({"dev": dev, "test": test}, folder, name, "1", None)
    outcome = promotion.run("share")
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.REFUSED
    assert "does not have the tag promote=true" in outcome.reason
    assert test.registry_model(name, "1") is None


def test_a_deployment_without_room_is_told_as_quota(
    azure: LocalAzure, dev: AzureMLWorkspace, test: AzureMLWorkspace, name: str, registered: Registered, folder: Path
) -> None:
    registered(name, "1", promote="true")
    promotion = Promotion({"dev": dev, "test": test}, folder, name, "1", None)
    promotion.run_all("share", "validate")
    azure.fault("out_of_quota")
    outcome = promotion.run("deploy")
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.QUOTA
    promotion.run_all("remove")
