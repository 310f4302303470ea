import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.cloud.azureml import AzureMLWorkspace
from shared.ports import Deployment, Endpoint, OutOfQuotaError, RejectedError
from shared.worker import container_log
from tests.cloud.conftest import Registered
from tests.cloud.local_azure import LocalAzure, until

TAGS = {"mlpromote.promotion": "p"}


@dataclass
class Serving:
    """An endpoint in ws-test, and a model in the registry to deploy to it."""

    workspace: AzureMLWorkspace
    endpoint: str
    model: str
    folder: Path

    def settled(self) -> Endpoint:
        return until(
            lambda: found if (found := self.workspace.endpoint(self.endpoint)) and found.state == "Succeeded" else None
        )

    def ended(self, deployment: str) -> Deployment:
        def look() -> Deployment | None:
            found = self.workspace.deployment(self.endpoint, deployment)
            return found if found and found.state in ("Succeeded", "Failed") else None

        return until(look, f"{deployment} has ended")

    def start(self, deployment: str, model: str = "") -> None:
        file = self.folder / "deployment.yml"
        self.workspace.start_deployment(file, self.endpoint, deployment, model or self.model, TAGS)


@pytest.fixture
def serving(dev: AzureMLWorkspace, test: AzureMLWorkspace, name: str, registered: Registered, folder: Path) -> Serving:
    registered(name)
    dev.start_share(name, "1")
    test.start_endpoint(f"e{name}", {"mlpromote.route": "digits"})
    model = until(lambda: test.registry_model(name, "1")).asset_id
    one = Serving(test, f"e{name}", model, folder)
    one.settled()
    return one


def test_an_endpoint_is_made_with_its_tags(serving: Serving) -> None:
    found = serving.settled()
    assert (found.tags, found.traffic) == ({"mlpromote.route": "digits"}, {})
    assert found.scoring_uri


def test_a_deployment_is_made_of_the_file_with_our_model_and_tags_and_can_be_asked(serving: Serving) -> None:
    serving.start("v1-abc")
    found = serving.ended("v1-abc")
    assert (found.state, found.model) == ("Succeeded", serving.model)
    assert found.tags == {"team": "digits", "mlpromote.promotion": "p"}
    assert serving.settled().traffic == {}
    answers = list(serving.workspace.score(serving.endpoint, "v1-abc", [{"numbers": [1]}, {"numbers": [2, 3]}]))
    assert [(answer.status, answer.body) for answer in answers] == [(200, '{"sum": 11}'), (200, '{"sum": 15}')]
    assert all(0 < answer.seconds < 60 for answer in answers)
    assert "azmlinfsrv" in serving.workspace.logs(serving.endpoint, "v1-abc", 50)


def test_a_deployment_that_azure_refuses_for_want_of_quota_says_so(serving: Serving) -> None:
    file = serving.folder / "deployment.yml"
    file.write_text(file.read_text().replace("instance_count: 1", "instance_count: 5000"))
    with pytest.raises(
        OutOfQuotaError, match=r"Not enough quota available for Standard_DS3_v2.*Additional needed: 24000"
    ):
        serving.start("v1-abc")


def test_traffic_is_given_and_a_deployment_is_removed(serving: Serving) -> None:
    for deployment in ("v1-abc", "v2-abc"):
        serving.start(deployment)
        serving.ended(deployment)
    serving.workspace.start_traffic(serving.endpoint, {"v2-abc": 100}, {})
    assert serving.settled().traffic == {"v2-abc": 100}
    assert serving.settled().tags == {"mlpromote.route": "digits"}
    serving.workspace.start_removal(serving.endpoint, "v1-abc")
    until(lambda: serving.workspace.deployment(serving.endpoint, "v1-abc") is None)
    assert [each.name for each in serving.workspace.deployments(serving.endpoint)] == ["v2-abc"]
    assert [answer.status for answer in serving.workspace.score(serving.endpoint, None, [{"numbers": []}])] == [200]


def test_a_failed_deployment_says_why(
    serving: Serving, name: str, registered: Registered, dev: AzureMLWorkspace
) -> None:
    registered(name, "2", '{"crash": true}')
    dev.start_share(name, "2")
    model = until(lambda: serving.workspace.registry_model(name, "2")).asset_id
    serving.start("v2-bad", model)
    found = serving.ended("v2-bad")
    assert found.state == "Failed"
    assert ": " in found.error
    log = container_log.read(serving.workspace, serving.endpoint, "v2-bad")
    assert container_log.cause_and_place(log) == "KeyError: 'the model is of no use' (score.py, line 8, in init)"
    assert not [line for line in container_log.chosen(log) if "gunicorn" in line]


def test_a_cause_that_a_role_on_the_workspace_does_not_cover_is_reported_as_unread(
    azure: LocalAzure, dev: AzureMLWorkspace, name: str, registered: Registered, folder: Path
) -> None:
    registered(name)
    dev.start_endpoint(f"d{name}", {})
    until(lambda: (found := dev.endpoint(f"d{name}")) and found.state == "Succeeded")
    azure.fault("out_of_quota")
    dev.start_share(name, "1")
    copy = until(lambda: dev.registry_model(name, "1")).asset_id
    dev.start_deployment(folder / "deployment.yml", f"d{name}", "v1-unread", copy, TAGS)
    found = until(lambda: one if (one := dev.deployment(f"d{name}", "v1-unread")) and one.state == "Failed" else None)
    assert found.error == ""
    assert "Microsoft.MachineLearningServices/locations/mfeOperationsStatus/read" in found.unread


def test_nothing_is_left_running_and_nothing_is_printed(serving: Serving, capfd: pytest.CaptureFixture[str]) -> None:
    before = threading.active_count()
    capfd.readouterr()
    serving.start("v1-abc")
    assert threading.active_count() == before
    serving.ended("v1-abc")
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "There is no deployment file"),
        ("instance_type: [", "cannot be read"),
        ("- a list", "not describe a managed online deployment in YAML"),
        ("instance_count: many", "cannot be used"),
        ("no_such_key: 1", "cannot be used"),
        ("type: kubernetes\ninstance_count: 1", "not describe a managed online deployment"),
        ("", "not describe a managed online deployment in YAML"),
    ],
)
def test_a_wrong_deployment_file_is_refused_in_words(
    test: AzureMLWorkspace, folder: Path, content: str | None, said: str
) -> None:
    file = folder / "other.yml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(RejectedError, match=said) as refused:
        test.deployment_file(file)
    assert "\x1b" not in str(refused.value)


def test_a_right_deployment_file_needs_no_name_endpoint_or_model(
    azure: LocalAzure, test: AzureMLWorkspace, folder: Path
) -> None:
    assert azure.calls(lambda: test.deployment_file(folder / "deployment.yml")) == []


def test_an_endpoint_that_does_not_exist_cannot_be_asked(test: AzureMLWorkspace) -> None:
    with pytest.raises(RejectedError, match="nobody"):
        list(test.score("nobody", None, [1]))
