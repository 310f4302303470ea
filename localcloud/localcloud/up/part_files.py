"""Writes each part's own configuration file from the layout."""

import json
from pathlib import Path
from typing import Any

from localcloud.folder_lock import PRIVATE_FOLDER
from localcloud.identity.key_file import read_or_make_key
from localcloud.up.description import QUEUE_PROPERTIES
from localcloud.up.kept_secrets import write_private
from localcloud.up.layout import ROOT_POLICY, Layout

PERSON_ROLE = "Contributor"


def part_file(layout: Layout, part: str) -> Path:
    """The file for a part's `--config`."""
    return layout.data / "configuration" / f"{part}.json"


def shared_access_file(layout: Layout) -> Path:
    """The file for Service Bus's `--shared-access`."""
    return layout.data / "configuration" / "shared-access.json"


def write_part_files(layout: Layout) -> None:
    """Writes all files that the parts read. They contain keys, so only the owner can read them."""
    contents = {
        "servicebus": servicebus(layout),
        "identity": identity(layout),
        "eventgrid": eventgrid(layout),
        "azureml": azureml(layout),
    }
    read_or_make_key(_token_key(layout))
    (layout.data / "configuration").mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    for part, content in contents.items():
        write_private(part_file(layout, part), json.dumps(content, indent=2))
    write_private(shared_access_file(layout), json.dumps(shared_access(layout), indent=2))
    (layout.data / "functions").mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    write_private(layout.data / "functions" / "keys.json", json.dumps(function_keys(layout), indent=2))


def servicebus(layout: Layout) -> dict[str, Any]:
    """The `Config.json` of Microsoft's emulator, which accepts no other name for the namespace and requires
    `Logging`."""
    queues = [
        {"Name": queue.name, "Properties": {**QUEUE_PROPERTIES, **queue.properties}}
        for queue in layout.description.queues
    ]
    namespace = {"Name": "sbemulatorns", "Queues": queues, "Topics": []}
    return {"UserConfig": {"Namespaces": [namespace], "Logging": {"Type": "File"}}}


def shared_access(layout: Layout) -> dict[str, Any]:
    """The policy for everything, and those of the description."""
    every = {"name": ROOT_POLICY, "key": layout.secrets.servicebus_key, "listen": ["*"], "send": ["*"]}
    keys = layout.secrets.shared_access_keys
    named = layout.description.shared_access.items()
    return {"policies": [every, *({"name": name, "key": keys[name], **one.model_dump()} for name, one in named)]}


def identity(layout: Layout) -> dict[str, Any]:
    """An identity for every environment and every person, and the app, in which people have roles and groups."""
    people = layout.description.people.items()
    application = {
        "client_id": layout.app_registration["client_id"],
        "roles": {name: list(person.roles) for name, person in people},
        "groups": {name: list(person.groups) for name, person in people},
    }
    return {
        "identities": [
            {"name": name, "client_id": client_id}
            # A person has the same id in the app's sign-in and in run history.
            | ({"principal_id": client_id, "is_person": True} if name in layout.description.people else {})
            for name, client_id in layout.client_ids.items()
        ],
        "header": layout.secrets.identity_header,
        "token_key": str(_token_key(layout)),
        "applications": [application],
        "signing_key": str(layout.data / "signing-key.pem"),
    }


def eventgrid(layout: Layout) -> dict[str, Any]:
    """A topic for every workspace with a subscription of the app to each, and the app's own topics."""
    environments = layout.description.environments
    topics = [
        {"name": one.workspace, "key": layout.secrets.topic_keys[name], "source": one.workspace_id}
        for name, one in environments.items()
    ]
    subscriptions = [each for one in environments.values() for each in app_subscriptions(layout, one.workspace)]
    topics += [{"name": name, "key": layout.secrets.own_topic_keys[name]} for name in layout.own_topics]
    return {
        "topics": topics,
        "subscriptions": [*subscriptions, *webhook_subscriptions(layout)],
        "retry_pauses": layout.description.retry_pauses,
    }


