"""What every `Workspace` must do with endpoints and deployments: the adapter of Azure ML, against the local one, and
the fake that the fast tests use."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

import pytest

from shared.ports import (
    BusyError,
    Deployment,
    Endpoint,
    RejectedError,
    same_asset,
)
from tests.cloud.local_azure import until
from tests.cloud.two_workspaces import Azure, chosen, found

OURS = {"mlpromote.promotion": "p"}
OF_ROUTE = {"mlpromote.route": "digits"}


@pytest.fixture(params=["fake", "real"])
def azure_ml(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    yield from chosen(request, tmp_path_factory)


class Serving:
    """An endpoint in test, and a model in the registry to deploy to it."""

    def __init__(self, azure_ml: Azure, name: str, folder: Path) -> None:
        self.azure_ml = azure_ml
        self.workspace = azure_ml.test
        self.endpoint = f"e{name}"
        self._file = folder / "deployment.yml"
        azure_ml.register(name)
        azure_ml.dev.start_share(name, "1")
        self.model = until(lambda: azure_ml.dev.registry_model(name, "1")).asset_id
        self.workspace.start_endpoint(self.endpoint, OF_ROUTE)
        self.settled()

    def settled(self) -> Endpoint:
        return until(
            lambda: one if (one := self.workspace.endpoint(self.endpoint)) and one.state == "Succeeded" else None
        )

    def start(self, deployment: str, endpoint: str = "") -> None:
        self.workspace.start_deployment(self._file, endpoint or self.endpoint, deployment, self.model, OURS)

    def ended(self, deployment: str) -> Deployment:
        def look() -> Deployment | None:
            one = self.workspace.deployment(self.endpoint, deployment)
            return one if one and one.state in ("Succeeded", "Failed") else None

        return until(look, f"{deployment} has ended")

    def deploy(self, *deployments: str) -> None:
        for deployment in deployments:
            self.start(deployment)
            assert self.ended(deployment).state == "Succeeded"
            self.settled()

    def give_traffic(self, traffic: Mapping[str, int], mirror: Mapping[str, int] = MappingProxyType({})) -> None:
        self.workspace.start_traffic(self.endpoint, traffic, mirror)
        self.settled()


@pytest.fixture
def serving(azure_ml: Azure, name: str, folder: Path) -> Serving:
    return Serving(azure_ml, name, folder)


def test_a_new_endpoint_has_its_tags_and_no_traffic(serving: Serving) -> None:
    made = serving.settled()
    assert (made.tags, made.traffic, made.error) == (OF_ROUTE, {}, "")
    assert made.scoring_uri
    assert list(serving.workspace.deployments(serving.endpoint)) == []


def test_a_deployment_of_the_model_is_there_once_it_has_succeeded_and_takes_no_traffic(serving: Serving) -> None:
    serving.deploy("v1-abc")
    made = found(serving.workspace.deployment(serving.endpoint, "v1-abc"))
    assert (made.name, made.state, made.error) == ("v1-abc", "Succeeded", "")
    assert same_asset(made.model, serving.model)
    assert made.tags.items() >= OURS.items()
    assert [each.name for each in serving.workspace.deployments(serving.endpoint)] == ["v1-abc"]
    assert serving.settled().traffic == {}


def test_a_model_of_the_workspace_itself_can_be_deployed_and_is_named_as_it_was_read(
    azure_ml: Azure, name: str, folder: Path
) -> None:
    azure_ml.register(name)
    workspace, model = azure_ml.dev, found(azure_ml.dev.model(name, "1"))
    workspace.start_endpoint(f"d{name}", OF_ROUTE)
    until(lambda: found(workspace.endpoint(f"d{name}")).state == "Succeeded", "the endpoint")
    workspace.start_deployment(folder / "deployment.yml", f"d{name}", "v1-abc", model.asset_id, OURS)
    until(lambda: found(workspace.deployment(f"d{name}", "v1-abc")).state == "Succeeded", "the deployment")
    assert same_asset(found(workspace.deployment(f"d{name}", "v1-abc")).model, model.asset_id)
    assert [same_asset(each.model, model.asset_id) for each in workspace.deployments(f"d{name}")] == [True]


def test_no_operation_begins_on_what_another_one_is_at_work_on(serving: Serving, name: str) -> None:
    serving.workspace.start_endpoint(f"f{name}", OF_ROUTE)
    with pytest.raises(BusyError):
        serving.start("v1-abc", f"f{name}")
    serving.start("v1-abc")
    with pytest.raises(BusyError):
        serving.start("v1-abc")
    assert serving.ended("v1-abc").state == "Succeeded"


def test_traffic_goes_to_what_is_named_and_the_tags_stay(serving: Serving) -> None:
    serving.deploy("v1-abc", "v2-abc")
    serving.give_traffic({"v1-abc": 100})
    assert serving.settled().traffic == {"v1-abc": 100}
    serving.give_traffic({"v1-abc": 0, "v2-abc": 100})
    changed = serving.settled()
    assert (changed.traffic, changed.tags) == ({"v2-abc": 100}, OF_ROUTE)


def test_copies_go_to_one_deployment_without_live_traffic_and_end_with_the_same_change(serving: Serving) -> None:
    serving.deploy("v1-abc", "v2-abc")
    serving.give_traffic({"v1-abc": 100}, {"v2-abc": 50})
    assert (serving.settled().traffic, serving.settled().mirror) == ({"v1-abc": 100}, {"v2-abc": 50})
    for traffic, mirror in [({"v1-abc": 100}, {"v2-abc": 51}), ({"v1-abc": 90, "v2-abc": 10}, {"v2-abc": 10})]:
        with pytest.raises(RejectedError):
            serving.workspace.start_traffic(serving.endpoint, traffic, mirror)
    assert serving.settled().mirror == {"v2-abc": 50}
    serving.give_traffic({"v1-abc": 90, "v2-abc": 10})
    assert (serving.settled().traffic, serving.settled().mirror) == ({"v1-abc": 90, "v2-abc": 10}, {})


def test_a_deployment_says_how_long_a_request_may_take(serving: Serving) -> None:
    serving.deploy("v1-abc")
    assert serving.ended("v1-abc").request_timeout == timedelta(seconds=5)


def test_traffic_cannot_be_given_to_a_deployment_that_does_not_exist(serving: Serving) -> None:
    serving.deploy("v1-abc")
    with pytest.raises(RejectedError):
        serving.workspace.start_traffic(serving.endpoint, {"v2-abc": 100}, {})
    assert serving.settled().traffic == {}


def test_what_takes_traffic_cannot_be_removed_and_anything_else_can(serving: Serving) -> None:
    serving.deploy("v1-abc", "v2-abc")
    serving.give_traffic({"v2-abc": 100})
    with pytest.raises(RejectedError):
        serving.workspace.start_removal(serving.endpoint, "v2-abc")
    serving.workspace.start_removal(serving.endpoint, "v1-abc")
    until(lambda: serving.workspace.deployment(serving.endpoint, "v1-abc") is None, "the removal")
    assert [each.name for each in serving.workspace.deployments(serving.endpoint)] == ["v2-abc"]
    assert serving.settled().traffic == {"v2-abc": 100}


def test_a_deployment_that_fails_says_why_and_stays_until_it_is_removed(serving: Serving) -> None:
    serving.azure_ml.have_no_room()
    serving.start("v1-abc")
    broken = serving.ended("v1-abc")
    assert broken.state == "Failed"
    assert broken.error.startswith("OutOfQuota: ")
    assert broken.unread == ""
    serving.workspace.start_removal(serving.endpoint, "v1-abc")
    until(lambda: serving.workspace.deployment(serving.endpoint, "v1-abc") is None, "the removal")


def test_each_request_gets_an_answer_of_the_deployment_that_is_named(serving: Serving) -> None:
    serving.deploy("v1-abc")
    answers = list(serving.workspace.score(serving.endpoint, "v1-abc", [{"numbers": [1]}, {"numbers": [2]}]))
    assert [answer.status for answer in answers] == [200, 200]
    assert all(answer.seconds > 0 for answer in answers)
    assert len(serving.workspace.logs(serving.endpoint, "v1-abc", 2).splitlines()) <= 2


def test_nothing_can_be_done_with_an_endpoint_that_does_not_exist(azure_ml: Azure, folder: Path) -> None:
    workspace = azure_ml.test
    with pytest.raises(RejectedError):
        list(workspace.score("nobody", None, [1]))
    with pytest.raises(RejectedError):
        workspace.start_traffic("nobody", {}, {})
    with pytest.raises(RejectedError):
        workspace.start_deployment(folder / "deployment.yml", "nobody", "v1-abc", "azureml:m:1", OURS)


# --- deployment files -------------------------------------------------------------------------------------------------


def test_a_deployment_file_is_read_with_its_size_and_all_files_of_its_code(azure_ml: Azure, folder: Path) -> None:
    described = azure_ml.test.deployment_file(folder / "deployment.yml")
    assert list(described.files) == [folder / "deployment.yml", folder / "scoring" / "score.py"]
    assert (described.instance_type, described.instances) == ("Standard_DS3_v2", 1)


@pytest.mark.parametrize("content", [None, "", "- a list", "instance_type: ["])
def test_a_deployment_file_that_cannot_be_used_is_refused_before_anything_begins(
    azure_ml: Azure, folder: Path, content: str | None
) -> None:
    file = folder / "other.yml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(RejectedError):
        azure_ml.test.deployment_file(file)
    with pytest.raises(RejectedError):
        azure_ml.test.start_deployment(file, "nobody", "v1-abc", "azureml:m:1", OURS)
