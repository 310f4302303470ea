"""All steps with the real adapter: what promotions do in Azure ML, poll by poll, driven by the rules."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from shared import config
from shared.cloud.azureml import AzureMLWorkspace
from shared.coordinator import routing
from shared.core.events import Cancelled, Person, Released
from shared.core.messages import (
    Evidence,
    Failed,
    FailureKind,
    LaneKey,
    ModelRegistered,
    Outcome,
    Retry,
    Running,
    RunStep,
)
from shared.core.promotion import Lane, PromotionStatus
from shared.worker.order import Rules
from shared.worker.run import Workplace, run_step
from tests.cloud.conftest import Registered
from tests.cloud.local_azure import LocalAzure, until, workspace_id
from tests.core.driver import LaneDriver

CONFIGURATION = """\
registry: contoso-ml
environments:
  dev: {workspace: "${DEV}"}
  test: {workspace: "${TEST}"}
routes:
  digits:
    from: dev
    models: ["*"]
    require_tags: {promote: "true"}
    stages:
      - environment: test
        endpoint: "{model}-test"
        deployment: deployment.yml
        smoke: {requests: smoke.jsonl, max_latency: 10s}
"""
BOB = Person("id-of-bob", "bob", ())


class ModelLane(LaneDriver):
    """The lane of one model, whose commands run in real workspaces."""

    def __init__(self, workspaces: Mapping[str, AzureMLWorkspace], folder: Path, model: str) -> None:
        self.key = LaneKey("digits", model)
        super().__init__(Lane(self.key), self._poll)
        (folder / "promotion.yml").write_text(CONFIGURATION)
        settings = {name.upper(): workspace_id(name) for name in workspaces}
        self._configuration = config.load(folder / "promotion.yml", settings)
        self._workspaces = workspaces
        self._folder = folder

    def request(self, version: str) -> str:
        """News of a model version, with the tag that the route asks for; the id of its promotion."""
        news = ModelRegistered(workspace_id("dev"), self.key.model, version, {"promote": "true"}, "event-grid")
        [request] = routing.requests(news, self._configuration, self.now)
        self.apply(request)
        return request.promotion.id

    def run_until(self, step: str) -> None:
        """Until this step is next."""
        self.run(lambda command: command.step == step)
        assert [command.step for command in self.in_flight()] == [step]

    def status(self, promotion: str) -> PromotionStatus:
        found = self.lane.promotion(promotion)
        assert found is not None
        return found.status

    def evidence(self, promotion: str) -> Mapping[str, Evidence]:
        """By step."""
        return {step: evidence for step, (evidence, _) in self._steps(promotion).items()}

    def failure(self, promotion: str, step: str) -> Failed:
        _, failure = self._steps(promotion)[step]
        assert failure is not None, f"{step} did not fail"
        return failure

    def traffic(self) -> Mapping[str, int]:
        """By deployment, at the model's endpoint."""
        found = self._workspaces["test"].endpoint(f"{self.key.model}-test")
        return dict(found.traffic) if found else {}

    def deployment(self, promotion: str) -> str:
        return str(self.evidence(promotion)["deploy"]["deployment"])

    def _steps(self, promotion: str) -> dict[str, tuple[Evidence, Failed | None]]:
        found = self.lane.promotion(promotion)
        assert found is not None
        return {step.plan.name: (step.evidence, step.failure) for stage in found.stages for step in stage.steps}

    def _poll(self, command: RunStep) -> Outcome:
        at = Workplace(self._workspaces.__getitem__, lambda _: Rules(), self._folder, lambda: self.now)
        outcome = run_step(command, at)
        if isinstance(outcome, Running | Retry):
            time.sleep(0.1)  # the lane's clock jumps ahead, Azure's does not
        return outcome


@pytest.fixture
def lane(dev: AzureMLWorkspace, test: AzureMLWorkspace, folder: Path, name: str) -> ModelLane:
    return ModelLane({"dev": dev, "test": test}, folder, name)


def test_versions_replace_each_other_and_a_broken_one_leaves_the_champion_alone(
    lane: ModelLane, name: str, registered: Registered
) -> None:
    registered(name, "1", promote="true")
    first = lane.request("1")
    lane.run()
    assert lane.status(first) is PromotionStatus.SUCCEEDED
    assert lane.traffic() == {lane.deployment(first): 100}
    assert lane.evidence(first)["smoke"]["answers"] == 1

    registered(name, "2", '{"crash": true}', promote="true")
    broken = lane.request("2")
    lane.run()
    assert lane.status(broken) is PromotionStatus.FAILED
    failure = lane.failure(broken, "deploy")
    assert failure.kind is FailureKind.CONTAINER_CRASH
    assert "KeyError: 'the model is of no use'" in failure.reason
    assert failure.diagnosis.startswith("KeyError: 'the model is of no use'")
    assert lane.traffic() == {lane.deployment(first): 100}

    registered(name, "3", promote="true")
    second = lane.request("3")
    lane.run_until("shift")
    assert lane.traffic() == {lane.deployment(first): 100}
    lane.run_until("retire")
    assert lane.traffic() == {lane.deployment(second): 100}
    lane.run()
    assert lane.status(second) is PromotionStatus.SUCCEEDED
    assert lane.traffic() == {lane.deployment(second): 100}


def test_a_version_that_is_cancelled_while_it_takes_the_traffic_gives_it_back(
    lane: ModelLane, name: str, registered: Registered
) -> None:
    registered(name, "1", promote="true")
    first = lane.request("1")
    lane.run()
    registered(name, "2", promote="true")
    second = lane.request("2")
    lane.run_until("shift")
    lane.apply(Cancelled(lane.key, second, BOB, "not today"))
    lane.run_until("restore")
    until(lambda: lane.traffic() == {lane.deployment(second): 100}, "version 2 takes the traffic")
    lane.run_until("remove")
    assert lane.traffic() == {lane.deployment(first): 100}
    lane.run()
    assert lane.status(second) is PromotionStatus.ROLLED_BACK
    assert lane.traffic() == {lane.deployment(first): 100}

    registered(name, "3", promote="true")
    third = lane.request("3")
    lane.apply(Released(lane.key, "test", BOB, "today"))
    lane.run()
    assert lane.traffic() == {lane.deployment(third): 100}


def test_a_model_without_the_required_tag_is_refused(
    lane: ModelLane, test: AzureMLWorkspace, name: str, registered: Registered
) -> None:
    """The news claims a tag that the model does not have."""
    registered(name, "1")
    promotion = lane.request("1")
    lane.run()
    failure = lane.failure(promotion, "share")
    assert failure.kind is FailureKind.REFUSED
    assert "does not have the tag promote=true" in failure.reason
    assert test.registry_model(name, "1") is None


def test_a_deployment_without_room_is_reported_as_quota(
    azure: LocalAzure, lane: ModelLane, test: AzureMLWorkspace, name: str, registered: Registered
) -> None:
    registered(name, "1", promote="true")
    promotion = lane.request("1")
    lane.run_until("deploy")
    azure.fault("out_of_quota")
    lane.run()
    assert lane.failure(promotion, "deploy").kind is FailureKind.QUOTA
    assert lane.status(promotion) is PromotionStatus.FAILED
    assert list(test.deployments(f"{name}-test")) == []
