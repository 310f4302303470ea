"""Who may do what: exactly what each identity needs, at the narrowest scope."""

from pathlib import Path

import pytest

from localcloud.up import Ports
from localcloud.up.kept_secrets import keep_secrets
from localcloud.up.layout import Layout
from localcloud.up.part_files import QUOTA_READER, azureml
from tests.e2e.queue_rights import SHARED_ACCESS
from tests.functions.running import describe
from tests.infra.bicep import declarations, named, text_of
from tests.infra.deployed import Deployed
from tests.infra.shapes import (
    BUILT_IN_ROLES,
    CODE_STORAGE,
    INFRA,
    NAMES,
    REGISTRY,
    deployed,
    of_type,
    rights,
    rights_of,
    settings,
    worker,
    workspace,
)

NAMESPACE = str(deployed("coordinator").outputs["SERVICE_BUS_NAMESPACE_ID"])
#: The container of bundles, which the coordinator's own account has.
BUNDLES = f"{deployed('coordinator').outputs['BUNDLE_STORAGE_ID']}/blobServices/default/containers/bundles"
RECEIVER, SENDER = "Azure Service Bus Data Receiver", "Azure Service Bus Data Sender"


def at_work(name: str) -> set[tuple[str, str]]:
    """What an environment's identity may do with Azure ML: Reader also lets it see what it may do, and Monitoring
    Reader the live figures of endpoints."""
    writes = {("AzureML Registry User", REGISTRY)} if name == "dev" else set()
    own = {(role, workspace(name)) for role in ("AzureML Data Scientist", "Monitoring Reader", "Reader")}
    return own | {("Reader", REGISTRY)} | writes


def queue(name: str) -> str:
    return f"{NAMESPACE}/queues/{name}"


def senders_to(name: str) -> set[str]:
    """The apps of the shape "one app per environment" that may send to a queue."""
    apps = {"coordinator": deployed("coordinator"), **{each: worker(each) for each in NAMES}}
    right = (SENDER, queue(name))
    return {app for app, made in apps.items() if right in {(role, scope) for _, role, scope in rights(made)}}


def own(name: str, made: Deployed) -> set[tuple[str, str]]:
    """What an app's first identity may do with the app's own storage account and telemetry: only the coordinator keeps
    promotions, in tables.
    """
    (account,) = of_type(made, "Microsoft.Storage/storageAccounts")
    (insights,) = of_type(made, "Microsoft.Insights/components")
    tables = {("Storage Table Data Contributor", account.id)} if name == "app" else set()
    return tables | {("Storage Blob Data Owner", account.id), ("Monitoring Metrics Publisher", insights.id)}


def test_the_table_of_roles_has_azures_ids() -> None:
    node = declarations(INFRA / "roles.bicep", "variable")["roles"]
    pairs = map(named, named(node.children[-1]))
    assert {text_of(value).strip("'"): text_of(key).strip("'") for key, value in pairs} == BUILT_IN_ROLES


@pytest.mark.parametrize("name", NAMES)
def test_a_worker_alone_may_use_its_own_queues_its_own_workspace_and_the_registry(name: str) -> None:
    made = worker(name)
    assert {whose for whose, _, _ in rights(made)} == {name}
    assert rights_of(made, name) == own(name, made) | {
        (RECEIVER, queue(f"steps-{name}")),
        (SENDER, queue(f"reports-{name}")),
        ("Storage Blob Data Reader", BUNDLES),
        *at_work(name),
    }


@pytest.mark.parametrize("name", NAMES)
def test_rights_on_what_is_shared_can_be_left_to_its_owner(name: str) -> None:
    made = worker(name, sharedRights="leave")
    in_its_workspace = {right for right in at_work(name) if right[1] == workspace(name)}
    assert rights_of(made, name) == own(name, made) | in_its_workspace
    assert not any(resource.id.startswith("/subscriptions/sub-shared/") for resource in made.resources)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_worker_makes_is_in_its_own_subscription(name: str) -> None:
    here = f"/subscriptions/sub-{name}/"
    elsewhere = {resource.type for resource in worker(name).resources if not resource.id.startswith(here)}
    assert elsewhere == {"Microsoft.Authorization/roleAssignments"}


