"""The sandbox: small workspaces and a registry of their own, only if asked for, and gone with `azd down`."""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlpromote.bundle_folder import collect
from shared.config.azure_names import ENVIRONMENT
from shared.config.platform import load_platform
from shared.config.team import load_team
from shared.config.written import SettingText
from tests.infra.bicep import declarations, text_of
from tests.infra.deployed import Deployed, RefusedError, Resource
from tests.infra.shapes import (
    INFRA,
    NAMES,
    REGISTRY,
    REPOSITORY,
    deployed,
    every_shape,
    of_type,
    settings,
    subscribed,
    workspace,
)
from tests.infra.verified_modules import PUBLIC, VERIFIED

SCIENTISTS, ENGINEERS = (f"00000000-0000-0000-0000-0000000000{digits}" for digits in ("c1", "c2"))
GROUP = "/subscriptions/sub-shared/resourceGroups/rg-promote"
MACHINE_LEARNING = "Microsoft.MachineLearningServices"
WORKSPACES, REGISTRIES = f"{MACHINE_LEARNING}/workspaces", f"{MACHINE_LEARNING}/registries"
SCRIPT = INFRA / "remove-sandbox.sh"


def sandbox(names: tuple[str, ...] = NAMES, **more: Any) -> Deployed:
    """What `azd env set SANDBOX true` makes: no workspace and no registry is given."""
    parameters: dict[str, Any] = {
        "environments": [{"name": name, "workspace": "", "source": name == names[0]} for name in names],
        "registry": "",
        "sandbox": True,
        "sandboxDataScientists": SCIENTISTS,
        "sandboxEngineers": ENGINEERS,
    }
    return deployed(more.pop("deploymentRole", "all"), **(parameters | more))


def created(made: Deployed, kind: str) -> list[Resource]:
    """Those of a verified module: only they have its parameters."""
    return [each for each in of_type(made, kind) if "enableTelemetry" in each.properties]


def by_environment(made: Deployed) -> Mapping[str, Resource]:
    return {each.properties["tags"]["environment"]: each for each in created(made, WORKSPACES)}


def people(resource: Resource) -> set[tuple[str, str]]:
    assert all(each["principalType"] == "Group" for each in resource.properties["roleAssignments"])
    return {(each["principalId"], each["roleDefinitionIdOrName"]) for each in resource.properties["roleAssignments"]}


def test_without_it_nothing_of_it_is_created() -> None:
    types = {module.type for module in VERIFIED.values()}
    for made in every_shape():
        assert [each.id for kind in types for each in created(made, kind)] == []
        assert not of_type(made, WORKSPACES) + of_type(made, REGISTRIES) + of_type(made, "Microsoft.KeyVault/vaults")
        assert made.outputs["SANDBOX_WORKSPACES"] == []
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    assert given["sandbox"]["value"] == "${SANDBOX=false}"


def test_it_is_one_module_with_a_condition_and_only_it_uses_microsofts_modules() -> None:
    users = {file.name for file in INFRA.glob("*.bicep") if PUBLIC in file.read_text()}
    assert users == {"sandbox.bicep", "sandbox-workspace.bicep"}
    module = declarations(INFRA / "main.bicep", "module")["sandboxWorkspaces"]
    assert text_of(module.children[-1]).startswith("if (withSandbox)")


def test_it_adds_a_workspace_for_each_environment_with_what_azure_ml_requires_and_a_registry() -> None:
    made = sandbox()
    assert set(by_environment(made)) == set(NAMES)
    for each in by_environment(made).values():
        for part in ("StorageAccount", "KeyVault", "ApplicationInsights"):
            (found,) = [other for other in made.resources if other.id == each.properties[f"associated{part}ResourceId"]]
            assert found.id.startswith(GROUP), part
    kinds = [module.type for module in VERIFIED.values()]
    assert {kind: len(created(made, kind)) for kind in kinds} == {
        kind: 1 if kind == REGISTRIES else len(NAMES) for kind in kinds
    }


