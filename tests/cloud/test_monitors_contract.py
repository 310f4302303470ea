"""What every `Workspace` must do with monitors: the adapter of Azure ML, against the local one, and the fake."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.cloud.azureml import AzureMLWorkspace
from shared.ports import Monitor, RejectedError
from tests.cloud.local_azure import until
from tests.cloud.served_endpoint import Serving
from tests.cloud.two_workspaces import Azure, chosen, found

MONITOR = """\
$schema: https://azuremlschemas.azureedge.net/latest/monitorSchedule.schema.json
name: churn-drift
tags: {team: churn}
trigger: {type: recurrence, frequency: day, interval: 1, schedule: {hours: 3, minutes: 15}}
create_monitor:
  compute: {instance_type: standard_e4s_v3, runtime_version: "3.4"}
  monitoring_target: {ml_task: classification}
"""
COLLECTING = """
data_collector:
  collections: {model_inputs: {enabled: 'True'}, model_outputs: {enabled: 'True'}}
"""
OURS = {"mlpromote.route": "digits"}


@pytest.fixture(params=["fake", "real"])
def azure_ml(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    yield from chosen(request, tmp_path_factory)


@pytest.fixture
def serving(azure_ml: Azure, name: str, folder: Path) -> Serving:
    file = folder / "deployment.yml"
    file.write_text(file.read_text() + COLLECTING)
    (folder / "monitor.yml").write_text(MONITOR)
    return Serving(azure_ml, name, folder)


def settled(serving: Serving, name: str) -> Monitor:
    return until(lambda: one if (one := serving.workspace.monitor(name)) and one.state == "Succeeded" else None)


def test_a_monitor_watches_one_deployment_and_can_be_pointed_at_another(
    serving: Serving, folder: Path, name: str
) -> None:
    serving.deploy("v1-abc", "v2-abc")
    workspace, file = serving.workspace, folder / "monitor.yml"
    assert workspace.monitor(name) is None
    assert workspace.deployment_file(folder / "deployment.yml").collects == {"model_inputs", "model_outputs"}
    assert workspace.monitor_file(file).name == "churn-drift"
    for deployment in ("v1-abc", "v2-abc"):
        workspace.start_monitor(file, name, serving.endpoint, deployment, OURS)
        made = settled(serving, name)
        assert (made.name, made.is_enabled) == (name, True)
        assert made.deployment.casefold() == f"{serving.endpoint}/{deployment}"
        assert made.tags.items() >= OURS.items()


def test_a_deployment_that_collects_nothing_cannot_be_watched(azure_ml: Azure, name: str, folder: Path) -> None:
    (folder / "monitor.yml").write_text(MONITOR)
    serving = Serving(azure_ml, name, folder)
    serving.deploy("v1-abc")
    with pytest.raises(RejectedError):
        serving.workspace.start_monitor(folder / "monitor.yml", name, serving.endpoint, "v1-abc", OURS)
    assert serving.workspace.monitor(name) is None


@pytest.mark.parametrize("content", [None, "- a list", "name: m", "name: m\ncreate_monitor: 1"])
def test_a_monitor_file_that_cannot_be_used_is_refused(azure_ml: Azure, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "monitor.yml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(RejectedError):
        azure_ml.test.monitor_file(file)


def test_a_monitor_that_is_not_there_is_none(azure_ml: Azure) -> None:
    assert azure_ml.test.monitor("nobody") is None
    assert found(azure_ml.test).monitor("nobody") is None


@pytest.mark.parametrize(
    ("content", "said"), [(MONITOR.replace("frequency: day", "frequency: era"), "frequency"), (f"{MONITOR}x: 1\n", "x")]
)
def test_what_the_sdk_does_not_accept_in_a_monitor_file_is_named(
    dev: AzureMLWorkspace, tmp_path: Path, content: str, said: str
) -> None:
    file = tmp_path / "monitor.yml"
    file.write_text(content)
    with pytest.raises(RejectedError, match=f"monitor.yml cannot be used: .*{said}"):
        dev.monitor_file(file)