def test_the_coordinator_may_use_the_queues_and_no_workspace_and_no_registry() -> None:
    made = deployed("coordinator")
    queues = ["promotion-events", *(f"{kind}-{name}" for kind in ("steps", "reports") for name in NAMES)]
    (topic,) = of_type(made, "Microsoft.EventGrid/topics")
    assert rights_of(made, "app") == own("app", made) | {
        *((RECEIVER, queue(name)) for name in queues),
        *((SENDER, queue(name)) for name in queues),
        ("EventGrid Data Sender", topic.id),
    }
    assert {whose for whose, _, _ in rights(made)} == {"app", "dead-letters"}


def test_bundles_are_read_by_workers_and_written_by_the_coordinator_alone() -> None:
    for made in (deployed("coordinator"), deployed()):
        (account,) = of_type(made, "Microsoft.Storage/storageAccounts")
        containers = of_type(made, "Microsoft.Storage/storageAccounts/blobServices/containers")
        assert f"{account.id}/blobServices/default/containers/bundles" in [each.id for each in containers]
        assert made.outputs["BUNDLE_STORAGE_ID"] == account.id
        assert settings(made)["MLPROMOTE_BUNDLES"].endswith("bundles")
    for name in NAMES:
        there = {role for role, scope in rights_of(worker(name), name) if scope.startswith(BUNDLES.split("/blob")[0])}
        assert there == {"Storage Blob Data Reader"}
        bundles = settings(worker(name))["MLPROMOTE_BUNDLES"]
        assert bundles.startswith(f"https://{BUNDLES.split('/')[8]}.blob.")


def test_an_app_with_routes_of_its_own_has_no_bundles() -> None:
    made = deployed("coordinator", configuration="promotion.yml")
    assert made.outputs["BUNDLE_STORAGE_ID"] == ""
    given = settings(made)
    assert given["MLPROMOTE_CONFIGURATION"] == "promotion.yml"
    assert not {"MLPROMOTE_PLATFORM", "MLPROMOTE_BUNDLES"} & given.keys()


def test_in_one_app_each_environment_still_has_an_identity_that_can_do_its_own_work_only() -> None:
    made = deployed()
    for name in NAMES:
        assert rights_of(made, name) == at_work(name)
    assert rights_of(made, "app") == rights_of(deployed("coordinator"), "app")


@pytest.mark.parametrize("name", NAMES)
def test_only_that_environments_worker_and_the_coordinator_may_send_to_its_queue_of_reports(name: str) -> None:
    assert senders_to(f"reports-{name}") == {"coordinator", name}


@pytest.mark.parametrize("name", ["promotion-events", *(f"steps-{name}" for name in NAMES)])
def test_only_the_coordinator_may_send_news_and_commands(name: str) -> None:
    assert senders_to(name) == {"coordinator"}


def test_event_grid_may_write_to_the_container_of_dead_letters_only() -> None:
    ((role, scope),) = rights_of(deployed(), "dead-letters")
    assert role == "Storage Blob Data Contributor"
    assert scope.endswith("/blobServices/default/containers/event-dead-letters")


def test_where_a_workspace_storage_takes_no_keys_its_own_identity_may_read_there() -> None:
    environments = [
        {"name": "dev", "workspace": workspace("dev"), "source": True},
        {"name": "prod", "workspace": workspace("prod"), "source": False, "codeStorage": CODE_STORAGE},
    ]
    made = deployed(environments=environments)
    there = {(whose, role) for whose, role, scope in rights(made) if scope == CODE_STORAGE}
    assert there == {("prod", "Storage Blob Data Reader")}, "code is uploaded with the workspace's own signature"
    left_empty = [{**each, "codeStorage": ""} for each in environments]
    assert rights(deployed(environments=left_empty)) == {right for right in rights(made) if right[2] != CODE_STORAGE}


PRODS_OWN = "00000000-0000-0000-0000-0000000000bb"


def with_own_approvals(**more: object) -> list[dict[str, object]]:
    """The environments as the azd environment of prod's worker has them, where prod takes its approvals itself."""
    return [
        {"name": name, "workspace": workspace(name) if name == "prod" else "", "source": name == "dev"}
        | ({"takesApprovals": True, **more} if name == "prod" else {})
        for name in NAMES
    ]


