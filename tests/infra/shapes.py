"""The shapes that main.bicep can be deployed in, for an imaginary company with a subscription per environment."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.infra.deployed import Deployed, Resource, Scope
from tests.infra.deployment import deploy

REPOSITORY = Path(__file__).parents[2]
INFRA = REPOSITORY / "infra"
NAMES = ("dev", "test", "prod")
_SHARED = "/subscriptions/sub-shared/resourceGroups/rg-shared"
REGISTRY = f"{_SHARED}/providers/Microsoft.MachineLearningServices/registries/contoso-ml"
CODE_STORAGE = "/subscriptions/sub-prod/resourceGroups/rg-prod/providers/Microsoft.Storage/storageAccounts/stprod"
#: Client id of the app registration.
SIGN_IN = "00000000-0000-0000-0000-0000000000aa"

#: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
BUILT_IN_ROLES = {
    "f6c7c914-8db3-469d-8ca1-694a8f32e121": "AzureML Data Scientist",
    "1823dd4f-9b8c-4ab6-ab4e-7397a3684615": "AzureML Registry User",
    "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0": "Azure Service Bus Data Receiver",
    "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39": "Azure Service Bus Data Sender",
    "d5a91429-5739-47e2-a06b-3470a27159e7": "EventGrid Data Sender",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
    "43d0d8ad-25c7-4714-9337-8ba259a9fe05": "Monitoring Reader",
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": "Reader",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
}

Right = tuple[str, str, str]


def workspace(name: str) -> str:
    """The ARM id of an environment's workspace."""
    provider = "Microsoft.MachineLearningServices/workspaces"
    return f"/subscriptions/sub-{name}/resourceGroups/rg-{name}/providers/{provider}/ws-{name}"


def deployed(deployment_role: str = "all", **more: Any) -> Deployed:
    """What main.bicep makes in the shared subscription."""
    environments = [{"name": name, "workspace": workspace(name), "source": name == "dev"} for name in NAMES]
    parameters = {
        "environmentName": "promote",
        "location": "westeurope",
        "environments": environments,
        "registry": REGISTRY,
        "signInClientId": SIGN_IN,
        "deploymentRole": deployment_role,
    }
    return deploy(INFRA / "main.bicep", Scope("sub-shared"), parameters | more)


def worker(name: str, **more: Any) -> Deployed:
    """What main.bicep creates for an environment's worker alone, in the environment's subscription. azd leaves unset
    values empty: a worker needs no other environment's workspace.
    """
    environments = [
        {"name": each, "workspace": workspace(each) if each == name else "", "source": each == "dev"} for each in NAMES
    ]
    parameters = {
        "environmentName": f"promote-{name}",
        "location": "westeurope",
        "environments": environments,
        "registry": REGISTRY,
        "deploymentRole": "worker",
        "workerOf": name,
        "signInClientId": SIGN_IN,
        "bundleStorage": str(deployed("coordinator").outputs["BUNDLE_STORAGE_ID"]),
        "serviceBusNamespace": str(deployed("coordinator").outputs["SERVICE_BUS_NAMESPACE_ID"]),
    }
    return deploy(INFRA / "main.bicep", Scope(f"sub-{name}"), parameters | more)


#: The address that events are delivered to, with its key.
WEBHOOK = "https://app.test/api/events?code=key"


def subscribed(made: Deployed | None = None) -> Deployed:
    """What subscribe.sh makes once main.bicep is deployed."""
    outputs = (made or deployed()).outputs
    given = {
        "sources": outputs["EVENT_SOURCES"],
        "functionAppId": outputs["FUNCTION_APP_ID"],
        "webhook": WEBHOOK,
        "deadLetterStorageId": outputs["DEAD_LETTER_STORAGE_ID"],
        "deadLetterIdentityId": outputs["DEAD_LETTER_IDENTITY_ID"],
        "logs": outputs["LOG_WORKSPACE_ID"],
    }
    return deploy(INFRA / "events.bicep", Scope("sub-shared"), given)


def of_type(made: Deployed, kind: str) -> list[Resource]:
    return [resource for resource in made.resources if resource.type == kind]


def settings(made: Deployed) -> Mapping[str, Any]:
    """The settings of the Function App."""
    (found,) = [each for each in of_type(made, "Microsoft.Web/sites/config") if each.name == "appsettings"]
    return found.properties


def rights(made: Deployed) -> set[Right]:
    """Who may do what where: an identity's place in the names, a built-in role's name, and a scope's ARM id."""
    return {
        (_place(assigned.properties["principalId"]), _role(assigned), _scope(assigned))
        for assigned in of_type(made, "Microsoft.Authorization/roleAssignments")
    }


def rights_of(made: Deployed, identity: str) -> set[tuple[str, str]]:
    """The roles of one identity, with their scopes."""
    return {(role, scope) for whose, role, scope in rights(made) if whose == identity}


def _place(principal: str) -> str:
    """`prod` for `<…/id-mlpromote-prod-token>.properties.principalId`."""
    name, _, member = principal.removeprefix("<").partition(">")
    assert member == ".properties.principalId", principal
    return name.rpartition("/")[2].removeprefix("id-mlpromote-").rpartition("-")[0]


def _scope(assigned: Resource) -> str:
    """The scope that it names, else what it is deployed to."""
    scope = assigned.body.get("scope")
    return str(scope.id) if scope is not None else assigned.id.partition("/providers/")[0]


def _role(assigned: Resource) -> str:
    definition = str(assigned.properties["roleDefinitionId"])
    # One of our own has no id that Azure would know.
    role = BUILT_IN_ROLES.get(definition.rpartition("/")[2], definition)
    assert assigned.properties["principalType"] == "ServicePrincipal"
    return role


def every_shape() -> Iterator[Deployed]:
    """One app for all, and one app per environment with its coordinator."""
    yield deployed()
    yield deployed("coordinator")
    yield from map(worker, NAMES)
