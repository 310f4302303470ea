"""Pipelines, step by step: the steps of a promotion with the adapter of Azure ML against the local one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, Output, load_job
from azure.ai.ml.entities import PipelineJob, PipelineJobSettings

from shared.core.approval import ApprovalEvidence, GivenApproval, digest
from shared.core.messages import (
    MAY_ACT_FOR,
    Candidate,
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
from shared.core.wire import from_json
from shared.worker.order import Rules
from shared.worker.run import Workplace, run_step
from shared.worker.steps.compare import Compared
from shared.worker.steps.register_components import RegisteredComponents
from tests.cloud.conftest import client
from tests.cloud.local_azure import LocalAzure, until, workspace_id
from tests.rows_pipeline import code_in, register_rows, submit
from tests.steps.promotion import NOW


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return code_in(tmp_path_factory.mktemp("code"))


@pytest.fixture(scope="module")
def data(azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("data")
    register_rows(client("dev", azure), folder, "sample", 10)
    register_rows(client("test", azure), folder, "production", 100)


def submitted(azure: LocalAzure, code: Path) -> str:
    return completed(azure, submit(client("dev", azure), code, "azureml:sklearn:1"))


def completed(azure: LocalAzure, name: str) -> str:
    workspace = azure.workspace("dev")

    def ended() -> str | None:
        found = workspace.submitted_job(name)
        return found.status if found and found.status in ("Completed", "Failed", "Canceled") else None

    assert until(ended, f"job {name} has ended") == "Completed"
    return name


@dataclass
class Promotion:
    """Of what a job of dev ran, to `test`."""

    azure: LocalAzure
    job: str
    folder: Path
    settings: Mapping[str, Any]
    definition: str | None = None
    evidence: dict[str, Evidence] = field(default_factory=dict)
    number: str = "1"  #: of several promotions of the same job

    @property
    def id(self) -> str:
        return f"rows-{self.job}-{self.number}"

    @property
    def run_name(self) -> str:
        return f"{self.id}-test-run-1"

    def step(self, step: str) -> Outcome:
        """Poll until the step has ended."""
        name = "dev" if step == "register_components" else "test"
        workspace, state = self.azure.workspace(name), dict[str, Any]()
        outcomes: list[Outcome] = []

        def ended() -> bool:
            command = self.command(step, len(outcomes) + 1, state)
            outcome = run_step(command, Workplace(lambda _: workspace, lambda _: Rules(), self.folder, lambda: NOW))
            outcomes.append(outcome)
            if isinstance(outcome, Running):
                state.clear()
                state.update(outcome.state)
            return not isinstance(outcome, (Running, Retry))

        until(ended, f"{step}")
        return outcomes[-1]

    def after(self, *steps: str) -> "Promotion":
        for step in steps:
            if step == "approve":
                given = (GivenApproval("ann", "ann", NOW, "seen"),)
                self.evidence[step] = as_evidence(ApprovalEvidence(digest(self.evidence), given))
                continue
            outcome = self.step(step)
            assert isinstance(outcome, Succeeded), outcome
            self.evidence[step] = outcome.evidence
        return self

    def command(self, step: str, poll: int, state: Mapping[str, Any]) -> RunStep:
        definition = {"definition": self.definition} if self.definition else {}
        return RunStep(
            LaneKey("rows", "rows"),
            self.id,
            "test",
            step,
            "dev" if step == "register_components" else "test",
            1,
            poll,
            NOW,
            NOW + MAY_ACT_FOR,
            NOW,
            NOW + MAY_ACT_FOR,
            Candidate(Kind.PIPELINE, "rows", self.job, "dev", workspace_id("dev")),
            {"stage": self.settings, "experiment": "rows-pipeline", "job_tags": {"promote": "true"}, **definition},
            dict(self.evidence),
            None,
            options={"metrics": ["auc"]} if step == "register_components" else {"undoes": "run"},
            state=dict(state),
        )

    @property
    def registered(self) -> RegisteredComponents:
        return from_json(RegisteredComponents, self.evidence["register_components"])


SETTINGS: Mapping[str, Any] = {
    "environment": "test",
    "run": {"compute": "cpu", "inputs": {"rows": "production@latest"}},
    "validate": [{"metric": "auc", "no_worse_than_source_by": 0.02}],
    "register": {"output": "model", "model": "rows-model"},
}


@pytest.mark.usefixtures("data")
def test_what_ran_in_one_workspace_runs_in_another_on_its_own_data(
    azure: LocalAzure, code: Path, tmp_path: Path
) -> None:
    promotion = Promotion(azure, submitted(azure, code), tmp_path, SETTINGS)
    promotion.after("register_components", "inspect", "approve", "run", "compare", "register_model")
    seen = promotion.registered
    assert {name: each.component.split("/")[5] for name, each in seen.components.items()} == {
        "first": "rows_first",
        "second": "train_rows",
    }
    assert set(seen.components["first"].files) == {"helpers/cleaning.py", "prepare.py", "train.py"}
    assert seen.components["second"].environment == "azureml://registries/contoso-ml/environments/sklearn/versions/1"
    assert "/environments/rows-environment/versions/" in seen.components["first"].environment
    assert {name: each.data for name, each in seen.graph.inputs.items()} == {"rows": "uri_file", "loss": ""}
    assert [author.is_person for author in seen.authors] == [False]
    rows = {row.metric: (row.source, row.here) for row in from_json(Compared, promotion.evidence["compare"]).metrics}
    assert rows == {"auc": (0.9, 0.99), "rows": (10, 100)}
    job = promotion.run_name
    test = azure.workspace("test")
    model = test.model("rows-model", promotion.evidence["register_model"]["version"])
    assert model is not None
    assert model.properties["mlpromote.data.rows"] == "production:3"
    assert model.properties["mlpromote.source_job"] == promotion.job
    assert model.tags["mlpromote.job"] == job
    assert client("test", azure).jobs.get(job).settings.force_rerun
    ran = test.pipeline_job(job)
    assert ran is not None
    assert all(each.component.startswith("azureml://registries/contoso-ml/") for each in ran.nodes.values())


@pytest.mark.usefixtures("data")
def test_the_same_pipeline_submitted_again_is_one_version_of_each_component(
    azure: LocalAzure, code: Path, tmp_path: Path
) -> None:
    first = Promotion(azure, submitted(azure, code), tmp_path, SETTINGS).after("register_components")
    second = Promotion(azure, submitted(azure, code), tmp_path, SETTINGS)
    calls = azure.calls(lambda: second.after("register_components"))
    assert second.registered.pipeline == first.registered.pipeline
    assert second.registered.components == first.registered.components
    assert [call for call in calls if call.startswith("PUT ")] == []


@pytest.mark.usefixtures("data")
def test_a_definition_in_git_runs_as_it_stands_there(azure: LocalAzure, code: Path, tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "train.yml").write_text(f"""
$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
type: command
name: train_in_git
inputs: {{rows: {{type: uri_file}}}}
outputs: {{model: {{type: custom_model}}}}
code: {code}
environment: azureml:sklearn:1
command: >-
  mkdir in && cp ${{{{inputs.rows}}}} in/rows.txt && python train.py in 1 ${{{{outputs.model}}}}