def test_all_of_it_is_in_the_group_that_azd_created_and_deletes() -> None:
    made = sandbox()
    (group,) = of_type(made, "Microsoft.Resources/resourceGroups")
    assert (group.id, group.body["tags"]) == (GROUP, {"azd-env-name": "promote"})
    beside = {each.id for each in made.resources if not each.id.startswith(GROUP)}
    assert beside == set(), "nothing stays behind"


def test_what_is_soft_deleted_can_be_purged() -> None:
    for vault in created(sandbox(), "Microsoft.KeyVault/vaults"):
        assert vault.properties["enablePurgeProtection"] is False
    hook = yaml.safe_load((REPOSITORY / "azure.yaml").read_text())["hooks"]["predown"]
    assert (REPOSITORY / hook["run"], hook["interactive"]) == (SCRIPT, True)
    assert SCRIPT.stat().st_mode & 0o100


def test_data_scientists_work_in_dev_and_engineers_in_test_and_prod() -> None:
    made = sandbox()
    at = {name: people(each) for name, each in by_environment(made).items()}
    assert at == {
        "dev": {(SCIENTISTS, "AzureML Data Scientist")},
        "test": {(ENGINEERS, "AzureML Data Scientist")},
        "prod": {(ENGINEERS, "AzureML Data Scientist")},
    }
    (registry,) = created(made, REGISTRIES)
    assert people(registry) == {(SCIENTISTS, "Reader"), (ENGINEERS, "Reader")}


def test_without_groups_no_person_has_a_role() -> None:
    made = sandbox(sandboxDataScientists="", sandboxEngineers="")
    assert [people(each) for each in (*created(made, WORKSPACES), *created(made, REGISTRIES))] == [set()] * 4


def test_the_app_gets_the_environments_of_the_sandbox_and_its_identities_the_rights_there() -> None:
    made = sandbox()
    (registry,) = created(made, REGISTRIES)
    assert settings(made)["REGISTRY"] == registry.name
    places = {name: each.id for name, each in by_environment(made).items()}
    assert made.outputs["SANDBOX_WORKSPACES"] == [places[name] for name in NAMES]
    assert {each["name"]: each["workspace"] for each in made.outputs["EVENT_SOURCES"]} == places
    for name in NAMES:
        assert settings(made)[f"{name.upper()}_WORKSPACE"] == places[name]
    assigned = of_type(made, "Microsoft.Authorization/roleAssignments")
    scopes = [str(each.body["scope"].id) for each in assigned if each.body.get("scope") is not None]
    assert {place: scopes.count(place) for place in places.values()} == dict.fromkeys(places.values(), 3)
    assert scopes.count(registry.id) == 4, "each identity reads, and dev's also writes"


def test_rights_are_assigned_only_once_there_is_something_to_assign_them_on() -> None:
    modules = declarations(INFRA / "main.bicep", "module")
    for name in ("workspaceRights", "registryRights"):
        assert "dependsOn: [sandboxWorkspaces]" in text_of(modules[name])


def test_the_app_is_subscribed_to_the_workspaces_of_the_sandbox() -> None:
    made = sandbox()
    topics = of_type(subscribed(made), "Microsoft.EventGrid/systemTopics")
    assert {each.properties["source"] for each in topics} == {each.id for each in created(made, WORKSPACES)}
    assert all(each.id.startswith(GROUP) for each in topics), "azd down deletes these, too"


def test_names_are_unique_and_as_azure_allows_them() -> None:
    long = tuple("e" * (ENVIRONMENT.longest - 1) + last for last in "abc")
    for names in (NAMES, long):
        made = sandbox(names)
        ids = [each.id.lower() for each in made.resources]
        assert len(set(ids)) == len(ids)
        for kind, pattern in {
            WORKSPACES: r"[A-Za-z0-9][A-Za-z0-9_-]{2,32}",
            REGISTRIES: r"[A-Za-z0-9][A-Za-z0-9_-]{2,32}",
            "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
            "Microsoft.KeyVault/vaults": r"[a-z][a-z0-9-]{1,22}[a-z0-9]",
        }.items():
            for each in created(made, kind):
                assert re.fullmatch(pattern, each.name), each.id


