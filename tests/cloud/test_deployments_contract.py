"""What every `Workspace` must do with endpoints and deployments: the adapter of Azure ML, against the local one, and
the fake that the fast tests use."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from shared.core import asset_names
from shared.ports import BusyError, RejectedError, same_asset
from tests.cloud.local_azure import until
from tests.cloud.served_endpoint import OF_ROUTE, OURS, Serving
from tests.cloud.two_workspaces import Azure, chosen, found


@pytest.fixture(params=["fake", "real"])
def azure_ml(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    yield from chosen(request, tmp_path_factory)


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
    serving.azure_ml.stall()
    serving.workspace.start_endpoint(f"f{name}", OF_ROUTE)
    with pytest.raises(BusyError):
        serving.start("v1-abc", f"f{name}")
    serving.start("v1-abc")
    with pytest.raises(BusyError):
        serving.start("v1-abc")
    serving.azure_ml.go_on()
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


# --- endpoint files ---------------------------------------------------------------------------------------------------

IDENTITY = "/subscriptions/S/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/churn"
ENDPOINT_FILE = """\
$schema: https://azuremlschemas.azureedge.net/latest/managedOnlineEndpoint.schema.json
auth_mode: aad_token
public_network_access: disabled
tags: {team: churn}
properties: {enforce: "true"}
identity:
  type: user_assigned
  user_assigned_identities: [{resource_id: IDENTITY}]
""".replace("IDENTITY", IDENTITY)


def test_an_endpoint_is_made_with_the_settings_of_its_file(azure_ml: Azure, name: str, tmp_path: Path) -> None:
    file = tmp_path / "endpoint.yml"
    file.write_text(ENDPOINT_FILE)
    workspace, endpoint = azure_ml.test, f"g{name}"
    wanted = workspace.endpoint_file(file)
    assert wanted.file == file
    workspace.start_endpoint(endpoint, OF_ROUTE, file)
    made = until(lambda: one if (one := workspace.endpoint(endpoint)) and one.state == "Succeeded" else None)
    settings = made.settings
    assert (settings.auth_mode, settings.public_network_access) == ("aad_token", "disabled")
    assert settings.identities == wanted.settings.identities
    assert len(settings.identities or ()) == 1
    assert made.tags == {"team": "churn", **OF_ROUTE}
    assert settings.properties.items() >= {"enforce": "true"}.items()


def test_an_endpoint_gets_what_a_file_names_and_keeps_its_traffic_and_everything_else(
    serving: Serving, tmp_path: Path
) -> None:
    serving.deploy("v1-abc")
    serving.give_traffic({"v1-abc": 100})
    before = serving.settled()
    assert (before.settings.auth_mode, before.settings.public_network_access) == ("key", "enabled")
    assert before.settings.identities == ()
    file = tmp_path / "endpoint.yml"
    file.write_text("public_network_access: disabled\ntags: {team: churn}\n")
    serving.workspace.start_endpoint_change(serving.endpoint, file)
    after = serving.settled()
    assert (after.settings.auth_mode, after.settings.public_network_access) == ("key", "disabled")
    assert after.tags == {"team": "churn", **OF_ROUTE}
    assert after.traffic == {"v1-abc": 100}
    assert wanted_of(serving, file) == (None, None, "disabled")


def wanted_of(serving: Serving, file: Path) -> tuple[object, ...]:
    settings = serving.workspace.endpoint_file(file).settings
    return settings.auth_mode, settings.identities, settings.public_network_access


@pytest.mark.parametrize(
    "content", [None, "", "- a list", "traffic: {v1: 100}", "auth_mode: open", "compute: azureml:aks\ntags: {a: b}"]
)
def test_an_endpoint_file_that_cannot_be_used_is_refused_before_anything_begins(
    azure_ml: Azure, name: str, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "endpoint.yml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(RejectedError):
        azure_ml.test.endpoint_file(file)
    with pytest.raises(RejectedError):
        azure_ml.test.start_endpoint(f"h{name}", OF_ROUTE, file)
    assert azure_ml.test.endpoint(f"h{name}") is None


# --- environment assets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", ["azureml:sklearn:1", "azureml:sklearn@latest"])
def test_a_deployment_uses_the_registrys_copy_of_an_environment_in_place_of_what_its_file_names(
    serving: Serving, folder: Path, reference: str
) -> None:
    dev, test = serving.azure_ml.dev, serving.workspace
    assert test.deployment_file(folder / "deployment.yml").environment == "azureml:sklearn:1"
    asset = found(dev.environment_named(reference))
    assert (asset.name, asset.version) == ("sklearn", "1")
    dev.start_environment_share(asset.name, asset.version)
    copy = test.registry_id("environments", "sklearn", "1")
    until(lambda: test.environment_asset(copy), "the copy")
    test.start_deployment(folder / "deployment.yml", serving.endpoint, "v1-abc", serving.model, OURS, copy)
    assert serving.ended("v1-abc").state == "Succeeded"
    made = found(test.deployment(serving.endpoint, "v1-abc"))
    assert same_asset(asset_names.plain_id(made.environment), copy)
    assert (made.instance_type, made.instances) == ("Standard_DS3_v2", 1)


def test_an_environment_can_be_shared_under_another_name(azure_ml: Azure) -> None:
    asset = found(azure_ml.dev.environment_named("azureml:sklearn:1"))
    azure_ml.dev.start_environment_share(asset.name, asset.version, ("churn-environment", "d1"))
    copy = azure_ml.test.registry_id("environments", "churn-environment", "d1")
    made = until(lambda: azure_ml.test.environment_asset(copy), "the copy")
    assert (made.name, made.version, same_asset(made.origin, asset.origin)) == ("churn-environment", "d1", True)


def test_an_environment_that_is_not_there_is_none_and_what_names_none_is_refused(azure_ml: Azure) -> None:
    assert azure_ml.dev.environment_named("azureml:nobody:1") is None
    assert azure_ml.dev.environment_named("azureml:nobody@latest") is None
    with pytest.raises(RejectedError):
        azure_ml.dev.environment_named("sklearn")


@pytest.mark.parametrize(
    "environment", ["azureml://registries/azureml/environments/sklearn-1.5/versions/33", "{image: some-image}"]
)
def test_only_the_short_name_of_an_environment_is_told_of_a_file(
    azure_ml: Azure, folder: Path, environment: str
) -> None:
    file = folder / "deployment.yml"
    file.write_text(file.read_text().replace("azureml:sklearn:1", environment))
    assert azure_ml.test.deployment_file(file).environment == ""


@pytest.mark.parametrize("auth_mode", ["key", "aad_token"])
def test_an_endpoint_answers_whoever_signs_in_as_its_file_says(
    serving: Serving, tmp_path: Path, auth_mode: str
) -> None:
    serving.deploy("v1-abc")
    file = tmp_path / "endpoint.yml"
    file.write_text(f"auth_mode: {auth_mode}\n")
    serving.workspace.start_endpoint_change(serving.endpoint, file)
    assert serving.settled().settings.auth_mode == auth_mode
    [answer] = serving.workspace.score(serving.endpoint, "v1-abc", [{"numbers": [1]}])
    assert answer.status == 200