def app_subscriptions(layout: Layout, workspace: str) -> list[dict[str, Any]]:
    """The app's subscription to a workspace's topic, if there is an app with a function for it."""
    wanted = layout.description.event_subscriptions
    if not wanted or not layout.description.app:
        return []
    named = {"name": f"{workspace}-{wanted.function}".replace("_", "-")[:64], "topic": workspace}
    more = wanted.model_dump(mode="json", by_alias=True, exclude={"function", "path"})
    return [{**named, "endpoint": layout.webhook, **more}]


def webhook_subscriptions(layout: Layout) -> list[dict[str, Any]]:
    """A subscription for every webhook of the app's own topics, by CloudEvents."""
    return [
        {"name": f"{topic.name}-{number}", "topic": topic.name, "endpoint": webhook, "schema": "CloudEvents"}
        for topic in layout.description.topics
        for number, webhook in enumerate(topic.webhooks, start=1)
    ]


#: The role of identities that may read the quota of a subscription.
QUOTA_READER = "quota reader"
_READS_QUOTA = [f"Microsoft.MachineLearningServices/locations/{what}/read" for what in ("usages", "vmSizes")]


def azureml(layout: Layout) -> dict[str, Any]:
    """The workspaces, the registry and who may do what there."""
    description = layout.description
    workspaces = [
        {
            "id": one.workspace_id,
            "location": one.location,
            "computes": one.computes,
            "datastore_secrets": "AccountKey",  # as Azure makes a workspace: code in any container can be read with it
            "topic": {"endpoint": layout.topics[name], "key": layout.secrets.topic_keys[name]},
            "event_subscriptions": [
                {key: each[key] for key in ("name", "endpoint", "included_event_types")}
                for each in app_subscriptions(layout, one.workspace)
            ],
        }
        for name, one in description.environments.items()
    ]
    first = next(iter(description.environments.values()))
    return {
        "workspaces": workspaces,
        "registries": [{"name": description.registry, "location": first.location}],
        "token_key": str(_token_key(layout)),
        "custom_roles": [{"name": QUOTA_READER, "actions": _READS_QUOTA}],
        "role_assignments": _role_assignments(layout),
        "deployment_seconds": description.deployment_seconds,
        **description.azureml,
    }


def function_keys(layout: Layout) -> dict[str, Any]:
    """The keys of the app, in the form that the Functions host keeps them."""
    return {
        "master": layout.secrets.master_key,
        "default": layout.secrets.default_key,
        "systemKeys": {"eventgrid_extension": layout.secrets.event_grid_key},
    }


def _role_assignments(layout: Layout) -> list[dict[str, str]]:
    """The role assignments. An environment works in its own workspace, can read its own rights, and reads or also
    writes the registry; people may do everything."""
    description, client_ids = layout.description, layout.client_ids
    registry = f"registries/{description.registry}"
    writers = description.registry_writers or tuple(description.environments)[:1]
    roles = []
    for name, workspace in layout.workspace_ids.items():
        roles += [(name, role, workspace) for role in ("AzureML Data Scientist", "Monitoring Reader", "Reader")]
        roles += [(name, role, registry) for role in ("Reader", "AzureML Registry User")[: 1 + (name in writers)]]
        if description.environments[name].reads_subscription:
            roles.append((name, "Reader", f"/subscriptions/{description.environments[name].subscription}"))
        if description.environments[name].reads_quota:
            roles.append((name, QUOTA_READER, f"/subscriptions/{description.environments[name].subscription}"))
    for person in description.people:
        roles += [(person, PERSON_ROLE, scope) for scope in (*layout.workspace_ids.values(), registry)]
    return [{"principal": client_ids[name], "role": role, "scope": scope} for name, role, scope in roles]


def _token_key(layout: Layout) -> Path:
    return layout.data / "token.key"