def test_two_azd_environments_share_no_name() -> None:
    """A registry's, a storage account's and a vault's are unique in all of Azure."""
    one, other = sandbox(), sandbox(environmentName="again")
    for kind in (WORKSPACES, REGISTRIES, "Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults"):
        assert not {each.name for each in created(one, kind)} & {each.name for each in created(other, kind)}


def test_the_training_job_of_the_example_finds_its_cluster_in_dev_and_there_alone() -> None:
    job = yaml.safe_load((REPOSITORY / "examples" / "digits" / "train" / "job.yml").read_text())
    computes = {name: each.properties["computes"] for name, each in by_environment(sandbox()).items()}
    (cluster,) = computes.pop("dev")
    assert job["compute"] == f"azureml:{cluster['name']}"
    assert cluster["properties"]["scaleSettings"]["minNodeCount"] == 0, "idle, it costs nothing"
    assert set(map(len, computes.values())) == {0}


def test_it_sends_no_telemetry_to_the_authors_of_the_modules() -> None:
    made = sandbox()
    for kind in {module.type for module in VERIFIED.values()}:
        assert all(each.properties["enableTelemetry"] is False for each in created(made, kind))


@pytest.mark.parametrize("role", ["coordinator", "worker"])
def test_it_needs_one_app_for_all_environments(role: str) -> None:
    with pytest.raises(RefusedError, match=r"SANDBOX\) needs one app for all environments"):
        sandbox(deploymentRole=role, workerOf="dev")


def test_it_does_not_silently_replace_workspaces_or_a_registry_that_are_given() -> None:
    with pytest.raises(RefusedError, match=re.escape(f"there is also {REGISTRY}: set SANDBOX to false")):
        sandbox(registry=REGISTRY)
    environments = [{"name": "dev", "workspace": workspace("dev"), "source": True}]
    with pytest.raises(RefusedError, match=re.escape(f"there is also {workspace('dev')}")):
        sandbox(environments=environments)


@pytest.mark.parametrize(
    ("parameter", "variable"),
    [("sandboxDataScientists", "SANDBOX_DATA_SCIENTISTS"), ("sandboxEngineers", "SANDBOX_ML_ENGINEERS")],
)
def test_a_group_is_given_by_its_object_id_not_by_its_name(parameter: str, variable: str) -> None:
    with pytest.raises(RefusedError, match=rf"{variable}\) is \"data-scientists\", which is not an object id"):
        sandbox(NAMES, **{parameter: "data-scientists"})


def test_the_example_can_be_published_to_it_as_the_guide_says(tmp_path: Path) -> None:
    guide = (INFRA / "README.md").read_text(encoding="utf-8")
    (commands,) = re.findall(r"^cp -r examples/digits digits\nsed .*$", guide, re.MULTILINE)
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    subprocess.run(["sh", "-ec", commands], cwd=tmp_path, check=True)
    bundle = tmp_path / "bundle"
    for name, content in collect(tmp_path / "digits").items():
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_bytes(content)
    given = dict(settings(sandbox()))
    # Client ids are known only once the identities are there.
    given |= {f"{name.upper()}_IDENTITY": SCIENTISTS for name in NAMES}
    platform = load_platform(SettingText("MLPROMOTE_PLATFORM", given["MLPROMOTE_PLATFORM"]), given)
    (route,) = load_team(bundle, platform, "team", "d" * 64).values()
    assert [stage.environment for stage in route.stages] == ["test", "prod"]


def test_the_guide_names_what_can_be_set() -> None:
    guide = (INFRA / "README.md").read_text(encoding="utf-8")
    given = (INFRA / "main.parameters.json").read_text() + SCRIPT.read_text()
    known = set(re.findall(r"\$\{(SANDBOX\w*)[:=]", given)) - {"SANDBOX_WORKSPACES"}
    assert {"SANDBOX", "SANDBOX_PURGE", "SANDBOX_DATA_SCIENTISTS"} <= known
    assert known == set(re.findall(r"(?:azd env set |`)(SANDBOX\w*)", guide))