""")
    (tmp_path / "pipelines" / "rows.yml").write_text("""
$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json
type: pipeline
inputs: {rows: {type: uri_file, path: "azureml:sample:3"}}
outputs: {model: {type: custom_model}}
jobs:
  train:
    type: command
    component: ./train.yml
    inputs: {rows: "${{parent.inputs.rows}}"}
    outputs: {model: "${{parent.outputs.model}}"}
""")
    # What started it was made from a pipeline component, whose graph nobody can read.
    dev = client("dev", azure)
    whole = dev.components.create_or_update(_as_component(tmp_path / "pipelines" / "rows.yml"))
    made = PipelineJob(
        component=whole.id,
        experiment_name="rows-pipeline",
        tags={"promote": "true"},
        inputs={"rows": Input(type="uri_file", path="azureml:sample:3")},
        settings=PipelineJobSettings(default_compute="cpu"),
    )
    job = completed(azure, str(dev.jobs.create_or_update(made).name))
    refused = Promotion(azure, job, tmp_path, SETTINGS).step("register_components")
    assert isinstance(refused, Failed)
    assert "definition: FILE" in refused.reason
    promotion = Promotion(azure, job, tmp_path, SETTINGS, "pipelines/rows.yml")
    promotion.after("register_components", "inspect", "approve", "run", "compare", "register_model")
    assert promotion.registered.components["train"].component.split("/")[5] == "rows_train"
    assert set(promotion.registered.components["train"].files) >= {"train.py", "helpers/cleaning.py"}


def _as_component(file: Path) -> Any:
    from azure.ai.ml.entities import PipelineComponent

    job = load_job(file)
    assert isinstance(job, PipelineJob)
    return PipelineComponent(
        name="rows_whole",
        inputs={"rows": Input(type="uri_file")},
        outputs={"model": Output(type="custom_model")},
        jobs=job.jobs,
    )


@pytest.mark.usefixtures("data")
def test_a_registered_component_cannot_be_taken_by_another(azure: LocalAzure, code: Path, tmp_path: Path) -> None:
    promotion = Promotion(azure, submitted(azure, code), tmp_path, SETTINGS).after("register_components")
    dev = azure.workspace("dev")
    asset = promotion.registered.components["second"].component
    there = dev.component(asset)
    assert there is not None
    assert there.specification["command"].startswith("python train.py")
    assert dev.code_files(there.code) == {str(file.relative_to(code)): file.read_bytes() for file in code.rglob("*.py")}
    assert dev.component(asset.replace("train_rows", "nobody")) is None
    assert dev.environment_asset(there.environment) is not None
    assert not dev.has_code(there.code.replace("mlpromote-", "mlpromote-0"))