def test_an_environment_that_takes_its_approvals_itself_keeps_them_in_tables_of_its_own() -> None:
    made = worker("prod", environments=with_own_approvals(), signInClientId=PRODS_OWN)
    (account,) = of_type(made, "Microsoft.Storage/storageAccounts")
    assert rights_of(made, "prod") - rights_of(worker("prod"), "prod") == {
        ("Storage Table Data Contributor", account.id)
    }
    given = settings(made)
    assert (given["MLPROMOTE_SIGN_IN_CLIENT_ID"], given["ENVIRONMENTS"]) == (PRODS_OWN, "prod")
    assert "MLPROMOTE_SIGN_IN" not in given, "it is required unless something else is said"
    assert "AzureWebJobsStorage__tableServiceUri" in given


def test_an_environment_may_read_the_workspace_that_models_come_from_and_nothing_more_there() -> None:
    dev = workspace("dev")
    made = worker("prod", environments=with_own_approvals(sourceWorkspace=dev), signInClientId=PRODS_OWN)
    assert {(whose, role) for whose, role, scope in rights(made) if scope == dev} == {("prod", "Reader")}
    assert settings(made)["PROD_SOURCE_WORKSPACE"] == dev


def test_an_environment_may_read_the_quota_of_its_subscription_and_nothing_else_of_it() -> None:
    environments = [
        {"name": name, "workspace": workspace(name), "source": name == "dev", "readsQuota": name == "prod"}
        for name in NAMES
    ]
    for made in (deployed(environments=environments), worker("prod", environments=environments)):
        [role] = of_type(made, "Microsoft.Authorization/roleDefinitions")
        assert role.id.startswith("/subscriptions/sub-prod/providers/")
        assert role.properties["assignableScopes"] == ["/subscriptions/sub-prod"]
        assert role.properties["permissions"] == [
            {"actions": [f"Microsoft.MachineLearningServices/locations/{what}/read" for what in ("usages", "vmSizes")]}
        ]
        on_subscriptions = {right for right in rights(made) if "/providers/" not in right[2]}
        assert on_subscriptions == {("prod", role.id, "/subscriptions/sub-prod")}


def test_nothing_is_assigned_on_a_subscription_a_resource_group_or_a_namespace() -> None:
    for made in (deployed(), deployed("coordinator"), *map(worker, NAMES)):
        for _, role, scope in rights(made):
            assert "/providers/" in scope, role
            assert not scope.endswith(NAMESPACE), role


def test_the_local_cloud_gives_an_environment_the_same_rights(tmp_path: Path) -> None:
    description = describe()
    secrets = keep_secrets(tmp_path / "secrets.json", description.environments)
    layout = Layout(description, Ports(), secrets, tmp_path)
    names = {client_id: name for name, client_id in layout.client_ids.items()}
    local = {(names[each["principal"]], each["role"], each["scope"]) for each in azureml(layout)["role_assignments"]}
    registry = f"registries/{description.registry}"
    here = {**{workspace(name): layout.workspace_ids[name] for name in NAMES}, REGISTRY: registry}
    here |= {f"/subscriptions/sub-{name}": f"/subscriptions/s-{name}" for name in NAMES}
    environments = [
        {"name": name, "workspace": workspace(name), "source": name == "dev", "readsQuota": True} for name in NAMES
    ]
    made = deployed(environments=environments)
    own = {role.id: QUOTA_READER for role in of_type(made, "Microsoft.Authorization/roleDefinitions")}
    for name in NAMES:
        theirs = {(name, own.get(role, role), here[scope]) for role, scope in rights_of(made, name)}
        assert theirs == {right for right in local if right[0] == name}


@pytest.mark.parametrize("app", SHARED_ACCESS)
def test_the_keys_that_stand_for_identities_in_the_local_queues_are_good_for_the_same(app: str) -> None:
    made = deployed("coordinator") if app == "coordinator" else worker(app.removeprefix("worker-"))
    given = {right for right in ((role, scope) for _, role, scope in rights(made)) if right[0] in (RECEIVER, SENDER)}
    listening = {(RECEIVER, queue(name)) for name in SHARED_ACCESS[app]["listen"]}
    assert given == listening | {(SENDER, queue(name)) for name in SHARED_ACCESS[app]["send"]}