# --- azd down ---

#: Lists the workspaces of the file `there`, and notes what it deletes.
STAND_IN = """#!/bin/sh
cd "$(dirname "$0")"
case "$*" in
"resource list --subscription s --resource-group rg --resource-type "*) [ ! -e broken ] || exit 3; cat there;;
"ml workspace delete "*) printf '%s\\n' "$*" >> deleted;;
*) exit 9;;
esac
"""
IDS = [f"/subscriptions/s/resourceGroups/rg/providers/{WORKSPACES}/mlw-{name}" for name in NAMES]
AZD = {"AZURE_SUBSCRIPTION_ID": "s", "AZURE_RESOURCE_GROUP": "rg", "SANDBOX_WORKSPACES": json.dumps(IDS)}


class Down:
    """Runs the hook with a stand-in for `az`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "az").write_text(STAND_IN)
        (folder / "az").chmod(0o755)
        self.there(*IDS)

    def there(self, *ids: str) -> None:
        (self.folder / "there").write_text("".join(f"{each}\n" for each in ids))

    def run(self, answer: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{self.folder}:/usr/bin:/bin", **AZD, **more}
        return subprocess.run(["sh", str(SCRIPT)], env=environment, input=answer, capture_output=True, text=True)

    @property
    def deleted(self) -> list[str]:
        noted = self.folder / "deleted"
        return re.findall(r"--name (\S+) --permanently-delete --yes", noted.read_text()) if noted.exists() else []


@pytest.fixture
def down(tmp_path: Path) -> Down:
    return Down(tmp_path)


def test_azd_down_deletes_the_workspaces_for_good_after_a_yes(down: Down) -> None:
    answer = down.run("y\n")
    assert (answer.returncode, down.deleted) == (0, [f"mlw-{name}" for name in NAMES])
    assert "mlw-prod? [y/N]" in answer.stdout


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_without_a_yes_nothing_is_deleted_and_azd_down_stops(answer: str, down: Down) -> None:
    ended = down.run(answer)
    assert (ended.returncode, down.deleted) == (1, [])
    assert "azd env set SANDBOX_PURGE true" in ended.stderr


def test_a_pipeline_answers_by_a_variable(down: Down) -> None:
    assert down.run(SANDBOX_PURGE="true").returncode == 0
    assert len(down.deleted) == len(NAMES)


def test_they_can_be_left_soft_deleted(down: Down) -> None:
    assert down.run(SANDBOX_PURGE="false").returncode == 0
    assert down.deleted == []


@pytest.mark.parametrize("ids", ["", "[]"])
def test_without_a_sandbox_it_touches_nothing(ids: str, down: Down) -> None:
    assert down.run("y\n", SANDBOX_WORKSPACES=ids).returncode == 0
    assert down.deleted == []


def test_only_what_the_deployment_created_and_is_still_there_is_deleted(down: Down) -> None:
    down.there(IDS[1].upper(), IDS[0].replace("mlw-dev", "mlw-dev-of-somebody"))
    assert down.run("y\n").returncode == 0
    assert down.deleted == ["MLW-TEST"]


def test_if_the_workspaces_cannot_be_listed_azd_down_stops(down: Down) -> None:
    (down.folder / "broken").touch()
    ended = down.run("y\n")
    assert (ended.returncode, down.deleted) == (1, [])
    assert "cannot list the sandbox's workspaces" in ended.stderr


def test_without_the_azure_cli_azd_down_stops_and_says_what_to_install(tmp_path: Path) -> None:
    for tool in ("sh", "tr"):
        (tmp_path / tool).symlink_to(
            next(Path(each) / tool for each in os.defpath.split(":") if (Path(each) / tool).exists())
        )
    environment = {**AZD, "PATH": str(tmp_path)}
    ended = subprocess.run([str(tmp_path / "sh"), str(SCRIPT)], env=environment, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "install the Azure CLI" in ended.stderr
