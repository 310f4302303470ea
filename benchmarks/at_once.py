"""The app with an Azure ML that completes everything at once: a step finds its result at its first poll.

So each step takes one command and one report, and none waits. Everything else is the real app.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from shared.app.wiring import App
from shared.config.app_settings import AppSettings
from shared.coordinator import routing
from shared.core.lane import decide
from shared.core.messages import ModelRegistered, RunStep
from shared.core.promotion import Lane, Promotion
from shared.core.replacing import replace
from shared.ports import Deployment, DeploymentFile, Endpoint, Job
from shared.worker.order import Rules
from shared.worker.target import ATTEMPT, PROMOTION, ROUTE, Target
from tests.fakes.workspace import FakeRegistry, FakeWorkspace

if TYPE_CHECKING:
    from shared.config import Configuration

SOURCE = "dev"
VERSION = "1"
JOB = "training"
TAGS = {"promote": "true"}


def model_names(series: str, count: int) -> list[str]:
    """The names of models, each with its own lane."""
    return [f"model-{series}-{number}" for number in range(count)]


def registration(configuration: "Configuration", model: str) -> ModelRegistered:
    """The news that starts a model's promotion."""
    return ModelRegistered(configuration.environments[SOURCE].workspace.id, model, VERSION, TAGS, "benchmark")


class _Workspace(FakeWorkspace):
    """Reads each deployment file once, and looks only at the deployments of one endpoint: Azure ML's work, as which the
    fake does it, is not what is measured."""

    def __init__(self, registry: FakeRegistry, name: str) -> None:
        super().__init__(registry, name)
        self._read: dict[Path, DeploymentFile] = {}
        self.named: dict[str, str] = {}  #: the deployment of each endpoint

    def deployments(self, endpoint: str) -> Sequence[Deployment]:
        found = self.deployment(endpoint, self.named[endpoint])
        return [found] if found is not None else []

    def deployment_file(self, file: Path) -> DeploymentFile:
        if file not in self._read:
            self._read[file] = super().deployment_file(file)
        return self._read[file]


class AtOnceApp(App):
    """Serves the models passed to `expect`."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        super().__init__(settings)
        self._folder = AppSettings.read(settings).configuration_path.parent
        registry = FakeRegistry()
        self._fakes = {name: _Workspace(registry, name) for name in self.configuration.environments}
        source = self._fakes[SOURCE]
        source.jobs[JOB] = Job(JOB, "Completed", "training", outputs={"model": "mlflow_model"})
        source.job_metrics[JOB] = {"accuracy": 0.95, "auc": 0.97}

    def expect(self, models: Sequence[str]) -> None:
        """Create everything that the promotions of these models will look for."""
        now = datetime.now(UTC)
        for model in models:
            origin = self._fakes[SOURCE].has_model(model, VERSION, tags=TAGS, job=JOB)
            self._fakes[SOURCE].has_copy(model, VERSION, origin.asset_id)
            for request in routing.requests(registration(self.configuration, model), self.configuration, now):
                self._expect(request.promotion, decide(Lane(request.lane), request, now).commands[0])

    def workspace(self, environment: str) -> FakeWorkspace:
        return self._fakes[environment]

    def _expect(self, promotion: Promotion, command: RunStep) -> None:
        for stage in promotion.stages:
            of_stage = replace(command, stage=stage.name, settings=stage.settings)
            workspace = self._fakes[stage.environment]
            target = Target.of(of_stage, workspace, self._folder, Rules())
            owner = {ROUTE: promotion.lane.route}
            name = target.endpoint
            workspace.endpoints[name] = Endpoint(name, "Succeeded", {target.deployment: 100}, owner, f"https://{name}")
            tags = {**owner, PROMOTION: promotion.id, ATTEMPT: "1"}
            workspace.has_deployment(name, target.deployment, tags)
            workspace.named[name] = target.deployment
